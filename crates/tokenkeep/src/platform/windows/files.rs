//! Opens, checks and fingerprints files on Windows.
//!
//! An open never follows a link, and the handle is checked. Handles let other programs read, write, rename and
//! remove, unless they exist to prevent that.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::windows::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf, Prefix};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use windows_sys::Win32::Storage::FileSystem::{
    FILE_ATTRIBUTE_DEVICE, FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_REPARSE_POINT,
    FILE_FLAG_BACKUP_SEMANTICS, FILE_FLAG_OPEN_REPARSE_POINT, FILE_READ_ATTRIBUTES, READ_CONTROL,
};
use zeroize::Zeroizing;

use super::answers::{is_absence, is_shared_badly, may_open_later};
use super::{access, sys};
use crate::inspect::FileSystem;
use crate::platform::room;
use crate::stamp::belief::Times;
use crate::stamp::{Fingerprint, Stamp};
use crate::{Error, ErrorKind, Result};

/// The suffix of the private lock file, after the name of the cache file.
pub(crate) const PRIVATE_LOCK_SUFFIX: &str = ".tk-lock";
/// The suffix of the sibling libraries' lock file.
pub(crate) const SIBLING_LOCK_SUFFIX: &str = ".lockfile";
/// UTF-16 characters in a name, on every Windows file system.
const LONGEST_NAME: usize = 255;

/// The clock of file times moves every 15.6 ms, unless a program asks for more.
const GRAIN_NANOS: i128 = 16_000_000;

/// How long to wait for a program that has the file open exclusively: scanners and siblings take milliseconds.
const PATIENCE: Duration = Duration::from_secs(1);

/// Repeats a call that fails because another program has the file open, until it succeeds or the time is over.
pub(crate) fn retry<T>(call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    retry_while(PATIENCE, is_shared_badly, call)
}

/// Repeats an open that fails because another program has the file open, or is replacing or removing it.
fn retry_open<T>(path: &Path, call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let began = Instant::now();
    let passes =
        |error: &io::Error| may_open_later(error, began.elapsed(), PATIENCE, || look().open(path).is_ok());
    retry_while(PATIENCE, passes, call)
}

