//! Opens, checks and fingerprints files that only their owner can have created.
//!
//! A path is resolved once per operation. Files are opened without following links and checked through their
//! descriptor, so no other process can exchange them between check and use.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, OFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::inspect::FileSystem;
use crate::platform::os;
use crate::stamp::{Fingerprint, Stamp};
use crate::{Error, ErrorKind, Result};

/// The owner may read and write; all others nothing.
pub(crate) const FILE_MODE: u32 = 0o600;
/// The owner may enter, list and change; all others nothing.
pub(crate) const DIRECTORY_MODE: u32 = 0o700;

/// The suffix of the private lock file, after the name of the cache file.
pub(crate) const PRIVATE_LOCK_SUFFIX: &str = ".tk-lock";
/// The suffix of the sibling libraries' lock file.
pub(crate) const SIBLING_LOCK_SUFFIX: &str = ".lockfile";
/// NAME_MAX of every Unix file system in use.
const LONGEST_NAME: usize = 255;

/// Repeats a system call that a signal interrupted, or, a few times, one whose path led to a file that another machine has
/// replaced (ESTALE).
pub(crate) fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut stale = 0;
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::StaleNetworkFileHandle && stale < 3 => stale += 1,
            result => return result,
        }
    }
}

/// Returns the directory for data that a user's programs share until log-out: the one of systemd and elogind, also
/// for a process whose environment does not name it.
pub(crate) fn runtime_directory() -> Option<PathBuf> {
    let told = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    Some(told.unwrap_or_else(|| format!("/run/user/{}", effective_user()).into()))
}

/// The status of a file, without opening it.
pub(crate) type Status = Metadata;

/// Returns the user with whose rights this process runs.
pub(crate) fn effective_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Returns that user as part of a file name.
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

/// Returns the directory of an absolute path.
pub(crate) fn directory_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

/// Returns the file that `path` stands for: itself, or the target of a final symbolic link that no other user can
/// have made.
///
/// # Errors
/// `UnsafeFile` if another user could change a link, its target or a directory on the way.
pub(crate) fn resolve(path: &Path) -> Result<PathBuf> {
    let mut here = path.to_owned();
    // The kernel's limit on links in a path.
    for _ in 0..40 {
        let status = match retry(|| fs::symlink_metadata(&here)) {
            Ok(status) => status,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(here),
            Err(error) => return Err(Error::io("Cannot look at the cache file", &here, error)),
        };
        if !status.is_symlink() {
            if here != path {
                require_private(&here, &status, "target of the symbolic link")?;
            }
            return Ok(here);
        }
        require_own(&here, &status, "symbolic link")?;
        require_closed_directory(directory_of(&here))?;
        let target = retry(|| fs::read_link(&here))
            .map_err(|error| Error::io("Cannot read the link", &here, error))?;
        here = directory_of(&here).join(target);
        let directory = directory_of(&here);
        let directory = retry(|| fs::canonicalize(directory)).map_err(|error| {
            Error::io("Cannot find the directory a symbolic link leads to", directory, error)
        })?;
        require_closed_directory(&directory)?;
        let name = here.file_name().ok_or_else(|| {
            Error::new(ErrorKind::UnsafeFile, "A symbolic link at the cache path names no file").at(path)
        })?;
        here = directory.join(name);
    }
    Err(Error::new(ErrorKind::UnsafeFile, "Too many symbolic links at the cache path").at(path))
}

fn require_own(path: &Path, status: &Metadata, what: &str) -> Result<()> {
    let user = effective_user();
    if status.uid() == user || status.uid() == 0 {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::UnsafeFile,
        format!("The {what} belongs to user {}, not to {user}", status.uid()),
    )
    .at(path)
    .remedy("Choose a cache path in a directory of your own"))
}

fn require_private(path: &Path, status: &Metadata, what: &str) -> Result<()> {
    require_own(path, status, what)?;
    if status.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(Error::new(ErrorKind::UnsafeFile, format!("Other users may write the {what}"))
        .at(path)
        .remedy("Take the write permission from group and others (chmod go-w)"))
}

fn require_closed_directory(directory: &Path) -> Result<()> {
    let status = retry(|| fs::metadata(directory))
        .map_err(|error| Error::io("Cannot look at the directory of a symbolic link", directory, error))?;
    require_private(directory, &status, "directory of the symbolic link")
}

