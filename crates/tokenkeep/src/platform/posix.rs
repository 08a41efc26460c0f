//! Processes, clocks and writers on a Unix without platform code of its own.

use std::fs::File;
use std::path::Path;

use rustix::process::{Pid, test_kill_process};
use rustix::time::{ClockId, clock_gettime};

use super::process::{Life, UNKNOWN_BOOT};

/// Returns the clock with which file systems stamp times, in nanoseconds since the epoch.
pub(crate) fn coarse_clock() -> i128 {
    let now = clock_gettime(ClockId::Realtime);
    i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec)
}

/// These systems give their boot time only through an interface without a safe wrapper. The record of a lock then has
/// no known boot, and on a remote file system never proves that a process is dead.
pub(crate) fn boot_id() -> &'static str {
    UNKNOWN_BOOT
}

/// Returns whether `pid` still exists. A zombie does; its parent should reap it.
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

/// Without a known delay between a truncation's size and its time, there is nothing to wait for: the new time shows
/// the change.
pub(crate) fn wait_for_truncation(_file: &File) {}

/// Returns whether a process is known to have the file open for writing: unknown without unsafe code.
pub(crate) fn writes(_path: &Path) -> bool {
    false
}

/// Unknown without unsafe code.
pub(crate) fn start(_pid: u32) -> Option<u64> {
    None
}

/// Unknown without unsafe code.
pub(crate) fn command(_pid: u32) -> Option<String> {
    None
}
