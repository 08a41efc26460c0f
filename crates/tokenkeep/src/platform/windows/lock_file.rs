//! The two lock files on Windows.
//!
//! The private file is never deleted. Processes of tokenkeep exclude each other on it by a lock of the system, which
//! queues the waiters and ends with its process. The siblings' file exists only during a hold, so it must not exist
//! before. While it is open no other program can write or remove it, and the system removes it at the close, also
//! after a crash. Only a sibling's file needs a judgement.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, GENERIC_READ, GENERIC_WRITE};
use windows_sys::Win32::Storage::FileSystem::{
    DELETE, FILE_ATTRIBUTE_NORMAL, FILE_FLAG_DELETE_ON_CLOSE, FILE_FLAG_OPEN_REPARSE_POINT, FILE_SHARE_READ,
    FILE_SHARE_WRITE,
};

use super::files::{self, Status, retry};
use super::{access, sys, writing};
use crate::event::Events;
use crate::inspect::{LockHolder, LockState};
use crate::lock::{Key, cannot_look};
use crate::platform::lock_record::{self, Author, Record};
use crate::stamp::Fingerprint;
use crate::{Error, Result};

/// The first pause between two checks of a busy sibling lock; later ones are longer.
const FIRST_LOOK: Duration = Duration::from_micros(500);
const LATER_LOOK: Duration = Duration::from_millis(10);

/// A sibling's lock file must be unchanged this long before its dead owner counts as dead.
const SETTLED: Duration = Duration::from_secs(2);
/// On a shared file system, an unknown pid may run on another machine. No sibling holds its lock longer than a load
/// and a save.
const SETTLED_REMOTE: Duration = Duration::from_secs(20);
/// A sibling creates its file and then writes its pid; a kill between the two leaves an empty file.
const NAMELESS: Duration = Duration::from_secs(10);
/// No library holds the lock this long; a living process that seems to has forgotten its own file.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// Creating a file is denied while a removed file of that name is still open. A longer denial is permanent.
const DENIED: Duration = Duration::from_secs(3);

/// The paths of the lock files of one cache.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    target: PathBuf,
    private: PathBuf,
    sibling: PathBuf,
    key: Key,
    sibling_key: Key,
    remote: bool,
}

impl Paths {
    /// The lock files of the cache at `given`, which stands for the file `target`.
    pub(crate) fn beside(given: &Path, target: &Path) -> Result<Self> {
        Self::new(target, with_suffix(given, files::SIBLING_LOCK_SUFFIX))
    }

    /// The sibling lock file at `lock_file`, and a private one beside it.
    pub(crate) fn over(lock_file: &Path) -> Result<Self> {
        Self::new(lock_file, lock_file.to_owned())
    }

    fn new(target: &Path, sibling: PathBuf) -> Result<Self> {
        let directory = files::directory_of(target);
        let identity = directory_identity(directory)?;
        let sibling_directory = files::directory_of(&sibling);
        let sibling_key = match sibling_directory == directory {
            true => key(identity, &sibling),
            false => key(directory_identity(sibling_directory)?, &sibling),
        };
        Ok(Self {
            private: with_suffix(target, files::PRIVATE_LOCK_SUFFIX),
            sibling,
            key: key(identity, target),
            sibling_key,
            remote: files::is_remote(directory),
            target: target.to_owned(),
        })
    }

    /// What is the same for every spelling of the path.
    pub(crate) fn key(&self) -> Key {
        self.key.clone()
    }

    /// Whether these are the same two files.
    pub(crate) fn are_those_of(&self, other: &Self) -> bool {
        self.key == other.key && self.sibling_key == other.sibling_key
    }

    /// The lock file that siblings know.
    pub(crate) fn sibling(&self) -> &Path {
        &self.sibling
    }
}

/// Volume and index of a directory. Through links: two paths to one directory have one queue.
fn directory_identity(directory: &Path) -> Result<(u64, u64)> {
    let failed = |error| Error::io("Cannot look at the cache's directory", directory, error);
    let open = files::look().custom_flags(FOLLOW).open(directory).map_err(failed)?;
    Ok(files::identity(&files::status_of(&open, directory)?))
}