/// Refuses everything except a regular file of this user; root may use any user's file.
///
/// # Errors
/// `UnsafeFile`.
pub(crate) fn require_plain_file(path: &Path, status: &Metadata) -> Result<()> {
    let kind = status.file_type();
    let what = match () {
        () if kind.is_file() => None,
        () if kind.is_dir() => Some("a directory"),
        () if kind.is_symlink() => Some("a symbolic link"),
        () if kind.is_fifo() => Some("a FIFO"),
        () if kind.is_socket() => Some("a socket"),
        () => Some("a device"),
    };
    if let Some(what) = what {
        let error = Error::new(ErrorKind::UnsafeFile, format!("Expected a plain file but found {what}"))
            .at(path)
            .remedy("Choose another cache path");
        // Programs expect the error number of opening a directory for writing.
        return Err(if kind.is_dir() { error.because(io::Error::from(Errno::ISDIR)) } else { error });
    }
    let user = effective_user();
    if user != 0 && status.uid() != user {
        let text = format!("The file belongs to user {}, not to {user}", status.uid());
        return Err(Error::new(ErrorKind::UnsafeFile, text)
            .at(path)
            .remedy("Choose a cache path of your own"));
    }
    Ok(())
}

/// Returns options for an open that never follows a final link, blocks on a FIFO or leaks into a child process.
pub(crate) fn careful() -> OpenOptions {
    let mut options = OpenOptions::new();
    // std adds O_CLOEXEC. The flags' bits fit the C int that open(2) takes.
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits()).unwrap_or(0);
    options.mode(FILE_MODE).custom_flags(flags);
    options
}

/// Opens an existing regular file of this user; returns `None` if there is none.
///
/// # Errors
/// `UnsafeFile`, `PermissionDenied`, `Io`.
pub(crate) fn open_existing(path: &Path, options: &OpenOptions) -> Result<Option<(File, Metadata)>> {
    let file = match retry(|| options.open(path)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(open_failed(path, error)),
    };
    let status = status_of(&file, path)?;
    require_plain_file(path, &status)?;
    Ok(Some((file, status)))
}

/// The error of a failed open; names the file's type if that is the reason.
pub(crate) fn open_failed(path: &Path, error: io::Error) -> Error {
    if let Ok(status) = retry(|| fs::symlink_metadata(path))
        && let Err(odd) = require_plain_file(path, &status)
    {
        return odd.because(error);
    }
    Error::io("Cannot open the file", path, error)
}

/// Returns the status of an open file.
pub(crate) fn status_of(file: &File, path: &Path) -> Result<Metadata> {
    retry(|| file.metadata()).map_err(|error| Error::io("Cannot look at the file", path, error))
}

/// Returns the status of `path` without following a final link; `None` if there is no file.
pub(crate) fn status_at(path: &Path) -> Result<Option<Metadata>> {
    match retry(|| fs::symlink_metadata(path)) {
        Ok(status) => Ok(Some(status)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("Cannot look at the file", path, error)),
    }
}

/// Returns the number of names of the file.
pub(crate) fn links(status: &Status) -> u64 {
    status.nlink()
}

/// Equal for two names of one file.
pub(crate) fn identity(status: &Status) -> (u64, u64) {
    (status.dev(), status.ino())
}

