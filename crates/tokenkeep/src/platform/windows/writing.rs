//! The Windows calls for replacing a file.

use std::fs::{self, File};
use std::io;
use std::os::windows::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use windows_sys::Win32::Foundation::{GENERIC_READ, GENERIC_WRITE};
use windows_sys::Win32::Storage::FileSystem::{
    DELETE, FILE_ATTRIBUTE_NORMAL, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT,
    FILE_SHARE_DELETE, FILE_SHARE_READ, FILE_SHARE_WRITE, FILE_WRITE_DATA,
};

use super::files::{Status, retry, retry_while};
use super::{access, answers, sys};
use crate::Result;

/// How long a replacement waits for a file that another process has open. Siblings read and write within milliseconds;
/// virus scanners, backups and synchronisation read every new file, and may take seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whether a file can always be replaced while a process has it open: on NTFS yes, on other file systems no.
pub(crate) const REPLACES_OPEN_FILES: bool = false;

/// Opens nothing: an open file keeps its name here, and would block the rename.
pub(crate) fn open_replaced(_target: &Path) -> Option<File> {
    None
}

/// Creates a file that must not exist yet, for reading and writing. Its access list is that of `like`; if `like` does
/// not exist, only the user and the system may open it.
pub(crate) fn create_new(path: &Path, like: &Path) -> io::Result<File> {
    let list = access::of_new_file(like)?;
    let share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    let flags = FILE_ATTRIBUTE_NORMAL | FILE_FLAG_OPEN_REPARSE_POINT;
    retry(|| sys::create_new(path, GENERIC_READ | GENERIC_WRITE, share, flags, list.as_deref()))
}

/// Creates a file that must not exist yet, for all users whom the directory lets in.
pub(crate) fn create_inheriting(path: &Path) -> io::Result<File> {
    let share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    let flags = FILE_ATTRIBUTE_NORMAL | FILE_FLAG_OPEN_REPARSE_POINT;
    retry(|| sys::create_new(path, GENERIC_READ | GENERIC_WRITE, share, flags, None))
}

pub(crate) use super::directory::link;

/// Renames the file `from` to `to` and replaces any file there.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    retry_while(PATIENCE, answers::may_replace_later, || rename_once(from, to))
        .map_err(|error| told(to, error))
}

/// In one step for every reader where the file system can: a reader then meets no moment without the file, and a file
/// that is open is replaced as well.
fn rename_once(from: &Path, to: &Path) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.access_mode(DELETE).custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
    match sys::rename_over(&options.open(from)?, to) {
        Err(error) if answers::lacks_posix_rename(&error) => fs::rename(from, to),
        outcome => outcome,
    }
}

/// Returns the reason why a file could not be replaced or removed: access is denied also to a user who has all rights,
/// while a program has the file open.
fn told(path: &Path, error: io::Error) -> io::Error {
    if !answers::is_one_of(&error, &[answers::code::ACCESS_DENIED]) {
        return error;
    }
    let mut writing = fs::OpenOptions::new();
    writing.access_mode(FILE_WRITE_DATA).custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
    match writing.open(path) {
        Ok(_) => io::Error::from_raw_os_error(answers::code::SHARING_VIOLATION),
        Err(_) => error,
    }
}

/// Returns whether the error means that the file is a mount point, which cannot be replaced.
pub(crate) fn is_mount_point(error: &io::Error) -> bool {
    answers::is_another_volume(error)
}

/// Removes a file.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    retry_while(PATIENCE, answers::may_replace_later, || fs::remove_file(path))
        .map_err(|error| told(path, error))
}

/// Removes a file whose owner has another error to report, or no caller to report to. If it stays, the next writer
/// removes it.
pub(crate) fn remove_persistently(path: &Path) {
    let _ = remove(path);
}

/// Opens the directory of a file for [`sync_directory`]; `None` if that is not possible: NTFS has a journal of names, which keeps
/// their order without a flush.
pub(crate) fn open_directory(target: &Path) -> io::Result<Option<File>> {
    let path = super::files::directory_of(target);
    let mut options = fs::OpenOptions::new();
    options.access_mode(GENERIC_WRITE).custom_flags(FILE_FLAG_BACKUP_SEMANTICS);
    // A program may have the directory open without sharing it: that prevents the flush and must not prevent the write.
    match options.open(path) {
        Err(error) if !answers::is_failing_disk(&error) => Ok(None),
        outcome => outcome.map(Some),
    }
}

/// Waits until the content of a file is on the disk.
pub(crate) fn sync(file: &File) -> io::Result<()> {
    file.sync_all()
}

/// Waits until the changes of a directory are on the disk.
pub(crate) fn sync_directory(directory: &File) -> io::Result<()> {
    match directory.sync_all() {
        Err(error) if !answers::is_failing_disk(&error) => Ok(()),
        outcome => outcome,
    }
}

/// A file belongs to its creator; its access list was set at its creation.
pub(crate) fn keep_owner(_file: &File, _path: &Path, _old: &Status) -> Result<()> {
    Ok(())
}

/// Writes at a position of a file.
pub(crate) fn write_all_at(file: &File, mut bytes: &[u8], mut at: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let count = file.seek_write(bytes, at)?;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[count..];
        at += count as u64;
    }
    Ok(())
}

/// Reads at a position of a file; returns the number of bytes.
pub(crate) fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
    file.seek_read(bytes, at)
}

/// Reserves space for `length` bytes in the file without changing its readable content.
pub(crate) fn reserve(file: &File, length: u64) -> io::Result<()> {
    let length = length.max(sys::information(file)?.size);
    sys::allocate(file, i64::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge)?)
}