fn key(directory: (u64, u64), path: &Path) -> Key {
    // Names that differ in case name the same file.
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    Key::File { directory, name: name.into() }
}

const FOLLOW: u32 = windows_sys::Win32::Storage::FileSystem::FILE_FLAG_BACKUP_SEMANTICS;

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The private lock.
#[derive(Debug)]
pub(crate) struct Private(File);

impl Private {
    /// Takes the private lock if it is free.
    pub(crate) fn attempt(paths: &Paths) -> Result<Option<Self>> {
        let file = open_private(paths)?;
        let locked = sys::lock(&file, false).map_err(|error| cannot_lock(paths, error))?;
        Ok(locked.then(|| Self(file)))
    }

    /// Waits until the private lock is free and takes it.
    pub(crate) fn block(paths: &Paths) -> Result<Self> {
        let file = open_private(paths)?;
        sys::lock(&file, true).map_err(|error| cannot_lock(paths, error))?;
        Ok(Self(file))
    }

    /// Returns whether the path still names the held file: always, because an open file cannot be removed or renamed.
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "elsewhere it has to be looked at")]
    pub(crate) fn is_current(&self, _paths: &Paths) -> Result<bool> {
        Ok(true)
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        // Unlock at once, because the system delays it for a handle that is only closed. If that fails, the close
        // follows.
        let _ = sys::unlock(&self.0);
    }
}

fn cannot_lock(paths: &Paths, error: io::Error) -> Error {
    Error::io("Cannot lock the lock file", &paths.private, error)
}

/// Opens the private lock file and creates it if it is missing. While it is open it cannot be removed.
fn open_private(paths: &Paths) -> Result<File> {
    let path = &paths.private;
    let share = FILE_SHARE_READ | FILE_SHARE_WRITE;
    // Two rounds are enough unless the file is removed repeatedly.
    for _ in 0..100 {
        if let Some((file, _)) =
            files::open_existing(path, files::careful().read(true).write(true).share_mode(share))?
        {
            return Ok(file);
        }
        let list = access::of_new_file(&paths.target).map_err(|error| cannot_create(path, error))?;
        let flags = FILE_ATTRIBUTE_NORMAL | FILE_FLAG_OPEN_REPARSE_POINT;
        match sys::create_new(path, GENERIC_READ | GENERIC_WRITE, share, flags, &list) {
            Ok(file) => return Ok(file),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(cannot_create(path, error)),
        }
    }
    Err(Error::new(crate::ErrorKind::Io, "The private lock file is removed again and again").at(path))
}

fn cannot_create(path: &Path, error: io::Error) -> Error {
    Error::io("Cannot create the lock file", path, error)
}

/// The lock, acquired towards all programs. Dropping it closes the sibling file, which removes it, and then lets ours forward.
#[derive(Debug)]
pub(crate) struct Acquired {
    sibling: File,
    /// The file was then not created by us, and the close does not remove it.
    recovered: bool,
    _private: Private,
}

impl Drop for Acquired {
    fn drop(&mut self) {
        if self.recovered {
            // A file that cannot be removed is known as ours, and the next process of ours takes it over at once.
            let _ = sys::remove_on_close(&self.sibling);
        }
    }
}

impl Acquired {
    /// Whether a process died holding this lock.
    pub(crate) fn recovered(&self) -> bool {
        self.recovered
    }
}

/// How long the lock file has looked the same, by the monotonic clock. Kept over several waits, because a reader
/// never waits long enough to see a dead sibling's file unchanged for its time.
#[derive(Debug, Default)]
pub(crate) struct Watch(Option<(Fingerprint, Instant)>);

