//! The known paths of caches: those of the Azure SDKs, of the Azure CLI, and of programs that use this library with
//! its defaults. The command searches no other paths.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use tokenkeep::environment;
use tokenkeep::preset::{self, PlaceKind};

use crate::arguments::Kind;
use crate::stores::{DetectedFormat, Named, detected_format};

/// No data directory holds more programs of this library; a directory with more entries is a mistake.
const MOST: usize = 2_000;

/// A cache and its owner.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) owner: String,
    pub(crate) named: Named,
}

/// Returns the caches at known paths. It leaves out files that do not exist. It includes keystore items, because only
/// a request to the keystore shows whether they exist.
pub(crate) fn caches() -> Vec<Known> {
    let mut found = Vec::new();
    found.extend(presets());
    let is_new = |known: &Known| found.iter().all(|other| other.named.path != known.named.path);
    let others: Vec<Known> = azure_cli().into_iter().chain(azure_files()).filter(is_new).collect();
    found.extend(others);
    found.extend(own());
    found
}

/// Returns the caches of the library's presets. An item that several caches share appears once.
fn presets() -> Vec<Known> {
    let mut found: Vec<Known> = Vec::new();
    for place in preset::known_caches() {
        let (item, owner) = (matches!(place.kind, PlaceKind::Item(_)), place.preset.about().to_owned());
        if !item && !is_cache_file(&place.path) {
            continue;
        }
        let named = Named::preset(place, None);
        if !found.iter().any(|known| known.named.is_same(&named)) {
            found.push(Known { owner, named });
        }
    }
    found
}

/// Returns the files of the Azure CLI under all names it has used, on any system.
fn azure_cli() -> Vec<Known> {
    let chosen = std::env::var_os("AZURE_CONFIG_DIR").filter(|text| !text.is_empty()).map(PathBuf::from);
    let home = || Some(profile()?.join(".azure"));
    let Some(folder) = chosen.or_else(home) else { return Vec::new() };
    // One for plaintext, one for Windows.
    ["msal_token_cache.json", "msal_token_cache.bin"]
        .iter()
        .map(|name| folder.join(name))
        .filter(|path| is_cache_file(path))
        .map(|path| Known { owner: "Azure CLI".to_owned(), named: Named::file(path) })
        .collect()
}

/// Returns the user's profile directory, which on Windows is not where caches are kept by default.
fn profile() -> Option<PathBuf> {
    match cfg!(windows) {
        true => std::env::var_os("USERPROFILE").map(PathBuf::from),
        false => environment::user_root_directory(),
    }
}

/// Returns files of the Azure SDKs in directories other than the default and in those of older versions.
fn azure_files() -> Vec<Known> {
    let mut folders: Vec<PathBuf> =
        [environment::user_root_directory(), environment::data_directory(), cache_directory()]
            .into_iter()
            .flatten()
            .map(|parent| parent.join(".IdentityService"))
            .collect();
    folders.dedup();
    let mut found = Vec::new();
    for path in folders.iter().flat_map(|folder| entries(folder)) {
        let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default().into_owned();
        if !name.starts_with("msal.cache") || is_companion(&name) {
            continue;
        }
        match detected_format(&path) {
            // A marker file leads to a keystore item, which is in the list already.
            DetectedFormat::Vacant if !cfg!(windows) => {}
            DetectedFormat::Nothing => {}
            _ => found.push(Known { owner: "Azure SDK".to_owned(), named: Named::file(path) }),
        }
    }
    found
}

fn cache_directory() -> Option<PathBuf> {
    let chosen = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    chosen.or_else(|| environment::user_root_directory().map(|home| home.join(".cache")))
}

/// Returns the caches of programs that use this library with nothing but a name.
fn own() -> Vec<Known> {
    let Some(data) = environment::data_directory() else { return Vec::new() };
    let caches = entries(&data).into_iter().map(|folder| folder.join("token_cache.json"));
    caches
        .filter(|path| is_cache_file(path))
        .filter_map(|path| {
            let application = path.parent()?.file_name()?.to_str()?.to_owned();
            let named = match detected_format(&path) {
                DetectedFormat::Vacant | DetectedFormat::Other if !cfg!(windows) => {
                    Named::item(Some(path), &application, "token_cache")
                }
                _ => {
                    let names = Some((application.clone(), "token_cache".to_owned()));
                    Named { names, ..Named::file(path) }
                }
            };
            Some(Known { owner: application, named })
        })
        .collect()
}

/// Returns the files of a folder in the order of names; none if it cannot be listed.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(listing) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = listing.flatten().take(MOST).map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn is_cache_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|status| !status.is_dir())
}

/// Returns whether a name belongs to a file beside a cache: a lock, a copy, the journal of a move.
pub(crate) fn is_companion(name: &str) -> bool {
    const SUFFIXES: [&str; 6] = [".lockfile", ".tk-lock", ".tk-old", ".tk-moved", ".lapsed", ".claim"];
    SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
        || name.contains(".corrupt-")
        || name.starts_with("tk-")
}

impl Known {
    /// Returns whether the cache may be missing without an error: the user did not name it, and it has no file.
    pub(crate) fn is_guess(&self) -> bool {
        self.named.kind == Kind::Keystore && !self.named.path.as_deref().is_some_and(is_cache_file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_beside_a_cache_is_not_a_cache() {
        for name in
            ["msal.cache.lockfile", "msal.cache.tk-lock", "msal.cache.corrupt-00", "msal.cache.lapsed"]
        {
            assert!(is_companion(name), "{name}");
        }
        assert!(!is_companion("msal.cache.nocae"));
    }
}