/// Repeats a call with a temporary failure, until it succeeds or `patience` is over.
pub(super) fn retry_while<T>(
    patience: Duration,
    passes: impl Fn(&io::Error) -> bool,
    mut call: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    let began = Instant::now();
    let mut pause = Duration::from_millis(1);
    loop {
        match call() {
            Err(error) if passes(&error) && began.elapsed() < patience => {}
            outcome => return outcome,
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

/// Returns the user of this process as part of a file name.
pub(crate) fn user() -> String {
    access::user().unwrap_or("unknown").to_owned()
}

/// Returns 0: Windows users have no number.
pub(crate) fn effective_user() -> u32 {
    0
}

/// Returns `None`: no directory is removed at log-out.
pub(crate) fn runtime_directory() -> Option<PathBuf> {
    None
}

/// Returns `None`: a log-in has no directory of its own.
pub(crate) fn login_directory() -> Option<PathBuf> {
    None
}

/// The system's status of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Status(sys::Information);

impl Status {
    /// Returns whether it is a link. Reparse points of other kinds, such as deduplicated files, are files.
    pub(crate) fn is_symlink(&self) -> bool {
        // IsReparseTagNameSurrogate.
        self.has(FILE_ATTRIBUTE_REPARSE_POINT) && self.0.reparse_tag & 0x2000_0000 != 0
    }

    pub(crate) fn is_dir(&self) -> bool {
        self.has(FILE_ATTRIBUTE_DIRECTORY)
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.size
    }

    pub(crate) fn modified(&self) -> io::Result<SystemTime> {
        let nanos = u64::try_from(self.0.modified).map_err(|_| io::ErrorKind::InvalidData)?;
        Ok(UNIX_EPOCH + Duration::from_nanos(nanos))
    }

    fn has(&self, attribute: u32) -> bool {
        self.0.attributes & attribute != 0
    }
}

/// Makes `path` absolute, so that a later change of the working directory has no effect.
///
/// # Errors
/// `InvalidInput` for an empty path, a NUL, a path that names a directory, a device or a stream of a file, or a name
/// without room for those of the lock files, before any file is written.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf> {
    let refused = |what: &str| Err(Error::new(ErrorKind::InvalidInput, what).at(path));
    let text = path.as_os_str().as_encoded_bytes();
    if text.is_empty() {
        return Err(Error::new(ErrorKind::InvalidInput, "The cache path is empty"));
    }
    if text.contains(&0) {
        return refused("The cache path contains a NUL character");
    }
    // `file_name` ignores a trailing separator or dot, which means a directory.
    let names_directory =
        [&b"/"[..], b"\\", b"/.", b"\\."].iter().any(|end| text.ends_with(end)) || text == b".";
    if names_directory || path.file_name().is_none() {
        return refused("The cache path names no file");
    }
    let absolute = std::path::absolute(path)
        .map_err(|error| Error::io("Cannot make the cache path absolute", path, error))?;
    if let Some(Component::Prefix(prefix)) = absolute.components().next()
        && matches!(prefix.kind(), Prefix::DeviceNS(_))
    {
        return refused("The cache path names a device");
    }
    let length = |name: &std::ffi::OsStr| name.to_string_lossy().encode_utf16().count();
    let Some(name) = absolute.file_name() else { return refused("The cache path names no file") };
    if name.as_encoded_bytes().contains(&b':') {
        return refused("The cache path names a stream of a file");
    }
    let longest = LONGEST_NAME - SIBLING_LOCK_SUFFIX.len().max(PRIVATE_LOCK_SUFFIX.len());
    if length(name) > longest {
        let text = format!("The name of the cache file is longer than {longest} characters");
        return Err(Error::new(ErrorKind::InvalidInput, text)
            .at(path)
            .remedy("Choose a shorter name: that of the lock file beside it is longer"));
    }
    if absolute
        .components()
        .any(|part| matches!(part, Component::Normal(name) if length(name) > LONGEST_NAME))
    {
        let text = format!("A directory in the cache path has a name longer than {LONGEST_NAME} characters");
        return Err(Error::new(ErrorKind::InvalidInput, text).at(path).remedy("Choose a shorter path"));
    }
    Ok(absolute)
}

/// Returns the user's folder for data of this machine, as the system knows it.
pub(crate) fn local_data() -> Option<PathBuf> {
    sys::local_app_data().ok().filter(|path| path.is_absolute())
}

/// Returns the path as programs spell it: without the prefix that the system's answers have.
#[allow(dead_code, reason = "of use with the feature `watch`")]
pub(crate) fn plain_form(path: PathBuf) -> PathBuf {
    match path.to_str().and_then(|text| text.strip_prefix(r"\\?\")) {
        Some(plain) if !plain.starts_with("UNC") => plain.into(),
        _ => path,
    }
}

/// Returns the directory of an absolute path.
pub(crate) fn directory_of(path: &Path) -> &Path {
    path.parent().unwrap_or(path)
}

/// Refuses everything except a regular file.
///
/// # Errors
/// `UnsafeFile`.
pub(crate) fn require_plain_file(path: &Path, status: &Status) -> Result<()> {
    let what = match () {
        () if status.is_symlink() => "a link",
        () if status.is_dir() => "a directory",
        () if status.has(FILE_ATTRIBUTE_DEVICE) => "a device",
        () => return Ok(()),
    };
    let error = Error::new(ErrorKind::UnsafeFile, format!("Expected a plain file but found {what}")).at(path);
    Err(if status.is_symlink() {
        error.remedy("Give the path that the link leads to")
    } else {
        error.remedy("Choose another cache path")
    })
}

/// Returns options for an open that never follows a final link.
pub(crate) fn careful() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
    options
}

/// Returns options for reading the status of any file without disturbing other programs.
pub(super) fn look() -> OpenOptions {
    let mut options = OpenOptions::new();
    options
        .access_mode(FILE_READ_ATTRIBUTES | READ_CONTROL)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT);
    options
}

/// Opens an existing regular file; returns `None` if there is none.
///
/// # Errors
/// `UnsafeFile`, `PermissionDenied`, `Busy` if another program has it open exclusively, `Io`.
pub(crate) fn open_existing(
    path: &Path,
    options: impl std::borrow::Borrow<OpenOptions>,
) -> Result<Option<(File, Status)>> {
    let options = options.borrow();
    let file = match retry_open(path, || options.open(path)) {
        Ok(file) => file,
        Err(error) if is_absence(&error) => return Ok(None),
        Err(error) => return Err(open_failed(path, error)),
    };
    let status = status_of(&file, path)?;
    require_plain_file(path, &status)?;
    if !status.has(FILE_ATTRIBUTE_REPARSE_POINT) {
        return Ok(Some((file, status)));
    }
    // Its content is elsewhere; the system fetches it for an open that does not ask for the reparse point.
    let file =
        retry(|| options.clone().custom_flags(0).open(path)).map_err(|error| open_failed(path, error))?;
    let status = status_of(&file, path)?;
    Ok(Some((file, status)))
}

/// The error of a failed open; names the file's type if that is the reason.
pub(crate) fn open_failed(path: &Path, error: io::Error) -> Error {
    if let Ok(Some(status)) = status_at(path)
        && let Err(odd) = require_plain_file(path, &status)
    {
        return odd.because(error);
    }
    Error::io("Cannot open the file", path, error)
}

/// Returns the status of an open file.
pub(crate) fn status_of(file: &File, path: &Path) -> Result<Status> {
    sys::information(file).map(Status).map_err(|error| Error::io("Cannot look at the file", path, error))
}

/// Returns the status of `path` without following a final link; `None` if there is no file.
pub(crate) fn status_at(path: &Path) -> Result<Option<Status>> {
    let mut attributes = OpenOptions::new();
    attributes
        .access_mode(FILE_READ_ATTRIBUTES)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT);
    match retry_open(path, || sys::information(&attributes.open(path)?)) {
        Ok(information) => Ok(Some(Status(information))),
        Err(error) if is_absence(&error) => Ok(None),
        Err(error) => Err(Error::io("Cannot look at the file", path, error)),
    }
}