impl Watch {
    fn unchanged(&mut self, status: &Status) -> Duration {
        let now = files::fingerprint(status);
        match &self.0 {
            Some((before, since)) if *before == now => since.elapsed(),
            _ => {
                self.0 = Some((now, Instant::now()));
                Duration::ZERO
            }
        }
    }
}

/// With the private lock held, takes the sibling lock file, waiting for its holder.
///
/// # Errors
/// `Busy` from `sleep`; those of creating files.
pub(crate) fn take_sibling_lock(
    private: Private,
    paths: &Paths,
    watch: &Mutex<Watch>,
    sleep: &dyn Fn(Duration) -> Result<()>,
    events: &Events,
) -> Result<Option<Acquired>> {
    let list = access::of_new_file(&paths.target).map_err(|error| cannot_create(&paths.sibling, error))?;
    let mut pause = FIRST_LOOK;
    let mut denied: Option<Instant> = None;
    loop {
        match create_sibling(&paths.sibling, &list) {
            Ok(file) => return Ok(Some(hold(file, false, private, paths)?)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                denied = None;
                if let Some(file) = examine(paths, watch, events)? {
                    events.notice(|| {
                        format!("Took over the lock {:?} from a process that died", paths.sibling)
                    });
                    return Ok(Some(hold(file, true, private, paths)?));
                }
            }
            Err(error) if files::is_shared_badly(&error) => denied = None,
            Err(error) if files::is_one_of(&error, &[ERROR_ACCESS_DENIED]) => {
                if denied.get_or_insert_with(Instant::now).elapsed() > DENIED {
                    return Err(files::open_failed(&paths.sibling, error));
                }
            }
            Err(error) => return Err(cannot_create(&paths.sibling, error)),
        }
        sleep(pause)?;
        pause = (pause * 2).min(LATER_LOOK);
    }
}

fn create_sibling(path: &Path, list: &str) -> io::Result<File> {
    let flags = FILE_ATTRIBUTE_NORMAL | FILE_FLAG_DELETE_ON_CLOSE | FILE_FLAG_OPEN_REPARSE_POINT;
    sys::create_new(path, GENERIC_READ | GENERIC_WRITE | DELETE, FILE_SHARE_READ, flags, list)
}

fn hold(file: File, recovered: bool, private: Private, paths: &Paths) -> Result<Acquired> {
    // The locks do not need the record: a full disk must not prevent a sign-out.
    for (file, path) in [(&file, &paths.sibling), (&private.0, &paths.private)] {
        match writing::write_all_at(file, &lock_record::own(), 0) {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {}
            outcome => {
                outcome.map_err(|error| Error::io("Cannot write the lock file", path, error))?;
            }
        }
    }
    if recovered {
        file.set_len(lock_record::LENGTH as u64)
            .map_err(|error| Error::io("Cannot write the lock file", &paths.sibling, error))?;
    }
    Ok(Acquired { sibling: file, recovered, _private: private })
}

/// Judges another process's lock file. Reads it without disturbing its owner, and opens it exclusively only when its
/// owner is known to be dead. Returns `None` if it is not, or not any more.
fn examine(paths: &Paths, watch: &Mutex<Watch>, events: &Events) -> Result<Option<File>> {
    let path = &paths.sibling;
    let status = match files::careful().read(true).open(path) {
        Ok(file) => {
            let status = files::status_of(&file, path)?;
            files::require_plain_file(path, &status)?;
            let unchanged = watch.lock().unwrap_or_else(PoisonError::into_inner).unchanged(&status);
            if !is_stale(paths, &Record::read(&file), &status, unchanged, events) {
                return Ok(None);
            }
            status
        }
        Err(error) if is_passing(&error) => return Ok(None),
        Err(error) => return Err(files::open_failed(path, error)),
    };
    // Fails while another process has it open for writing, that is, while that process lives.
    let mut exclusive = OpenOptions::new();
    exclusive
        .access_mode(GENERIC_READ | GENERIC_WRITE | DELETE)
        .share_mode(FILE_SHARE_READ)
        .custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
    let file = match exclusive.open(path) {
        Ok(file) => file,
        Err(error) if is_passing(&error) => return Ok(None),
        Err(error) => return Err(files::open_failed(path, error)),
    };
    // Another process may have taken it between the two reads.
    let now = files::status_of(&file, path)?;
    Ok((files::fingerprint(&now) == files::fingerprint(&status)).then_some(file))
}

