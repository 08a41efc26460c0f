//! Processes, clocks and writers on a Unix without platform code of its own.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, chmodat, readlinkat, statat};

use rustix::process::{Pid, test_kill_process};
use rustix::time::{ClockId, clock_gettime};

use super::files::{Status, retry};
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

/// Unknown without unsafe code.
pub(crate) fn flock_holders(_identity: (u64, u64)) -> Vec<u32> {
    Vec::new()
}

/// Unknown without unsafe code.
pub(crate) fn user_of(_pid: u32) -> Option<u32> {
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

/// How a directory is opened in which names are looked up. A directory that may be entered and not read is refused here.
pub(crate) const PLACE: OFlags = OFlags::RDONLY;

/// These systems have no such call.
pub(crate) fn open_without_links(_path: &Path) -> Option<io::Result<File>> {
    None
}

/// Reads a link and its status. The link must be the same file before and after, because it cannot be opened itself.
pub(crate) fn read_link(directory: impl AsFd, name: &OsStr) -> io::Result<(Status, PathBuf)> {
    let look = || retry(|| Ok(Status::of(&statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)?)));
    let before = look()?;
    if !before.is_symlink() {
        return Err(rustix::io::Errno::INVAL.into());
    }
    let target = readlinkat(&directory, name, Vec::new())?;
    let after = look()?;
    if after.fingerprint() != before.fingerprint() || after.uid() != before.uid() {
        return Err(rustix::io::Errno::LOOP.into());
    }
    Ok((after, PathBuf::from(OsString::from_vec(target.into_bytes()))))
}

/// Sets the mode of a directory, never through a link.
pub(crate) fn set_mode(parent: &File, name: &OsStr, _directory: &File, mode: u32) -> io::Result<()> {
    // The type is narrower on some systems.
    let mode = Mode::from_bits_truncate(mode.try_into().unwrap_or_default());
    retry(|| Ok(chmodat(parent, name, mode, AtFlags::SYMLINK_NOFOLLOW)?))
}

/// There are no user namespaces.
pub(crate) fn is_unmapped(_user: u32) -> bool {
    false
}