/// Like [`status_at`].
pub(crate) fn look_at(path: &Path) -> Result<Option<Status>> {
    status_at(path)
}

/// Returns the number of names of the file.
pub(crate) fn links(status: &Status) -> u64 {
    status.0.links.into()
}

/// Equal for two names of one file. Without an identity, a file is equal to no other.
pub(crate) fn identity(status: &Status) -> (u64, u64) {
    static UNKNOWN: AtomicU64 = AtomicU64::new(0);
    let index = status.0.index.unwrap_or_else(|| u64::MAX - UNKNOWN.fetch_add(1, Ordering::Relaxed));
    (status.0.volume, index)
}

/// Equal for two paths to one directory: its identity or, where the file system tells none, a hash of its whole path.
///
/// # Errors
/// `PermissionDenied`, `Io`.
pub(super) fn directory_identity(directory: &Path) -> Result<(u64, u64)> {
    let failed = |error| Error::io("Cannot look at the cache's directory", directory, error);
    // Through links.
    let open = look().custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(directory).map_err(failed)?;
    let Status(status) = status_of(&open, directory)?;
    if let Some(index) = status.index {
        return Ok((status.volume, index));
    }
    let whole = directory.canonicalize().map_err(failed)?;
    let text = whole.to_string_lossy().to_lowercase();
    Ok((status.volume, crate::names::fnv(text.as_bytes())))
}

/// The fields of a status that make a stamp.
pub(crate) fn fingerprint(status: &Status) -> Fingerprint {
    let Status(found) = *status;
    Fingerprint {
        device: found.volume,
        inode: found.index.unwrap_or(0),
        size: found.size,
        modified: found.modified,
        changed: found.changed,
    }
}

/// The moment before an operation, to which a stamp is compared.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tick(i128);

impl Tick {
    /// Taken before a file is opened or looked at.
    pub(crate) fn now() -> Self {
        Self(sys::coarse_clock())
    }

    /// The stamp of an open file whose status was taken after this tick.
    pub(crate) fn stamp(self, _file: &File, path: &Path, status: &Status) -> Stamp {
        self.stamp_at(path, status)
    }

    /// The stamp of a file whose status was taken after this tick, only to be compared with an earlier one.
    pub(crate) fn glance(self, status: &Status) -> Stamp {
        Stamp::of_file(fingerprint(status), self.0, Times::Unknown)
    }

    /// The stamp of a file that is not open, whose status was taken after this tick.
    pub(crate) fn stamp_at(self, path: &Path, status: &Status) -> Stamp {
        // FAT and exFAT have no time of a change.
        let times = if status.0.has_change_time { times_at(path) } else { Times::Unknown };
        Stamp::of_file(fingerprint(status), self.0, times)
    }

    /// The stamp of an open file that this process has just written.
    pub(crate) fn own_stamp(self, _file: &File, path: &Path, fingerprint: Fingerprint) -> Stamp {
        Stamp::of_own_write(fingerprint, self.0, times_at(path))
    }
}

fn times_at(path: &Path) -> Times {
    match is_remote(directory_of(path)) {
        true => Times::Unknown,
        false => Times::Kept { grain: GRAIN_NANOS },
    }
}

/// Returns whether other machines may change the files of this directory.
pub(crate) fn is_remote(directory: &Path) -> bool {
    sys::is_remote_drive(directory)
}

/// Describes the file system that holds `path`, or would hold it; its name and whether it is read-only are not determined.
pub(crate) fn file_system(path: &Path) -> FileSystem {
    FileSystem { name: None, remote: is_remote(directory_of(path)), read_only: false }
}

