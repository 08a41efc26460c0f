//! The two lock files on Windows.
//!
//! The private file is never deleted. Processes of tokenkeep exclude each other on it by a lock of the system, which
//! queues the waiters and ends with its process. A file system without such locks (`\\wsl$`, some network drives) leaves
//! the exclusion to the siblings' file, without an order of the waiters. The siblings' file exists only during a hold, so it must not exist
//! before. While it is open no other program can write or remove it, and the system removes it at the close, also
//! after a crash. Only a sibling's file needs a judgement.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use windows_sys::Win32::Foundation::{GENERIC_READ, GENERIC_WRITE};
use windows_sys::Win32::Storage::FileSystem::{
    DELETE, FILE_ATTRIBUTE_NORMAL, FILE_FLAG_DELETE_ON_CLOSE, FILE_FLAG_OPEN_REPARSE_POINT, FILE_SHARE_READ,
    FILE_SHARE_WRITE,
};

use super::answers::{self, Locked, is_absence, is_shared_badly};
use super::directory::Entry;
use super::files::{self, Status, retry};
use super::{sys, writing};
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
    private: Entry,
    sibling: Entry,
    key: Key,
    sibling_key: Key,
    remote: bool,
}

impl Paths {
    /// The lock files of the cache at `given`, which stands for the file `target`.
    pub(crate) fn beside(given: &Entry, target: &Entry) -> Result<Self> {
        Self::new(target, given.with_suffix(files::SIBLING_LOCK_SUFFIX))
    }

    /// The sibling lock file at `lock_file`, and a private one beside it.
    pub(crate) fn over(lock_file: &Entry) -> Result<Self> {
        Self::new(lock_file, lock_file.clone())
    }

