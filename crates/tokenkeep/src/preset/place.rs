//! Where a cache is and what it is kept in, and all that can be known without being told.

use std::path::PathBuf;

use super::{Names, Preset};
use crate::Config;
use crate::options::{DataProtectionScope, Store};
use crate::storage::ItemShape;

/// A cache of another library's on this machine.
///
/// ```no_run
/// use tokenkeep::options::Prompting;
/// use tokenkeep::preset::{Names, Preset};
/// # let home = tempfile::tempdir()?;
/// # let path = home.path().join("cache.json");
///
/// let place = Preset::Js.place(&Names::default().path(path).service("contoso").account("tokens"))?;
/// println!("{} keeps it at {}", place.preset, place.path.display());
/// let as_it_is = place.config().create(false).verify(false).open()?; // to look into it, say
/// let verified_first = place.config().prompting(Prompting::allowed()).open();
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CachePlace {
    /// Whose it is.
    pub preset: Preset,
    /// The cache file, or the file whose modification tells that the item changed. The lock stands beside it.
    pub path: PathBuf,
    /// What the content is in.
    pub kind: PlaceKind,
}

/// What a cache is kept in.
///
/// ```
/// use tokenkeep::preset::{PlaceKind, known_caches};
///
/// for place in known_caches() {
///     let kept = match place.kind {
///         PlaceKind::Item(shape) => format!("in the item {shape}"),
///         PlaceKind::ProtectedFile => "in a file that the system encrypts".to_owned(),
///         PlaceKind::PlaintextFile => "in a plaintext file".to_owned(),
///         _ => continue,
///     };
///     println!("{}: {kept}", place.path.display());
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlaceKind {
    /// An item of the keystore: the Secret Service, or the macOS Keychain.
    Item(ItemShape),
    /// A file that Windows encrypts for its user.
    ProtectedFile,
    /// A plaintext file.
    PlaintextFile,
}

impl CachePlace {
    /// In the store that the platform protects best, as every library has it.
    pub(super) fn own(preset: Preset, path: PathBuf, shape: ItemShape) -> Self {
        let kind = if cfg!(windows) { PlaceKind::ProtectedFile } else { PlaceKind::Item(shape) };
        Self { preset, path, kind }
    }

    pub(super) fn plaintext(preset: Preset, path: PathBuf) -> Self {
        Self { preset, path, kind: PlaceKind::PlaintextFile }
    }

    /// A configuration that opens the cache there. By default it creates and verifies what it opens; with
    /// [`Config::create`] and [`Config::verify`] off, it leaves no trace.
    pub fn config(&self) -> Config {
        let config = Config::new(self.preset.name()).path(&self.path);
        match &self.kind {
            // The shape has the names: an item of any other would be another program's.
            PlaceKind::Item(shape) => config.service("").account("").item_shape(shape.clone()),
            PlaceKind::ProtectedFile => {
                config.store(Store::DataProtection { scope: DataProtectionScope::default(), entropy: None })
            }
            PlaceKind::PlaintextFile => config.store(Store::PlaintextFile),
        }
    }
}

/// The caches whose place is known without being told: those of the Azure SDKs and of the Azure CLI, among them the ones
/// to which a program gave a name of its own, where its file is there to be seen. Whether they exist is not looked at.
///
/// ```
/// for place in tokenkeep::preset::known_caches() {
///     println!("{}: {}", place.preset.about(), place.path.display());
/// }
/// ```
pub fn known_caches() -> Vec<CachePlace> {
    let mut places = Vec::new();
    for preset in Preset::ALL {
        // Without a home directory there are none.
        let Ok(place) = preset.place(&Names::default()) else { continue };
        let named = super::azure::other_names(*preset, &place.path);
        places.push(place);
        let named = named.into_iter().map(|name| preset.place(&Names::default().cache_name(name)));
        places.extend(named.flatten());
    }
    places
}
