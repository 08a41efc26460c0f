//! What putting a file in the place of another needs from Unix.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use rustix::io::Errno;

use super::files::{self, Status, retry};
pub(crate) use crate::platform::os::reserve;
use crate::{Error, Result};

/// Whether a file may be replaced while somebody has it open, in every case.
pub(crate) const REPLACES_OPEN_FILES: bool = true;

/// Creates a file that nobody else can open and that must not exist yet, for reading and writing. Where access lists
/// decide who can, `like` tells them; here the mode does.
pub(crate) fn create_new(path: &Path, _like: &Path) -> io::Result<File> {
    retry(|| files::careful().read(true).write(true).create_new(true).open(path))
}

/// Gives the file `from` the name `to`, whatever had it before.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    retry(|| fs::rename(from, to))
}

/// Something is mounted on the very file, so that its name cannot be given to another.
pub(crate) fn is_mount_point(error: &io::Error) -> bool {
    [Errno::BUSY, Errno::XDEV].iter().any(|no| error.raw_os_error() == Some(no.raw_os_error()))
}

/// Removes a file.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    retry(|| fs::remove_file(path))
}

/// Removes a file whose owner has something else to report, or nobody to report to. A disturbance that passes must not
/// leave it; one that stays leaves what the next writer sweeps.
pub(crate) fn remove_persistently(path: &Path) {
    for _ in 0..3 {
        match fs::remove_file(path) {
            Ok(()) => return,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(_) => {}
        }
    }
}

/// A directory, for [`sync_directory`].
pub(crate) fn open_directory(path: &Path) -> io::Result<Option<File>> {
    retry(|| File::open(path)).map(Some)
}

/// Waits until what happened in a directory is on the disk.
pub(crate) fn sync_directory(directory: &File) -> io::Result<()> {
    match retry(|| directory.sync_all()) {
        // This file system has nothing to sync in a directory.
        Err(error) if error.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => Ok(()),
        outcome => outcome,
    }
}

/// Root that rewrites a user's cache leaves it the user's.
pub(crate) fn keep_owner(file: &File, path: &Path, old: &Status) -> Result<()> {
    if files::effective_user() != 0 {
        return Ok(());
    }
    let new = files::status_of(file, path)?;
    if (new.uid(), new.gid()) == (old.uid(), old.gid()) {
        return Ok(());
    }
    retry(|| std::os::unix::fs::fchown(file, Some(old.uid()), Some(old.gid())))
        .map_err(|error| Error::io("Cannot give the new content its old owner", path, error))
}

/// Writes into the middle of a file.
pub(crate) fn write_all_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    file.write_all_at(bytes, at)
}

/// Reads from the middle of a file; how many bytes there were.
pub(crate) fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
    retry(|| file.read_at(bytes, at))
}
