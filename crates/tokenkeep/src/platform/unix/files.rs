//! Opens, checks and fingerprints files that only their owner can have created.
//!
//! A path is resolved once per operation. Files are opened without following links and checked through their
//! descriptor, so no other process can exchange them between check and use.

use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, OFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::inspect::FileSystem;
use crate::platform::{os, room};
use crate::stamp::belief::Times;
use crate::stamp::{Fingerprint, Stamp};
use crate::{Error, ErrorKind, Result};

use super::calls::without_modes;
pub(crate) use super::calls::{effective_user, retry};
use super::directory::Entry;
pub(crate) use super::directory::{
    create as create_directory, directory_of, look_at, open_directory_warning, require_own_directory,
};
pub(crate) use super::status::Status;

/// The owner may read and write; all others nothing.
pub(crate) const FILE_MODE: u32 = 0o600;

/// The suffix of the private lock file, after the name of the cache file.
pub(crate) const PRIVATE_LOCK_SUFFIX: &str = ".tk-lock";
/// The suffix of the sibling libraries' lock file.
pub(crate) const SIBLING_LOCK_SUFFIX: &str = ".lockfile";
/// NAME_MAX of every Unix file system in use.
const LONGEST_NAME: usize = 255;

/// Returns the directory for data that a user's programs share until log-out: the one of systemd and elogind, also
/// for a process whose environment does not name it.
pub(crate) fn runtime_directory() -> Option<PathBuf> {
    let told = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    Some(told.unwrap_or_else(|| format!("/run/user/{}", effective_user()).into()))
}

/// Returns the directory that the log-in of this user has for its programs, whatever the environment says; `None` without a
/// log-in. A program that was started in a session has its bus there, too.
pub(crate) fn login_directory() -> Option<PathBuf> {
    let path = PathBuf::from(format!("/run/user/{}", effective_user()));
    path.is_dir().then_some(path)
}

/// Returns the user with whose rights this process runs as part of a file name.
pub(crate) fn user() -> String {
    effective_user().to_string()
}

/// Makes `path` absolute, so that a later change of the working directory has no effect.
///
/// # Errors
/// `InvalidInput` for an empty path, a NUL, a path that names no file, or a name without room for those of the lock
/// files, before any file is written.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    if path.as_os_str().is_empty() {
        return Err(Error::new(ErrorKind::InvalidInput, "The cache path is empty"));
    }
    if path.as_os_str().as_bytes().contains(&0) {
        return Err(Error::new(ErrorKind::InvalidInput, "The cache path contains a NUL byte").at(path));
    }
    // `file_name` ignores a trailing slash or dot, which means a directory.
    let named = path.as_os_str().as_bytes();
    if path.file_name().is_none() || named.ends_with(b"/") || named.ends_with(b"/.") {
        return Err(Error::new(ErrorKind::InvalidInput, "The cache path names no file").at(path));
    }
    let longest = LONGEST_NAME - SIBLING_LOCK_SUFFIX.len().max(PRIVATE_LOCK_SUFFIX.len());
    if path.file_name().is_some_and(|name| name.len() > longest) {
        let text = format!("The name of the cache file is longer than {longest} bytes");
        return Err(Error::new(ErrorKind::InvalidInput, text)
            .at(path)
            .remedy("Choose a shorter name: that of the lock file beside it is longer"));
    }
    if path.iter().any(|name| name.len() > LONGEST_NAME) {
        let text = format!("A directory in the cache path has a name longer than {LONGEST_NAME} bytes");
        return Err(Error::new(ErrorKind::InvalidInput, text).at(path).remedy("Choose a shorter path"));
    }
    std::path::absolute(path).map_err(|error| Error::io("Cannot make the cache path absolute", path, error))
}

/// Returns `None`: the environment alone tells it.
pub(crate) fn local_data() -> Option<PathBuf> {
    None
}

/// Returns the path as events name it: as it is.
#[allow(dead_code, reason = "of use with the feature `watch`")]
pub(crate) fn plain_form(path: PathBuf) -> PathBuf {
    path
}

