//! The only place that chooses an operating system.
//!
//! Every variant exposes the same items, so that nothing above this file asks where it runs.

#[cfg(target_os = "linux")]
#[path = "platform/linux.rs"]
mod os;
#[cfg(target_os = "macos")]
#[path = "platform/macos.rs"]
mod os;

#[cfg(unix)]
mod unix;

#[cfg(unix)]
pub(crate) use unix::{files, lock_file, process};
