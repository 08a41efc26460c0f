//! The only file that selects an operating system.
//!
//! Every variant exposes the same items, so that no code above this file depends on the system.

pub(crate) mod lock_record;
pub(crate) mod room;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as os;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "macos")]
use macos as os;
#[cfg(windows)]
#[allow(clippy::disallowed_methods, reason = "open files keep their directory")]
mod windows;
#[cfg(windows)]
use windows as os;
#[cfg(all(unix, not(any(target_os = "linux", target_os = "macos"))))]
mod other;
#[cfg(all(unix, not(any(target_os = "linux", target_os = "macos"))))]
use other as os;
#[cfg(all(unix, not(target_os = "linux")))]
mod posix;

// Decisions over numbers, whose tests run everywhere.
#[cfg(all(test, not(windows)))]
#[path = "platform/windows/answers.rs"]
mod windows_answers;

#[cfg(not(any(unix, windows)))]
compile_error!("tokenkeep keeps files and locks between processes, for which it needs Unix or Windows");

#[cfg(unix)]
mod unix;
#[cfg(unix)]
use unix as family;
#[cfg(windows)]
use windows as family;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::Result;
use crate::item_shape::ItemShape;
#[cfg(any(target_os = "macos", feature = "stand-in-keychain"))]
use crate::keychain::KeychainItem;
use crate::options::Prompting;
use crate::persistence::keystore::Keystore;
#[cfg(unix)]
use crate::stamp::belief::Times;
#[cfg(not(windows))]
use crate::{Error, ErrorKind, Protector, Secret, options::DataProtectionScope};

pub(crate) use family::{directory, files, key_file, lock_file, process, writing};
#[cfg(feature = "watch")]
pub(crate) use os::FILE_EVENTS;
pub(crate) use os::{keyring, portal};

#[cfg(windows)]
pub(crate) use os::data_protection;
#[cfg(windows)]
pub use os::dpapi::DataProtection;
#[cfg(target_os = "linux")]
pub use os::secret_service::{
    SecretServiceCollection, SecretServiceItem, SecretServiceProvider, SecretServiceSurvey,
};

/// How a platform reports changes of files.
#[cfg(feature = "watch")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileEvents {
    /// How many existing directories above a file to watch. macOS reports events of everything below a directory, and the
    /// second one is often the user's home.
    pub(crate) directories: usize,
    /// Whether events have the spelling on the disk, which may differ from the program's in case.
    pub(crate) own_spelling: bool,
}

/// The kind of a file system, as far as it decides about locks and stamps.
#[cfg(unix)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileSystemKind {
    /// Whether other machines, or a daemon, may change its files.
    pub(crate) remote: bool,
    pub(crate) times: Times,
}

/// An item of the platform's keystore, and the limits of its use.
#[allow(dead_code, reason = "a platform without a keystore reads none of them")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct ItemRequest<'n> {
    pub(crate) service: &'n str,
    pub(crate) account: &'n str,
    /// The shape of the item, if it is not derived from service and account.
    pub(crate) shape: Option<&'n ItemShape>,
    pub(crate) prompting: Prompting,
    /// The limit of an operation, if it is not the keystore's default.
    pub(crate) deadline: Option<Duration>,
}

/// The store that a platform protects best.
#[allow(dead_code, reason = "each platform has one of them")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OwnStore {
    SecretService,
    Keychain,
    DataProtection,
    Unknown,
}

impl OwnStore {
    /// The store of this platform.
    pub(crate) fn of_platform() -> Self {
        #[cfg(feature = "stand-in-keychain")]
        if crate::keychain::stand_in().is_some() {
            return Self::Keychain;
        }
        os::OWN
    }
}

impl fmt::Display for OwnStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SecretService => "the Secret Service",
            Self::Keychain => "the Keychain",
            Self::DataProtection => "a file encrypted by Windows",
            Self::Unknown => "the system's keystore",
        })
    }
}

/// Returns an item of the platform's keystore. Makes no request.
///
/// # Errors
/// `InvalidInput` for names that no item can have; `NotSupported` if the platform has no keystore with items.
pub(crate) fn keystore_item(request: &ItemRequest<'_>) -> Result<Arc<dyn Keystore>> {
    #[cfg(feature = "stand-in-keychain")]
    if let Some(framework) = crate::keychain::stand_in() {
        return keychain_item(request, |service, account| KeychainItem::over(framework, service, account));
    }
    os::keystore_item(request)
}

/// Returns an item of a keychain. Of a shape, only the service and the account apply there.
#[cfg(any(target_os = "macos", feature = "stand-in-keychain"))]
fn keychain_item(
    request: &ItemRequest<'_>,
    new: impl FnOnce(&str, &str) -> Result<KeychainItem>,
) -> Result<Arc<dyn Keystore>> {
    let names = (request.service, request.account);
    let (service, account) = request.shape.and_then(ItemShape::keychain).unwrap_or(names);
    let item = new(service, account)?.prompting(request.prompting);
    Ok(Arc::new(match request.deadline {
        Some(deadline) => item.deadline(deadline),
        None => item,
    }))
}

/// On Windows.
#[cfg(not(windows))]
pub(crate) fn data_protection(
    _scope: DataProtectionScope,
    _entropy: Option<&Secret>,
) -> Result<Arc<dyn Protector>> {
    Err(Error::new(ErrorKind::NotSupported, "Dpapi is not supported on this platform"))
}
