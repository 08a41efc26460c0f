//! The fixed names of the caches of the Azure SDKs and the Azure CLI.

use std::env;
use std::path::{Path, PathBuf};

use super::{AzureSdk, CachePlace, Names, Preset};
use crate::item_shape::ItemShape;
use crate::platform::directory;
use crate::{Error, ErrorKind, Result, environment};

/// The service, or the value of an attribute, of every SDK.
const SERVICE: &str = "Microsoft.Developer.IdentityService";

/// The account of the default cache in some of them.
const ACCOUNT: &str = "MSALCache";

/// The folder of all SDKs, each in a directory of its own choice.
const FOLDER: &str = ".IdentityService";

/// The default name of a cache.
const DEFAULT_NAME: &str = "msal.cache";

/// The schema and the service of the encrypted cache of `az`.
const CLI: &str = "Microsoft Azure CLI";

pub(super) fn identity(preset: Preset, sdk: AzureSdk, cae: bool, names: &Names) -> Result<CachePlace> {
    let base = names.cache_name.as_deref().unwrap_or(DEFAULT_NAME);
    let suffix = suffix(cae);
    let name = match (sdk, &names.cache_name) {
        // JavaScript uses a given name unchanged, for both caches.
        (AzureSdk::Js, Some(given)) => given.clone(),
        _ => format!("{base}{suffix}"),
    };
    let path = match &names.path {
        Some(path) => path.clone(),
        None => directory(sdk)?.join(FOLDER).join(&name),
    };
    let client = ("MsalClientID", SERVICE);
    let shape = match sdk {
        AzureSdk::Python => {
            // Only in the Keychain does more than the schema distinguish the names.
            let account = if name == "msal.cache.nocae" { ACCOUNT } else { &name };
            ItemShape::python_given(&name, &[client]).labelled(ACCOUNT).in_keychain(SERVICE, account)
        }
        // One item for all cache names of this SDK.
        AzureSdk::Js => ItemShape::js(SERVICE, ACCOUNT),
        AzureSdk::DotNet => {
            // The same on Linux for .NET and Java.
            let shape = ItemShape::dotnet(DEFAULT_NAME, &name, client, (SERVICE, "1.0.0.0"));
            shape.in_keychain(SERVICE, &name)
        }
        AzureSdk::Java => {
            let account = format!("{}{suffix}", names.cache_name.as_deref().unwrap_or(ACCOUNT));
            ItemShape::java(DEFAULT_NAME, &account, &[client]).in_keychain(SERVICE, &account)
        }
    };
    Ok(CachePlace::own(preset, path, shape))
}

pub(super) fn cli(preset: Preset, names: &Names) -> Result<CachePlace> {
    let location = match (&names.path, env::var_os("AZURE_CONFIG_DIR")) {
        (Some(path), _) => path.clone(),
        (None, Some(folder)) if !folder.is_empty() => PathBuf::from(folder).join("msal_token_cache"),
        _ => home()?.join(".azure").join("msal_token_cache"),
    };
    let with = |extension: &str| match &names.path {
        Some(path) => path.clone(),
        // Not set_extension, so that a dot in a folder's or file's name stays.
        None => {
            let mut name = location.clone().into_os_string();
            name.push(extension);
            PathBuf::from(name)
        }
    };
    // The names of an example in the documentation of msal-extensions.
    let of_example = || {
        let attributes = [("my_attr1", "foo"), ("my_attr2", "bar")];
        ItemShape::python_given("my_schema_name", &attributes)
            .in_keychain("my_service_name", "my_account_name")
    };
    let own = || ItemShape::python_given(CLI, &[("type", "Token cache")]).in_keychain(CLI, "Token cache");
    Ok(match preset {
        Preset::AzureCliEncrypted291 => CachePlace::own(preset, with(".bin"), of_example()),
        Preset::AzureCliEncrypted if cfg!(windows) => CachePlace::own(preset, with(".bin"), own()),
        Preset::AzureCliEncrypted => CachePlace::own(preset, with(".sig"), own()),
        _ if cfg!(windows) && names.path.is_none() => CachePlace::own(preset, with(".bin"), own()),
        _ => CachePlace::plaintext(preset, with(".json")),
    })
}

fn suffix(cae: bool) -> &'static str {
    if cae { ".cae" } else { ".nocae" }
}

/// Returns the directory in which an SDK has its folder.
fn directory(sdk: AzureSdk) -> Result<PathBuf> {
    match sdk {
        AzureSdk::DotNet => environment::data_directory().ok_or_else(no_home),
        AzureSdk::Python | AzureSdk::Js | AzureSdk::Java => home(),
    }
}

fn home() -> Result<PathBuf> {
    environment::user_root_directory().ok_or_else(no_home)
}

fn no_home() -> Error {
    Error::new(ErrorKind::InvalidInput, "No home directory is known for this user")
        .remedy(format!("Set {}, or give the cache a path", environment::HOME))
}

/// Returns the names that programs gave to caches of this preset, from the files beside the default one at `path`.
pub(super) fn other_names(preset: Preset, path: &Path) -> Vec<String> {
    let suffix = match preset {
        Preset::AzureIdentity { sdk, cae } if names_are_caches(sdk) => Some(suffix(cae)),
        _ => None,
    };
    let beside = suffix.and_then(|_| directory::locate(path).ok()).map(|path| path.names_beside());
    let names = beside.into_iter().flatten().filter_map(move |name| {
        let name = name.into_string().ok()?;
        Some(name.strip_suffix(suffix?)?.to_owned())
    });
    let mut names: Vec<_> = names.filter(|name| !name.is_empty() && name != DEFAULT_NAME).collect();
    names.sort();
    names
}

/// Returns whether a named cache differs from the default one. The item may be the same for all names.
fn names_are_caches(sdk: AzureSdk) -> bool {
    match sdk {
        AzureSdk::Python => true,
        AzureSdk::Js => cfg!(windows),
        AzureSdk::DotNet | AzureSdk::Java => cfg!(not(target_os = "linux")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the file name of an SDK's cache, with the program's `name` or the default.
    fn file_name(sdk: AzureSdk, cae: bool, name: Option<&str>) -> String {
        let names = name.map_or_else(Names::default, |name| Names::default().cache_name(name));
        let place = Preset::AzureIdentity { sdk, cae }.place(&names).unwrap();
        place.path.file_name().unwrap().to_str().unwrap().to_owned()
    }

    #[test]
    fn only_in_javascript_is_a_given_name_the_whole_file_name() {
        assert_eq!(file_name(AzureSdk::Js, true, Some("mine")), "mine");
        assert_eq!(file_name(AzureSdk::Js, false, Some("mine")), "mine");
        assert_eq!(file_name(AzureSdk::Js, true, None), "msal.cache.cae");
        assert_eq!(file_name(AzureSdk::Python, true, Some("mine")), "mine.cae");
        assert_eq!(file_name(AzureSdk::DotNet, false, Some("mine")), "mine.nocae");
        assert_eq!(file_name(AzureSdk::Java, false, None), "msal.cache.nocae");
    }
}