/// Refuses everything except a regular file of this user. Root also uses a file of another user that only root can have put
/// there, such as one mounted into a container.
///
/// # Errors
/// `UnsafeFile`.
pub(crate) fn require_plain_file(path: &Entry, status: &Status) -> Result<()> {
    if let Some(what) = status.odd_kind() {
        let error = Error::new(ErrorKind::UnsafeFile, format!("Expected a plain file but found {what}"))
            .at(path)
            .remedy("Choose another cache path");
        // Programs expect the error number of opening a directory for writing.
        return Err(if status.is_dir() { error.because(io::Error::from(Errno::ISDIR)) } else { error });
    }
    let user = effective_user();
    if status.uid() != user && !(user == 0 && path.is_roots_alone()) {
        let text = format!("The file belongs to user {}, not to {user}", status.uid());
        return Err(Error::new(ErrorKind::UnsafeFile, text)
            .at(path)
            .remedy("Choose a cache path of your own"));
    }
    Ok(())
}

/// How to open a file: never through a final link, waiting for a FIFO, or leaking into a child process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Careful {
    read: bool,
    write: bool,
    create_new: bool,
}

/// Returns options without any right yet.
pub(crate) fn careful() -> Careful {
    Careful { read: false, write: false, create_new: false }
}

impl Careful {
    pub(crate) fn read(self, read: bool) -> Self {
        Self { read, ..self }
    }

    pub(crate) fn write(self, write: bool) -> Self {
        Self { write, ..self }
    }

    pub(crate) fn create_new(self, create_new: bool) -> Self {
        Self { create_new, ..self }
    }

    pub(crate) fn open(self, entry: &Entry) -> io::Result<File> {
        let mut flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        flags |= match (self.read, self.write) {
            (true, true) => OFlags::RDWR,
            (false, true) => OFlags::WRONLY,
            _ => OFlags::RDONLY,
        };
        if self.create_new {
            flags |= OFlags::CREATE | OFlags::EXCL;
        }
        entry.open(flags)
    }
}

/// Opens an existing regular file of this user; returns `None` if there is none.
///
/// # Errors
/// `UnsafeFile`, `PermissionDenied`, `Io`.
pub(crate) fn open_existing(entry: &Entry, options: Careful) -> Result<Option<(File, Status)>> {
    let file = match options.open(entry) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(open_failed(entry, error)),
    };
    let status = status_of(&file, entry)?;
    require_plain_file(entry, &status)?;
    Ok(Some((file, status)))
}

/// The error of a failed open; names the file's type if that is the reason.
pub(crate) fn open_failed(entry: &Entry, error: io::Error) -> Error {
    if let Ok(status) = entry.status()
        && let Err(odd) = require_plain_file(entry, &status)
    {
        return odd.because(error);
    }
    Error::io("Cannot open the file", entry, error)
}

/// Returns the status of an open file.
pub(crate) fn status_of(file: &File, path: &Path) -> Result<Status> {
    Status::of_open(file).map_err(|error| Error::io("Cannot look at the file", path, error))
}

/// Returns the status of a file without following a final link; `None` if there is no file.
pub(crate) fn status_at(entry: &Entry) -> Result<Option<Status>> {
    match entry.status() {
        Ok(status) => Ok(Some(status)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("Cannot look at the file", entry, error)),
    }
}

/// Returns the number of names of the file.
pub(crate) fn links(status: &Status) -> u64 {
    status.nlink()
}

/// Equal for two names of one file.
pub(crate) fn identity(status: &Status) -> (u64, u64) {
    status.identity()
}

/// The fields of a status that make a stamp.
pub(crate) fn fingerprint(status: &Status) -> Fingerprint {
    status.fingerprint()
}

/// The moment before an operation, to which a stamp is compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tick(i128);

impl Tick {
    /// Taken before a file is opened or looked at.
    pub(crate) fn now() -> Self {
        Self(os::coarse_clock())
    }

    /// The stamp of an open file whose status was taken after this tick.
    pub(crate) fn stamp(self, file: &File, entry: &Entry, status: &Status) -> Stamp {
        let fingerprint = fingerprint(status);
        Stamp::of_file(fingerprint, self.0, entry.times_of(file, &fingerprint))
    }

    /// The stamp of a file whose status was taken after this tick, only to be compared with an earlier one.
    pub(crate) fn glance(self, status: &Status) -> Stamp {
        Stamp::of_file(fingerprint(status), self.0, Times::Unknown)
    }

