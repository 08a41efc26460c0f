//! The Unix calls for replacing a file.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::io::Errno;

use super::directory::Entry;
use super::files::{self, Status, retry};
pub(crate) use crate::platform::os::reserve;
use crate::{Error, Result};

/// Whether a file can always be replaced while a process has it open.
pub(crate) const REPLACES_OPEN_FILES: bool = true;

/// Opens the file that a rename is about to replace. If the replaced file is open, its blocks are freed at the close.
/// Otherwise the rename frees them, under the lock, and takes ten times as long. A failure here costs only time.
pub(crate) fn open_replaced(target: &Entry) -> Option<File> {
    files::careful().read(true).open(target).ok()
}

/// Creates a file that must not exist yet, for reading and writing, which no other user can open. Here the mode
/// ensures that; on systems with access lists, `like` gives the list.
pub(crate) fn create_new(entry: &Entry, _like: &Entry) -> io::Result<File> {
    files::careful().read(true).write(true).create_new(true).open(entry)
}

/// Like [`create_new`]: no directory of a Unix gives its files a mode.
pub(crate) fn create_inheriting(entry: &Entry) -> io::Result<File> {
    create_new(entry, entry)
}

/// Gives a file a second name.
pub(crate) fn link(from: &Entry, to: &Entry) -> io::Result<()> {
    from.link(to)
}

/// Renames the file `from` to `to` and replaces any file there.
pub(crate) fn rename(from: &Entry, to: &Entry) -> io::Result<()> {
    from.rename(to)
}

/// Returns whether the error means that the file is a mount point, which cannot be replaced.
pub(crate) fn is_mount_point(error: &io::Error) -> bool {
    [Errno::BUSY, Errno::XDEV].iter().any(|no| error.raw_os_error() == Some(no.raw_os_error()))
}

/// Removes a file.
pub(crate) fn remove(entry: &Entry) -> io::Result<()> {
    entry.remove()
}

/// Removes a file whose owner has another error to report, or no caller to report to. Retries interrupted calls.
/// After a lasting failure, the next writer removes the file.
pub(crate) fn remove_persistently(entry: &Entry) {
    for _ in 0..3 {
        match entry.remove() {
            Ok(()) => return,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(_) => {}
        }
    }
}

/// Opens the directory of a file for [`sync_directory`].
pub(crate) fn open_directory(entry: &Entry) -> io::Result<Option<File>> {
    entry.readable_directory().map(Some)
}

/// Waits until the content of a file is on the disk.
pub(crate) fn sync(file: &File) -> io::Result<()> {
    synced(retry(|| file.sync_all()), || retry(|| Ok(rustix::fs::fsync(file)?)))
}

/// Waits until the changes of a directory are on the disk.
pub(crate) fn sync_directory(directory: &File) -> io::Result<()> {
    match sync(directory) {
        // This file system cannot sync a directory.
        Err(error) if cannot_sync(&error) => Ok(()),
        outcome => outcome,
    }
}

/// Falls back to `plain` where the file system lacks what std asks for: on macOS a flush of the disk itself, which SMB,
/// many network drives, FUSE and shared folders of virtual machines do not have.
fn synced(outcome: io::Result<()>, plain: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    match outcome {
        Err(error) if cannot_sync(&error) => plain(),
        outcome => outcome,
    }
}

fn cannot_sync(error: &io::Error) -> bool {
    let codes = [Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOTTY, Errno::INVAL, Errno::NOSYS, Errno::BADF];
    codes.iter().any(|no| error.raw_os_error() == Some(no.raw_os_error()))
}

/// Keeps the owner of a user's cache that root rewrites.
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

/// Writes at a position of a file.
pub(crate) fn write_all_at(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    file.write_all_at(bytes, at)
}

/// Reads at a position of a file; returns the number of bytes.
pub(crate) fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
    retry(|| file.read_at(bytes, at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_that_cannot_flush_its_disk_is_synced_as_far_as_it_can() {
        for no in [Errno::NOTSUP, Errno::NOTTY, Errno::INVAL, Errno::NOSYS] {
            let mut plain = false;
            let outcome = synced(Err(no.into()), || {
                plain = true;
                Ok(())
            });
            assert!(outcome.is_ok() && plain, "{no}");
        }
        for no in [Errno::IO, Errno::NOSPC] {
            let outcome = synced(Err(no.into()), || unreachable!("a failure of the disk is told"));
            assert_eq!(outcome.unwrap_err().raw_os_error(), Some(no.raw_os_error()));
        }
    }
}