/// The fields of a status that make a stamp.
pub(crate) fn fingerprint(status: &Metadata) -> Fingerprint {
    let nanos = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    Fingerprint {
        device: status.dev(),
        inode: status.ino(),
        size: status.size(),
        modified: nanos(status.mtime(), status.mtime_nsec()),
        changed: nanos(status.ctime(), status.ctime_nsec()),
    }
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
    pub(crate) fn stamp(self, file: &File, _path: &Path, status: &Status) -> Stamp {
        Stamp::of_file(fingerprint(status), self.0, os::times_of(file))
    }

    /// The stamp of a file that is not open, whose status was taken after this tick.
    pub(crate) fn stamp_at(self, path: &Path, status: &Status) -> Stamp {
        Stamp::of_file(fingerprint(status), self.0, os::times_at(path))
    }

    /// The stamp of an open file that this process has just written.
    pub(crate) fn own_stamp(self, file: &File, _path: &Path, fingerprint: Fingerprint) -> Stamp {
        Stamp::of_own_write(fingerprint, self.0, os::times_of(file))
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
    before: &Metadata,
) -> Result<Option<(Zeroizing<Vec<u8>>, Metadata)>> {
    let size = usize::try_from(before.size())
        .map_err(|_| Error::new(ErrorKind::Io, "The file is larger than this machine's memory").at(path))?;
    // Room for one byte more than expected lets the read that finds the end fit, and 64 keep std from probing with
    // a buffer of its own: growing or probing would leave an unwiped copy of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity((size + 1).max(64)));
    file.take(before.size() + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| Error::io("Cannot read the file", path, error))?;
    if bytes.is_empty() {
        os::wait_for_truncation(file);
    }
    let after = status_of(file, path)?;
    if bytes.len() != size || !is_same_content(before, &after) {
        return Ok(None);
    }
    Ok(Some((bytes, after)))
}

/// Returns whether an open file was unchanged between two reads of its status. A file that was replaced by a rename
/// in between has lost its name and so got a new change time, but its content is whole.
fn is_same_content(before: &Metadata, after: &Metadata) -> bool {
    let (before, mut now) = (fingerprint(before), fingerprint(after));
    if after.nlink() == 0 {
        now.changed = before.changed;
    }
    before == now
}

/// Creates `directory` and its missing parents, each 0700 with any umask.
///
/// # Errors
/// `PermissionDenied`, `UnsafeFile` if a part of the path is not a directory, `StorageFull`, `Io`.
pub(crate) fn create_directory(directory: &Path) -> Result<()> {
    match retry(|| fs::metadata(directory)) {
        Ok(status) if status.is_dir() => return Ok(()),
        Ok(_) => return Err(not_a_directory(directory)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        // Other faults, such as a path that is too long, are found before any directory is created.
        Err(error) => return Err(Error::io("Cannot look at the cache's directory", directory, error)),
    }
    if let Some(parent) = directory.parent() {
        create_directory(parent)?;
    }
    match retry(|| DirBuilder::new().mode(DIRECTORY_MODE).create(directory)) {
        Ok(()) => {}
        // Another process has created it; its use shows whether it is good.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => return Ok(()),
        // Or the name is a dangling link.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(not_a_directory(directory)),
        Err(error) => return Err(Error::io("Cannot create the directory", directory, error)),
    }
    without_modes(retry(|| fs::set_permissions(directory, Permissions::from_mode(DIRECTORY_MODE))))
        .map_err(|error| Error::io("Cannot protect the new directory", directory, error))
}

fn not_a_directory(path: &Path) -> Error {
    Error::new(ErrorKind::UnsafeFile, "Something that is not a directory stands where one is needed")
        .at(path)
        .remedy("Choose another cache path")
        // Programs expect this error number.
        .because(io::Error::from(Errno::NOTDIR))
}

/// Sets an open file of ours to 0600.
///
/// # Errors
/// `PermissionDenied`, `Io`.
pub(crate) fn tighten(file: &File, path: &Path) -> Result<()> {
    let status = status_of(file, path)?;
    if status.mode() & 0o7777 == FILE_MODE {
        return Ok(());
    }
    without_modes(retry(|| file.set_permissions(Permissions::from_mode(FILE_MODE))))
        .map_err(|error| Error::io("Cannot protect the file", path, error))
}

/// Goes on where the file system has no modes to set (FAT, exFAT, many shares): it refuses even the owner. The persistence
/// says that others may read the file.
fn without_modes(set: io::Result<()>) -> io::Result<()> {
    const CANNOT: [Errno; 4] = [Errno::PERM, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS];
    match set {
        Err(error) if CANNOT.iter().any(|code| error.raw_os_error() == Some(code.raw_os_error())) => Ok(()),
        set => set,
    }
}

/// Returns whether other users may read the file, as far as its mode says.
pub(crate) fn is_open_to_others(status: &Status) -> bool {
    status.mode() & 0o044 != 0
}

/// Returns a warning about a directory in which other users may create and remove files; `None` if there are none.
pub(crate) fn open_directory_warning(directory: &Path) -> Option<String> {
    let mode = fs::metadata(directory).ok()?.mode();
    // In a sticky directory such as /tmp, no user can remove or replace another user's files.
    let writable = mode & 0o022 != 0 && mode & 0o1000 == 0;
    writable.then(|| {
        format!(
            "Other users may change the directory {directory:?} (mode {:03o}) and so replace the cache in it; \
             run chmod go-w on it",
            mode & 0o777
        )
    })
}

/// Refuses a directory that another user created or may change.
///
/// # Errors
/// `UnsafeFile`, `Io`.
pub(crate) fn require_own_directory(directory: &Path) -> Result<()> {
    let status = retry(|| fs::symlink_metadata(directory))
        .map_err(|error| Error::io("Cannot look at the directory", directory, error))?;
    if status.is_dir() && status.uid() == effective_user() && status.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(Error::new(ErrorKind::UnsafeFile, "The directory is not this user's alone")
        .at(directory)
        .remedy("Remove it, or take the write permission from group and others (chmod go-w)"))
}

/// Refuses a directory in which this user can create no files, as on a read-only file system.
///
/// # Errors
/// `PermissionDenied`, `Io`.
pub(crate) fn require_writable(directory: &Path) -> Result<()> {
    rustix::fs::accessat(rustix::fs::CWD, directory, Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS)
        .map_err(|error| Error::io("Cannot write to the directory", directory, error))
}