/// Refuses to write more than this process may: Windows has no such limit.
pub(crate) fn require_size_allowed(_length: usize, _path: &Path) -> Result<()> {
    Ok(())
}

/// Reads a whole file, checked to be unchanged by its status before and after. Returns `None` if it changed during
/// the read.
///
/// A program that writes in place may set the new time only at the close. Content read before that is then noticed as
/// changed.
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
    let after = status_of(file, path)?;
    if bytes.len() as u64 != before.len() || !is_same_content(before, &after) {
        return Ok(None);
    }
    Ok(Some((bytes, after)))
}

/// Returns whether an open file was unchanged between two reads of its status. A rename moves only its change time.
fn is_same_content(before: &Status, after: &Status) -> bool {
    let (before, mut after) = (fingerprint(before), fingerprint(after));
    after.changed = before.changed;
    before == after
}

/// Creates `directory` and its missing parents, each for this user and the system alone, unless it is on a share.
///
/// # Errors
/// `PermissionDenied`, `UnsafeFile` if a part of the path is not a directory, `StorageFull`, `Io`.
pub(crate) fn create_directory(directory: &Path) -> Result<()> {
    match fs::metadata(directory).as_ref().map(Metadata::is_dir) {
        Ok(true) => return Ok(()),
        Ok(false) => return Err(not_a_directory(directory)),
        Err(error) if is_absence(error) => {}
        Err(_) => {
            let failed = |error| Error::io("Cannot look at the cache's directory", directory, error);
            return fs::metadata(directory).map(drop).map_err(failed);
        }
    }
    if let Some(parent) = directory.parent() {
        create_directory(parent)?;
    }
    let list = access::of_new_directory(directory)
        .map_err(|error| Error::io("Cannot tell who the user of this process is", directory, error))?;
    match sys::create_directory(directory, list.as_deref()) {
        // Another process has created it; its use shows whether it is good.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(not_a_directory(directory)),
        outcome => outcome.map_err(|error| Error::io("Cannot create the directory", directory, error)),
    }
}

/// Creates a directory for all users of the machine, whose access list is that of the one above it.
///
/// # Errors
/// Like [`create_directory`].
pub(crate) fn create_shared_directory(directory: &Path) -> Result<()> {
    match fs::create_dir_all(directory) {
        Ok(()) => Ok(()),
        Err(_) => create_directory(directory),
    }
}

fn not_a_directory(path: &Path) -> Error {
    Error::new(ErrorKind::UnsafeFile, "Something that is not a directory stands where one is needed")
        .at(path)
        .remedy("Choose another cache path")
}

/// Files get their access list at their creation; an existing one may have been opened to others on purpose.
pub(crate) fn tighten(_file: &File, _path: &Path) -> Result<()> {
    Ok(())
}

/// Its access list protects the file.
pub(crate) fn is_open_to_others(_status: &Status) -> bool {
    false
}

/// Returns a warning about a directory in which all users may create and remove files; `None` if there are none.
pub(crate) fn open_directory_warning(directory: &Path) -> Option<String> {
    let open = look().open(directory).ok()?;
    access::crowd_has(&open, access::CHANGE).ok()?.then(|| {
        format!(
            "Other users may change the directory {directory:?} and so replace the cache in it; \
             take the right to write from all but yourself"
        )
    })
}

/// Refuses a directory that all users may change.
///
/// # Errors
/// `UnsafeFile`, `Io`.
pub(crate) fn require_own_directory(directory: &Path) -> Result<()> {
    let failed = |error| Error::io("Cannot look at the directory", directory, error);
    let open = look().open(directory).map_err(failed)?;
    let status = status_of(&open, directory)?;
    if status.is_dir() && !status.is_symlink() && !access::crowd_has(&open, access::CHANGE).map_err(failed)? {
        return Ok(());
    }
    Err(Error::new(ErrorKind::UnsafeFile, "The directory is not this user's alone")
        .at(directory)
        .remedy("Remove it, or take the right to write from other users"))
}

/// Refuses a directory in which this user can create no files.
///
/// # Errors
/// `PermissionDenied`, `Io`.
pub(crate) fn require_writable(directory: &Path) -> Result<()> {
    const FILE_ADD_FILE: u32 = 0x2;
    OpenOptions::new()
        .access_mode(FILE_ADD_FILE)
        .custom_flags(FILE_FLAG_BACKUP_SEMANTICS)
        .open(directory)
        .map(drop)
        .map_err(|error| Error::io("Cannot write to the directory", directory, error))
}
