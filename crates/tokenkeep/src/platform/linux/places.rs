//! Directories as places in the file system, without a right to read them.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, fstat, openat, openat2, readlinkat};

use crate::fork::PerProcess;
use crate::platform::files::{Status, retry};

/// How a directory is opened in which names are looked up.
pub(crate) const PLACE: OFlags = OFlags::PATH;

/// Opens a directory in one call if no part of the path is a link. `None` on a kernel or in a sandbox without the call.
pub(crate) fn open_without_links(path: &Path) -> Option<io::Result<File>> {
    let flags = PLACE | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match retry(|| Ok(openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS)?)) {
        Err(error) if error.kind() == io::ErrorKind::Unsupported => None,
        opened => Some(opened.map(File::from)),
    }
}

/// Reads a link and its status from one descriptor.
pub(crate) fn read_link(directory: impl AsFd, name: &OsStr) -> io::Result<(Status, PathBuf)> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let link = retry(|| Ok(openat(&directory, name, flags, Mode::empty())?))?;
    let status = Status::of(&fstat(&link)?);
    if !status.is_symlink() {
        return Err(rustix::io::Errno::INVAL.into());
    }
    let target = readlinkat(&link, "", Vec::new())?;
    Ok((status, PathBuf::from(OsString::from_vec(target.into_bytes()))))
}

/// Sets the mode of an open directory, which may be closed to its owner by the umask.
#[allow(clippy::disallowed_methods, reason = "the path is that of the descriptor")]
pub(crate) fn set_mode(_parent: &File, _name: &OsStr, directory: &File, mode: u32) -> io::Result<()> {
    // The link in /proc leads to the open directory itself.
    let itself = format!("/proc/self/fd/{}", directory.as_raw_fd());
    retry(|| fs::set_permissions(&itself, Permissions::from_mode(mode)))
}

/// Returns whether the number stands for all users that this user namespace does not know, such as root of the machine in a
/// container without rights.
pub(crate) fn is_unmapped(user: u32) -> bool {
    static MAP: PerProcess<Vec<(u64, u64)>> = PerProcess::new();
    let map = MAP.get_or_init(|| {
        let text = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        let range = |line: &str| {
            let mut words = line.split_ascii_whitespace();
            let first: u64 = words.next()?.parse().ok()?;
            Some((first, words.nth(1)?.parse().ok()?))
        };
        text.lines().filter_map(range).collect()
    });
    let user = u64::from(user);
    !map.is_empty()
        && !map.iter().any(|(first, count)| (*first..first.saturating_add(*count)).contains(&user))
}
