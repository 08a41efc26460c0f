//! The only file of the command that selects an operating system.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::{process_state, program_version};

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(crate) use windows::on_interrupt;

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(crate) use unix::on_interrupt;

use std::fs::Metadata;

/// Whether items of this system's keystore are those of the macOS Keychain.
pub(crate) const HAS_KEYCHAIN: bool = cfg!(any(target_os = "macos", feature = "stand-in-keychain"));

/// Returns the permission bits of a file or directory; `None` where the system has other rules.
pub(crate) fn mode(status: &Metadata) -> Option<u32> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        Some(status.mode() & 0o7777)
    }
    #[cfg(not(unix))]
    {
        let _ = status;
        None
    }
}

/// Returns whether a file belongs to the user of this process; `None` if that is unknown.
pub(crate) fn is_own(status: &Metadata) -> Option<bool> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        Some(status.uid() == rustix::process::geteuid().as_raw())
    }
    #[cfg(not(unix))]
    {
        let _ = status;
        None
    }
}