    /// The stamp of a file that is not open, whose status was taken after this tick.
    pub(crate) fn stamp_at(self, path: &Path, status: &Status) -> Stamp {
        Stamp::of_file(fingerprint(status), self.0, os::times_at(path))
    }

    /// The stamp of an open file that this process has just written.
    pub(crate) fn own_stamp(self, file: &File, entry: &Entry, fingerprint: Fingerprint) -> Stamp {
        Stamp::of_own_write(fingerprint, self.0, entry.times_of(file, &fingerprint))
    }
}

/// Returns whether other machines, or a daemon, may change the files of this directory.
pub(crate) fn is_remote(directory: &Path) -> bool {
    os::is_remote(existing(directory))
}

/// Describes the file system that holds `path`, or would hold it.
pub(crate) fn file_system(path: &Path) -> FileSystem {
    let existing = existing(path);
    let real = fs::canonicalize(existing);
    os::file_system(real.as_deref().unwrap_or(existing))
}

/// A missing directory will be on the file system of its nearest existing parent.
fn existing(path: &Path) -> &Path {
    path.ancestors().find(|path| path.exists()).unwrap_or(path)
}

/// Returns whether this process may write files of this length (`ulimit -f`). Beyond the limit the kernel also sends
/// SIGXFSZ, which kills a process that does not handle it.
pub(crate) fn is_size_allowed(length: u64) -> bool {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
    limit.is_none_or(|limit| length <= limit)
}

/// Refuses to write more than this process may.
///
/// # Errors
/// `StorageFull`.
pub(crate) fn require_size_allowed(length: usize, path: &Path) -> Result<()> {
    if is_size_allowed(length as u64) {
        return Ok(());
    }
    let text = format!("This process may not write files of {length} bytes; the old content is unharmed");
    Err(Error::new(ErrorKind::StorageFull, text)
        .at(path)
        .remedy("Raise the limit on the size of files (ulimit -f)"))
}

/// Reads a whole file, checked to be unchanged by its status before and after. Returns `None` if it changed during
/// the read.
///
/// # Errors
/// `Io`; the bytes read so far are wiped.
pub(crate) fn read_whole(
    file: &mut File,
    path: &Path,
    before: &Status,
) -> Result<Option<(Zeroizing<Vec<u8>>, Status)>> {
    let mut bytes = room::for_file(before.len(), path)?;
    file.take(before.len() + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::io("Cannot read the file", path, error))?;
    if bytes.is_empty() {
        os::wait_for_truncation(file);
    }
    let after = status_of(file, path)?;
    if bytes.len() as u64 != before.len() || !is_same_content(before, &after) {
        return Ok(None);
    }
    Ok(Some((bytes, after)))
}

/// Returns whether an open file was unchanged between two reads of its status. A file that was replaced by a rename
/// in between has lost its name and so got a new change time, but its content is whole.
fn is_same_content(before: &Status, after: &Status) -> bool {
    let (before, mut now) = (fingerprint(before), fingerprint(after));
    if after.nlink() == 0 {
        now.changed = before.changed;
    }
    before == now
}

/// Creates a directory for all users of the machine: no store of a Unix has such a cache.
pub(crate) fn create_shared_directory(directory: &Path) -> Result<()> {
    create_directory(directory)
}

/// Sets an open file of ours to 0600.
///
/// # Errors
/// `PermissionDenied`, `Io`.
pub(crate) fn tighten(file: &File, path: &Path) -> Result<()> {
    let status = status_of(file, path)?;
    if status.mode() == FILE_MODE {
        return Ok(());
    }
    without_modes(retry(|| file.set_permissions(Permissions::from_mode(FILE_MODE))))
        .map_err(|error| Error::io("Cannot protect the file", path, error))
}

/// Returns whether other users may read the file, as far as its mode says.
pub(crate) fn is_open_to_others(status: &Status) -> bool {
    status.mode() & 0o044 != 0
}

/// Refuses a directory in which this user can create no files, as on a read-only file system.
///
/// # Errors
/// `PermissionDenied`, `Io`.
pub(crate) fn require_writable(directory: &Path) -> Result<()> {
    rustix::fs::accessat(rustix::fs::CWD, directory, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)
        .map_err(|error| Error::io("Cannot write to the directory", directory, error))
}
