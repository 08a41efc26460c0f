//! The only file that selects an operating system.
//!
//! Every variant exposes the same items, so that no code above this file depends on the system.

pub(crate) mod lock_record;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as os;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "macos")]
use macos as os;
#[cfg(windows)]
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

#[cfg(not(windows))]
use std::sync::Arc;
use std::time::Duration;

use crate::item_shape::ItemShape;
use crate::options::Prompting;
#[cfg(not(windows))]
use crate::{Error, ErrorKind, Protector, Result, Secret, options::DataProtectionScope};

pub(crate) use family::{files, key_file, lock_file, process, writing};
pub(crate) use os::{OWN, OWN_STORE, keyring, keystore_item};

#[cfg(windows)]
pub(crate) use os::data_protection;
#[cfg(windows)]
pub use os::dpapi::DataProtection;
#[cfg(target_os = "linux")]
pub use os::secret_service::{
    SecretServiceCollection, SecretServiceItem, SecretServiceProvider, SecretServiceSurvey,
};

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

/// On Windows.
#[cfg(not(windows))]
pub(crate) fn data_protection(
    _scope: DataProtectionScope,
    _entropy: Option<&Secret>,
) -> Result<Arc<dyn Protector>> {
    Err(Error::new(ErrorKind::NotSupported, "Dpapi is not supported on this platform"))
}
