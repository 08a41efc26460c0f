//! The only place that chooses an operating system.
//!
//! Every variant exposes the same items, so that nothing above this file asks where it runs.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as os;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "macos")]
use macos as os;

#[cfg(unix)]
mod unix;

#[cfg(unix)]
pub(crate) use os::keyring;
#[cfg(unix)]
pub(crate) use unix::{files, key_file, lock_file, process};

#[cfg(target_os = "linux")]
pub use os::secret_service::SecretServiceItem;
