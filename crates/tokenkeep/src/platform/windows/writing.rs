//! The Windows calls for replacing a file.

use std::fs::{self, File};
use std::io;
use std::os::windows::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_INVALID_FUNCTION, ERROR_INVALID_HANDLE, ERROR_INVALID_PARAMETER,
    ERROR_NOT_SAME_DEVICE, ERROR_NOT_SUPPORTED, ERROR_USER_MAPPED_FILE, GENERIC_READ, GENERIC_WRITE,
};
use windows_sys::Win32::Storage::FileSystem::{
    FILE_ATTRIBUTE_NORMAL, FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, FILE_SHARE_DELETE,
    FILE_SHARE_READ, FILE_SHARE_WRITE,
};

use super::files::{self, Status, retry, retry_while};
use super::{access, sys};
use crate::Result;

/// How long a replacement waits for a file that another process has open. Virus scanners and indexers read every new
/// file; siblings read and write within milliseconds.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether a file can always be replaced while a process has it open: on NTFS yes, on other file systems no.
pub(crate) const REPLACES_OPEN_FILES: bool = false;

/// Creates a file that must not exist yet, for reading and writing. Its access list is that of `like`; if `like` does
/// not exist, only the user and the system may open it.
pub(crate) fn create_new(path: &Path, like: &Path) -> io::Result<File> {
    let list = access::of_new_file(like)?;
    let share = FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE;
    let flags = FILE_ATTRIBUTE_NORMAL | FILE_FLAG_OPEN_REPARSE_POINT;
    retry(|| sys::create_new(path, GENERIC_READ | GENERIC_WRITE, share, flags, &list))
}

/// Renames the file `from` to `to` and replaces any file there.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    // Access is also denied if the file is open, or open and removed, and may be granted a moment later.
    retry_while(PATIENCE, passes, || fs::rename(from, to))
}

fn passes(error: &io::Error) -> bool {
    files::is_shared_badly(error) || files::is_one_of(error, &[ERROR_ACCESS_DENIED, ERROR_USER_MAPPED_FILE])
}

/// Returns whether the error means that the file is a mount point, which cannot be replaced.
pub(crate) fn is_mount_point(error: &io::Error) -> bool {
    files::is_one_of(error, &[ERROR_NOT_SAME_DEVICE])
}

/// Removes a file.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    retry_while(PATIENCE, passes, || fs::remove_file(path))
}

/// Removes a file whose owner has another error to report, or no caller to report to. If it stays, the next writer
/// removes it.
pub(crate) fn remove_persistently(path: &Path) {
    let _ = remove(path);
}

/// Opens a directory for [`sync_directory`]; `None` if that is not possible: NTFS has a journal of names, which keeps
/// their order without a flush.
pub(crate) fn open_directory(path: &Path) -> io::Result<Option<File>> {
    let mut options = fs::OpenOptions::new();
    options.access_mode(GENERIC_WRITE).custom_flags(FILE_FLAG_BACKUP_SEMANTICS);
    match retry(|| options.open(path)) {
        Err(error) if cannot_sync(&error) => Ok(None),
        outcome => outcome.map(Some),
    }
}

/// Waits until the changes of a directory are on the disk.
pub(crate) fn sync_directory(directory: &File) -> io::Result<()> {
    match directory.sync_all() {
        Err(error) if cannot_sync(&error) => Ok(()),
        outcome => outcome,
    }
}

/// Returns whether the file system, or the user's rights, do not allow a flush of the directory.
fn cannot_sync(error: &io::Error) -> bool {
    let codes = [
        ERROR_ACCESS_DENIED,
        ERROR_INVALID_FUNCTION,
        ERROR_INVALID_HANDLE,
        ERROR_INVALID_PARAMETER,
        ERROR_NOT_SUPPORTED,
    ];
    files::is_one_of(error, &codes)
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
