//! Other processes, as far as the lock has to judge them.

pub(crate) use crate::platform::os::{boot_id, command, life, start, user_namespace, writes};

/// Whether the user who started this process is root.
pub(crate) fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

/// What [`boot_id`] is where the system does not tell it.
pub(crate) const UNKNOWN_BOOT: &str = "-";

/// Whether a process is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Gone, or a zombie that only waits to be reaped.
    Dead,
    /// Alive; started at this many nanoseconds since the epoch.
    #[allow(dead_code, reason = "macOS does not tell when")]
    Running { started: i128 },
    /// It cannot be told.
    Unknown,
}