/// Gone, held by another process, or removed and still open.
fn is_passing(error: &io::Error) -> bool {
    files::is_absence(error)
        || files::is_shared_badly(error)
        || files::is_one_of(error, &[ERROR_ACCESS_DENIED])
}

fn is_stale(paths: &Paths, record: &Record, status: &Status, unchanged: Duration, events: &Events) -> bool {
    let age = status.modified().ok().and_then(|modified| SystemTime::now().duration_since(modified).ok());
    let forgotten = unchanged >= FORGOTTEN || unchanged >= SETTLED && age.is_some_and(|age| age >= FORGOTTEN);
    let settled = if paths.remote { SETTLED_REMOTE } else { SETTLED };
    match record.author() {
        // We hold the private lock, so the file belongs to no living process of this machine. The system has not
        // removed it because the machine stopped first.
        Author::Ours => !paths.remote || unchanged >= settled,
        Author::Nobody => unchanged >= NAMELESS,
        Author::Sibling(pid) if unchanged >= settled => {
            if lock_record::is_dead_sibling(pid, status) {
                return true;
            }
            if forgotten {
                let (path, minutes) = (&paths.sibling, FORGOTTEN.as_secs() / 60);
                events.warn(|| format!("Process {pid} lives but has not touched its lock {path:?} for {minutes} min; taking it over"));
            }
            forgotten
        }
        Author::Sibling(_) => false,
    }
}

/// Returns the state of the lock without changing the files.
///
/// # Errors
/// `UnsafeFile`, `PermissionDenied`, `Io`.
pub(crate) fn state(paths: &Paths) -> Result<LockState> {
    let path = &paths.sibling;
    let file = match files::careful().read(true).open(path) {
        Ok(file) => file,
        Err(error) if files::is_absence(&error) => return Ok(LockState::Free),
        Err(error) => return Err(cannot_look(path, error)),
    };
    let status = files::status_of(&file, path)?;
    files::require_plain_file(path, &status)?;
    let record = Record::read(&file);
    let modified = status.modified().ok();
    drop(file);
    // Fails while another process has it open for writing, that is, while that process lives.
    let mut writing = OpenOptions::new();
    writing.access_mode(GENERIC_READ | GENERIC_WRITE).share_mode(FILE_SHARE_READ);
    let opened = writing.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT).open(path);
    let open_elsewhere = opened.is_err_and(|error| files::is_shared_badly(&error));
    let holder = LockHolder::of(&record, modified, open_elsewhere);
    let dead = !open_elsewhere
        && match record.author() {
            Author::Ours => !paths.remote,
            Author::Sibling(pid) => lock_record::is_dead_sibling(pid, &status),
            Author::Nobody => holder.age.is_some_and(|age| age >= NAMELESS),
        };
    Ok(if dead { LockState::Left(holder) } else { LockState::Held(holder) })
}

/// The holder of a lock, for the message of a timeout.
#[derive(Debug)]
pub(crate) struct Holder {
    pub(crate) pid: u32,
    pub(crate) command: Option<String>,
    pub(crate) age: Option<Duration>,
}

/// Returns the last writer of the lock file; `None` if it is unknown.
pub(crate) fn holder(paths: &Paths) -> Option<Holder> {
    let open = |path: &Path| retry(|| files::careful().read(true).open(path)).ok();
    let file = open(&paths.sibling).or_else(|| open(&paths.private))?;
    let record = Record::read(&file);
    let since = record.since().or_else(|| file.metadata().ok()?.modified().ok());
    let age = since.and_then(|since| since.elapsed().ok());
    Some(Holder { pid: record.pid()?, command: record.command(), age })
}
