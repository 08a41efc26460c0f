//! The only file of the command that selects an operating system.

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::{file_system, process_state, program_version};

#[cfg(not(any(target_os = "linux", windows)))]
mod other;
#[cfg(not(any(target_os = "linux", windows)))]
pub(crate) use other::file_system;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub(crate) use windows::{file_system, on_interrupt};

#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(crate) use unix::on_interrupt;

use std::fs::Metadata;

/// The file system of a cache's directory, for display.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileSystem {
    /// The system's name for it: `ext4`, `nfs4`.
    pub(crate) name: Option<String>,
    /// Whether other machines may change its files, so that locks depend on them.
    pub(crate) remote: bool,
    pub(crate) read_only: bool,
}

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