    fn new(target: &Entry, sibling: Entry) -> Result<Self> {
        let directory = files::directory_of(target);
        let identity = files::directory_identity(directory)?;
        let sibling_directory = files::directory_of(&sibling);
        let sibling_key = match sibling_directory == directory {
            true => key(identity, &sibling),
            false => key(files::directory_identity(sibling_directory)?, &sibling),
        };
        Ok(Self {
            private: target.with_suffix(files::PRIVATE_LOCK_SUFFIX),
            sibling,
            key: key(identity, target),
            sibling_key,
            remote: files::is_remote(directory),
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
    pub(crate) fn sibling(&self) -> &Entry {
        &self.sibling
    }
}

fn key(directory: (u64, u64), path: &Path) -> Key {
    // Names that differ in case name the same file.
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    Key::File { directory, name: name.into() }
}

/// The private lock.
#[derive(Debug)]
pub(crate) struct Private {
    file: File,
    /// Whether the file system has locks.
    locked: bool,
}

impl Private {
    /// Takes the private lock if it is free.
    pub(crate) fn attempt(paths: &Paths) -> Result<Option<Self>> {
        let Some(file) = open_private(paths)? else { return Ok(None) };
        let locked = sys::lock(&file, false).map_err(|error| cannot_lock(paths, error))?;
        Ok((locked != Locked::No).then_some(Self { file, locked: locked == Locked::Yes }))
    }

    /// Waits until the private lock is free and takes it.
    pub(crate) fn block(paths: &Paths) -> Result<Self> {
        let mut pause = FIRST_LOOK;
        loop {
            if let Some(file) = open_private(paths)? {
                let locked = sys::lock(&file, true).map_err(|error| cannot_lock(paths, error))?;
                return Ok(Self { file, locked: locked == Locked::Yes });
            }
            // A backup or a scanner has the file for itself.
            thread::sleep(pause);
            pause = (pause * 2).min(LATER_LOOK);
        }
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
        if self.locked {
            let _ = sys::unlock(&self.file);
        }
    }
}

fn cannot_lock(paths: &Paths, error: io::Error) -> Error {
    Error::io("Cannot lock the lock file", &paths.private, error)
}

/// Opens the private lock file and creates it if it is missing; `None` while a program has it exclusively. While it is
/// open it cannot be removed. It holds no secret, and all users of the cache have to open it: its access list is that of
/// the directory.
fn open_private(paths: &Paths) -> Result<Option<File>> {
    let path = &paths.private;
    let share = FILE_SHARE_READ | FILE_SHARE_WRITE;
    // Two rounds are enough unless the file is removed repeatedly.
    for _ in 0..100 {
        let open = files::careful().read(true).write(true).share_mode(share).open(path);
        match open {
            Ok(file) => {
                files::require_plain_file(path, &files::status_of(&file, path)?)?;
                return Ok(Some(file));
            }
            Err(error) if is_shared_badly(&error) => return Ok(None),
            Err(error) if is_absence(&error) => {}
            Err(error) => return Err(files::open_failed(path, error)),
        }
        let flags = FILE_ATTRIBUTE_NORMAL | FILE_FLAG_OPEN_REPARSE_POINT;
        match sys::create_new(path, GENERIC_READ | GENERIC_WRITE, share, flags, None) {
            Ok(file) => return Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) if is_shared_badly(&error) => return Ok(None),
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
    let mut pause = FIRST_LOOK;
    let mut denied: Option<Instant> = None;
    loop {
        match create_sibling(&paths.sibling) {
            Ok(file) => return Ok(Some(hold(file, false, private, paths)?)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                denied = None;
                if let Some(file) = examine(paths, private.locked, watch, events)? {
                    events.notice(|| {
                        format!("Took over the lock {:?} from a process that died", paths.sibling)
                    });
                    return Ok(Some(hold(file, true, private, paths)?));
                }
            }
            Err(error) if is_shared_badly(&error) => denied = None,
            Err(error) if answers::is_one_of(&error, &[answers::code::ACCESS_DENIED]) => {
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

fn create_sibling(path: &Path) -> io::Result<File> {
    let flags = FILE_ATTRIBUTE_NORMAL | FILE_FLAG_DELETE_ON_CLOSE | FILE_FLAG_OPEN_REPARSE_POINT;
    sys::create_new(path, GENERIC_READ | GENERIC_WRITE | DELETE, FILE_SHARE_READ, flags, None)
}

fn hold(file: File, recovered: bool, private: Private, paths: &Paths) -> Result<Acquired> {
    // The locks do not need the record: a full disk must not prevent a sign-out.
    for (file, path) in [(&file, &paths.sibling), (&private.file, &paths.private)] {
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
fn examine(paths: &Paths, locked: bool, watch: &Mutex<Watch>, events: &Events) -> Result<Option<File>> {
    let path = &paths.sibling;
    let status = match files::careful().read(true).open(path) {
        Ok(file) => {
            let status = files::status_of(&file, path)?;
            files::require_plain_file(path, &status)?;
            let unchanged = watch.lock().unwrap_or_else(PoisonError::into_inner).unchanged(&status);
            if !is_stale(paths, locked, &Record::read(&file), &status, unchanged, events) {
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
    is_absence(error) || is_shared_badly(error) || answers::is_one_of(error, &[answers::code::ACCESS_DENIED])
}

/// `locked`: whether the private lock excludes the other processes of this machine.
fn is_stale(
    paths: &Paths,
    locked: bool,
    record: &Record,
    status: &Status,
    unchanged: Duration,
    events: &Events,
) -> bool {
    let age = status.modified().ok().and_then(|modified| SystemTime::now().duration_since(modified).ok());
    let forgotten = unchanged >= FORGOTTEN || unchanged >= SETTLED && age.is_some_and(|age| age >= FORGOTTEN);
    let settled = if paths.remote { SETTLED_REMOTE } else { SETTLED };
    match record.author() {
        // We hold the private lock, so the file belongs to no living process of this machine. The system has not
        // removed it because the machine stopped first.
        Author::Ours => (locked && !paths.remote) || unchanged >= settled,
        Author::Nobody => unchanged >= NAMELESS,
        Author::Sibling(pid) if unchanged >= settled => {
            if lock_record::is_dead_sibling(pid, status, paths.remote) {
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
        Err(error) if is_absence(&error) => return Ok(LockState::Free),
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
    let open_elsewhere = opened.is_err_and(|error| is_shared_badly(&error));
    let holder = LockHolder::of(&record, modified, open_elsewhere);
    let dead = !open_elsewhere
        && match record.author() {
            Author::Ours => !paths.remote,
            Author::Sibling(pid) => lock_record::is_dead_sibling(pid, &status, paths.remote),
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
