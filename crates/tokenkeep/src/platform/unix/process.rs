//! The state of other processes, as far as the lock needs it.

pub(crate) use crate::platform::os::{boot_id, command, life, start, user_namespace, writes};

/// Returns whether the user who started this process is root.
pub(crate) fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

/// The value of [`boot_id`] if the system does not give one.
pub(crate) const UNKNOWN_BOOT: &str = "-";

/// The state of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Gone, or a zombie that waits to be reaped.
    Dead,
    /// Alive; started at this many nanoseconds since the epoch.
    #[allow(dead_code, reason = "macOS does not tell when")]
    Running { started: i128 },
    /// Unknown.
    Unknown,
}
