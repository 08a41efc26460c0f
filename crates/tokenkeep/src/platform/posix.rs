//! Processes, clocks and writers as far as every Unix has them, for those that nothing more is known of.

use std::fs::File;
use std::path::Path;

use rustix::process::{Pid, test_kill_process};
use rustix::time::{ClockId, clock_gettime};

use super::process::{Life, UNKNOWN_BOOT};

/// The clock by which file systems stamp times, in nanoseconds since the epoch.
pub(crate) fn coarse_clock() -> i128 {
    let now = clock_gettime(ClockId::Realtime);
    i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec)
}

/// Where a system tells the time of its start, it does so through an interface without a safe wrapper. The record of a
/// lock is then of no known start, and on a remote file system never proves anybody dead.
pub(crate) fn boot_id() -> &'static str {
    UNKNOWN_BOOT
}

/// Whether `pid` still exists. A zombie does; its parent is expected to reap it.
pub(crate) fn life(pid: u32) -> Life {
    match i32::try_from(pid).ok().and_then(Pid::from_raw).map(test_kill_process) {
        Some(Err(rustix::io::Errno::SRCH)) | None => Life::Dead,
        Some(_) => Life::Unknown,
    }
}

/// There are none.
pub(crate) fn user_namespace() -> Option<u64> {
    None
}

/// Where a truncation shows its size before its time there is nothing known to wait for: the new time is what tells.
pub(crate) fn wait_for_truncation(_file: &File) {}

/// Whether a process is known to have the file open for writing: nobody tells that without unsafe code.
pub(crate) fn writes(_path: &Path) -> bool {
    false
}

/// Not to be had without unsafe code.
pub(crate) fn start(_pid: u32) -> Option<u64> {
    None
}

/// Not to be had without unsafe code.
pub(crate) fn command(_pid: u32) -> Option<String> {
    None
}
