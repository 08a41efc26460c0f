//! The location and store of a cache, and the locations known in advance.

use std::path::PathBuf;

use super::{Names, Preset};
use crate::Config;
use crate::item_shape::ItemShape;
use crate::options::{DataProtectionScope, Store};

/// A cache of another library on this machine.
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
    /// The preset of its owner.
    pub preset: Preset,
    /// The cache file, or the marker file of an item. The lock is beside it.
    pub path: PathBuf,
    /// The store of the content.
    pub kind: PlaceKind,
}

/// The store of a cache.
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
    /// In the store that the platform protects best, like every library's.
    pub(super) fn own(preset: Preset, path: PathBuf, shape: ItemShape) -> Self {
        let kind = if cfg!(windows) { PlaceKind::ProtectedFile } else { PlaceKind::Item(shape) };
        Self { preset, path, kind }
    }

    pub(super) fn plaintext(preset: Preset, path: PathBuf) -> Self {
        Self { preset, path, kind: PlaceKind::PlaintextFile }
    }

    /// Returns a configuration that opens the cache. By default it creates and verifies the store; with
    /// [`Config::create`] and [`Config::verify`] off, it changes nothing.
    pub fn config(&self) -> Config {
        let config = Config::new(self.preset.name()).path(&self.path);
        match &self.kind {
            // The shape has the names: an item with other names would be another program's.
            PlaceKind::Item(shape) => config.service("").account("").item_shape(shape.clone()),
            PlaceKind::ProtectedFile => {
                config.store(Store::DataProtection { scope: DataProtectionScope::default(), entropy: None })
            }
            PlaceKind::PlaintextFile => config.store(Store::PlaintextFile),
        }
    }
}

/// Returns the caches with known locations: those of the Azure SDKs and of the Azure CLI, and those that a program
/// gave a name, if their file exists. It does not check whether the caches exist.
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
