//! The only place that chooses an operating system.
//!
//! Every variant exposes the same items, so that nothing above this file asks where it runs.

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

#[cfg(not(any(unix, windows)))]
compile_error!("tokenkeep keeps files and locks between processes, for which it needs Unix or Windows");

#[cfg(unix)]
mod unix;
#[cfg(unix)]
use unix as family;
#[cfg(windows)]
use windows as family;

use std::sync::Arc;

use crate::{
    Protector,
    storage::{ItemShape, Keystore},
};

pub(crate) use family::{files, key_file, lock_file, process, writing};
pub(crate) use os::{OWN_STORE, keyring, own_store};

#[cfg(windows)]
pub use os::dpapi::{DataProtection, DataProtectionScope};
#[cfg(target_os = "linux")]
pub use os::secret_service::{
    SecretServiceCollection, SecretServiceItem, SecretServiceProvider, SecretServiceSurvey,
};

/// By what names its item is found, where it has items.
#[allow(dead_code, reason = "each platform reads those it has a use for")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct ItemNames<'n> {
    pub(crate) service: &'n str,
    pub(crate) account: &'n str,
    /// How the item looks, if other than service and account make it.
    pub(crate) shape: Option<&'n ItemShape>,
}

/// What a platform keeps a cache in when nobody asks for anything else.
#[allow(dead_code, reason = "each platform has one of them")]
pub(crate) enum OwnStore {
    /// An item of its keystore.
    Item(Arc<dyn Keystore>),
    /// A file through a protector of its own.
    File(Arc<dyn Protector>),
}
