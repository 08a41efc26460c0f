//! Where caches stand that nobody named: those of the Azure SDKs, of Azure CLI, and of programs that use this library
//! with its defaults. Nothing is searched for beyond these places.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use tokenkeep::environment;

use crate::arguments::Kind;
use crate::stores::{Named, Standing, standing};

/// The service under which the Azure SDKs keep their items.
const AZURE_SERVICE: &str = "Microsoft.Developer.IdentityService";
/// The one item that all caches of the Azure SDK for JavaScript share.
const AZURE_ACCOUNT: &str = "MSALCache";
/// No data directory holds more programs of ours; a directory this full is somebody's mistake.
const MOST: usize = 2_000;

/// A cache, and whose it is.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) owner: String,
    pub(crate) named: Named,
}

/// The caches in known places. Files that are not there are not named; an item of the keystore is, since only asking
/// tells whether it exists.
pub(crate) fn caches() -> Vec<Known> {
    let mut found = Vec::new();
    found.extend(azure_cli());
    found.extend(azure_sdks());
    found.extend(own());
    found
}

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

/// The user's own folder, which on Windows is not where caches are kept.
fn profile() -> Option<PathBuf> {
    match cfg!(windows) {
        true => std::env::var_os("USERPROFILE").map(PathBuf::from),
        false => environment::user_root_directory(),
    }
}

fn azure_sdks() -> Vec<Known> {
    let mut folders: Vec<PathBuf> =
        [environment::user_root_directory(), environment::data_directory(), cache_directory()]
            .into_iter()
            .flatten()
            .map(|parent| parent.join(".IdentityService"))
            .collect();
    folders.dedup();
    let mut found = Vec::new();
    let mut markers = None;
    for path in folders.iter().flat_map(|folder| entries(folder)) {
        let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default().into_owned();
        if !name.starts_with("msal.cache") || is_companion(&name) {
            continue;
        }
        match standing(&path) {
            // All of them lead to one item.
            Standing::Vacant if !cfg!(windows) => markers = markers.or(Some(path)),
            Standing::Nothing => {}
            _ => found.push(Known { owner: "Azure SDK".to_owned(), named: Named::file(path) }),
        }
    }
    if !cfg!(windows) {
        let named = Named::item(markers, AZURE_SERVICE, AZURE_ACCOUNT);
        found.push(Known { owner: "Azure SDK for JavaScript".to_owned(), named });
    }
    found
}

fn cache_directory() -> Option<PathBuf> {
    let chosen = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    chosen.or_else(|| environment::user_root_directory().map(|home| home.join(".cache")))
}

/// Programs that use this library with nothing but a name.
fn own() -> Vec<Known> {
    let Some(data) = environment::data_directory() else { return Vec::new() };
    let caches = entries(&data).into_iter().map(|folder| folder.join("token_cache.json"));
    caches
        .filter(|path| is_cache_file(path))
        .filter_map(|path| {
            let application = path.parent()?.file_name()?.to_str()?.to_owned();
            let named = match standing(&path) {
                Standing::Vacant if !cfg!(windows) => Named::item(Some(path), &application, "token_cache"),
                _ => {
                    let names = Some((application.clone(), "token_cache".to_owned()));
                    Named { names, ..Named::file(path) }
                }
            };
            Some(Known { owner: application, named })
        })
        .collect()
}

/// What is in a folder, in the order of names; nothing if it cannot be listed.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(listing) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = listing.flatten().take(MOST).map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn is_cache_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|status| !status.is_dir())
}

/// Whether a name is that of a file beside a cache: a lock, a copy, notes of a move.
pub(crate) fn is_companion(name: &str) -> bool {
    const SUFFIXES: [&str; 6] = [".lockfile", ".tk-lock", ".tk-old", ".tk-moved", ".lapsed", ".claim"];
    SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
        || name.contains(".corrupt-")
        || name.starts_with("tk-")
}

impl Known {
    /// Whether nothing would be missed if it turned out not to exist: nobody named it and no file is there.
    pub(crate) fn is_guess(&self) -> bool {
        self.named.kind == Kind::Keystore && self.named.path.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_beside_a_cache_is_not_taken_for_one() {
        for name in
            ["msal.cache.lockfile", "msal.cache.tk-lock", "msal.cache.corrupt-00", "msal.cache.lapsed"]
        {
            assert!(is_companion(name), "{name}");
        }
        assert!(!is_companion("msal.cache.nocae"));
    }
}
