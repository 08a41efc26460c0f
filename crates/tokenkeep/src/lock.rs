//! The lock between processes: [`CacheLock`] waits, [`LockGuard`] holds.
//!
//! Two files stand beside the cache. A private one, `<cache>.tk-lock`, is never deleted; our own processes exclude
//! each other on it with flock, whatever others do. The other, `<cache>.lockfile`, is what the sibling libraries
//! know: it appears, already locked, when we enter and disappears when we leave. The kernel drops the flock of a dead
//! process, so a lock is never stale for long and no lock file has to be deleted by hand.
//!
//! This file puts the steps in order; [`queue`] is the order within this process, [`acquisition`] a wait without a thread,
//! and `platform::lock_file` the files.

mod acquisition;
mod deadline;
mod guard;
mod queue;
mod shared;
mod state;

use std::io::ErrorKind::NotFound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::atomic_file;
use crate::event::Events;
use crate::fork::PerProcess;
use crate::platform::directory::{self, Entry};
use crate::platform::files;
use crate::platform::lock_file::{self, Paths, Private, Watch};
use crate::platform::process;
use crate::text::printable;
use crate::threads::unpark_me;
use crate::{Error, ErrorKind, Result, options::WaitOptions};
pub(crate) use acquisition::Outcome;
pub(crate) use deadline::Deadline;
pub use guard::LockGuard;
pub(crate) use queue::Key;
use queue::{Queues, Waiter};
pub(crate) use state::cannot_look;

/// The pause before a new start after other processes replaced files or directories.
const RESTART_PAUSE: Duration = Duration::from_millis(1);
/// Give up on a directory that disappears this often after it was created.
const RESTARTS: u32 = 100;

static QUEUES: PerProcess<Queues<Private>> = PerProcess::new();

/// The lock of one cache file, between threads, processes and sibling libraries.
///
/// ```
/// use std::time::Duration;
/// use tokenkeep::{options::WaitOptions, CacheLock, ErrorKind};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("cache.json");
///
/// let lock = CacheLock::new(path)?;
/// let guard = lock.acquire(&WaitOptions::default())?;
/// // Another process, or another thread of this one:
/// let busy = lock.acquire(&WaitOptions::within(Duration::from_millis(20))).unwrap_err();
/// assert_eq!(busy.kind(), ErrorKind::Busy);
/// drop(guard);
/// let free_again = lock.acquire_nonblocking(&WaitOptions::default()); // a future, for programs that must not block
/// # drop(free_again);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct CacheLock {
    /// The cache; the lock file itself where that is not named after a cache.
    path: PathBuf,
    scope: Scope,
    events: Events,
    watch: Arc<Mutex<Watch>>,
    /// Whether the first acquisition still has to remove what a killed process left of making the lock files. Only where
    /// nothing else is ever written: a writer of a cache file looks around at its first write.
    unswept: Arc<AtomicBool>,
}

/// The lock of a cache, and that of a store which several paths share.
pub(crate) type Locks = (LockGuard, Option<LockGuard>);

/// Who is excluded, and by which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// All processes, by the lock file beside the path.
    Beside,
    /// All processes, by the lock file at the path.
    Over,
    /// The threads of this process; no file is touched.
    Process,
}

/// What a path names at this moment.
struct Resolved {
    path: PathBuf,
    /// The file behind the path: the same, or the target of a symbolic link.
    target: Entry,
    /// The path itself, which may be that of a link.
    given: Entry,
    /// Where the lock files stand. `None` for a lock within this process.
    paths: Option<Paths>,
}

impl Resolved {
    fn key(&self) -> Key {
        self.paths.as_ref().map_or_else(|| Key::InProcess(self.path.clone()), Paths::key)
    }
}

impl CacheLock {
    /// The lock of the cache at `path`. Nothing is created until it is taken.
    ///
    /// # Errors
    /// `InvalidInput` for a path that names no file.
    pub fn new(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self::with_events(&files::absolute(path.as_ref())?, Events::default()))
    }

    /// The lock whose lock file, the one that sibling libraries know, is `lock_file`. For `X.lockfile` this is the very lock
    /// of the cache `X`; beside any other name stands the private file of this library, `<lock_file>.tk-lock`.
    ///
    /// ```
    /// use tokenkeep::{CacheLock, options::WaitOptions};
    /// # let folder = tempfile::tempdir()?;
    /// # let folder = folder.path();
    ///
    /// let guard = CacheLock::over(folder.join("of my own.lock"))?.acquire(&WaitOptions::default())?;
    /// assert!(folder.join("of my own.lock").exists());
    /// drop(guard);
    /// assert!(!folder.join("of my own.lock").exists());
    ///
    /// let guard = CacheLock::over(folder.join("cache.json.lockfile"))?.acquire(&WaitOptions::default())?;
    /// assert_eq!(guard.path(), folder.join("cache.json"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` for a path that names no file.
    pub fn over(lock_file: impl AsRef<Path>) -> Result<Self> {
        let lock_file = lock_file.as_ref();
        let suffix = files::SIBLING_LOCK_SUFFIX;
        let of_cache = lock_file.as_os_str().as_encoded_bytes().ends_with(suffix.as_bytes())
            && lock_file.extension().is_some_and(|extension| extension == &suffix[1..]);
        if of_cache {
            return Self::new(lock_file.with_extension(""));
        }
        Ok(Self { scope: Scope::Over, ..Self::alone(&files::absolute(lock_file)?, Events::default()) })
    }

    /// The lock of something that has no file of its own and that several caches may share, such as a keystore item; in
    /// `directory` if that is given.
    ///
    /// # Errors
    /// `PermissionDenied`, `UnsafeFile`, `Io` when there is no directory for it.
    pub(crate) fn of_shared(kind: &str, name: &str, directory: Option<&Path>) -> Result<Self> {
        let path = match directory {
            Some(directory) => directory.join(Self::shared_name(kind, name)),
            None => Self::shared_path(kind, name)?,
        };
        Ok(Self::alone(&files::absolute(&path)?, Events::default()))
    }

    /// The path of such a lock. Its directory is this user's own, or will be when the lock is taken.
    ///
    /// # Errors
    /// As [`CacheLock::of_shared`].
    pub(crate) fn shared_path(kind: &str, name: &str) -> Result<PathBuf> {
        shared::path(kind, name)
    }

    /// Returns the last part of such a path.
    pub(crate) fn shared_name(kind: &str, name: &str) -> String {
        shared::file_name(kind, name)
    }

    pub(crate) fn with_events(path: &Path, events: Events) -> Self {
        let path = path.to_owned();
        Self { path, scope: Scope::Beside, events, watch: Arc::default(), unswept: Arc::default() }
    }

    /// A lock whose path never has a file.
    pub(crate) fn alone(path: &Path, events: Events) -> Self {
        Self { unswept: Arc::new(AtomicBool::new(true)), ..Self::with_events(path, events) }
    }

    /// The lock between the threads of this process for a resource that only they share, such as a cache in memory.
    /// `name` identifies it; no file is created.
    ///
    /// ```
    /// use tokenkeep::CacheLock;
    /// use tokenkeep::options::WaitOptions;
    ///
    /// let guard = CacheLock::private("memory:1").acquire(&WaitOptions::default())?;
    /// # drop(guard);
    /// # Ok::<(), tokenkeep::Error>(())
    /// ```
    pub fn private(name: impl AsRef<Path>) -> Self {
        Self { scope: Scope::Process, ..Self::with_events(name.as_ref(), Events::default()) }
    }

    fn within_process(&self) -> bool {
        self.scope == Scope::Process
    }

    /// Returns the key that identifies this lock in any spelling of the path; creates a missing directory.
    pub(crate) fn key(&self) -> Result<Key> {
        Ok(self.resolve()?.key())
    }

    /// Finds the file behind the path; the directory is created if it is missing.
    fn resolve(&self) -> Result<Resolved> {
        self.resolve_by(directory::locate_or_create)
    }

    /// As [`CacheLock::resolve`], without creating anything.
    fn look(&self) -> Result<Resolved> {
        self.resolve_by(directory::locate)
    }

    fn resolve_by(&self, locate: fn(&Path) -> Result<Entry>) -> Result<Resolved> {
        let path = self.path.clone();
        let given = match self.scope {
            Scope::Process => Entry::nowhere(&path),
            Scope::Over | Scope::Beside => locate(&path)?,
        };
        let (target, paths) = match self.scope {
            Scope::Process => (given.clone(), None),
            Scope::Over => (given.clone(), Some(Paths::over(&given)?)),
            Scope::Beside => {
                let target = directory::follow(&given)?;
                let paths = Paths::beside(&given, &target)?;
                (target, Some(paths))
            }
        };
        Ok(Resolved { path, target, given, paths })
    }

    /// Waits for the lock and takes it, creating the directory (0700) when it is missing.
    ///
    /// Threads and futures of this process are served first come first served, whichever `CacheLock` they use. A process
    /// that died holding the lock is recognised at once if it was ours, within seconds if it used a sibling library; a
    /// live holder is respected. Not re-entrant: a thread that waits for its own guard waits in vain.
    ///
    /// A child that was forked and executes no other program calls [`after_fork_in_child`](crate::after_fork_in_child)
    /// first: it inherits the queues of this process as they were at that moment.
    ///
    /// # Errors
    /// `Busy` after the limit, naming the holder; `Cancelled`; `PermissionDenied`, `StorageFull`, `UnsafeFile`, `Io`
    /// when the lock files cannot be used.
    pub fn acquire(&self, wait: &WaitOptions) -> Result<LockGuard> {
        let deadline = Deadline::new(wait);
        deadline.require_wanted()?;
        self.acquire_until(&deadline)
    }

    fn acquire_until(&self, deadline: &Deadline) -> Result<LockGuard> {
        let mut restarts = 0;
        loop {
            match self.attempt(deadline) {
                Ok(Some(guard)) => return Ok(guard),
                // The private file, or a link to the cache, was replaced during the wait.
                Ok(None) => {}
                // The directory was removed in between.
                Err(error) if error.io_kind() == Some(NotFound) && restarts < RESTARTS => {}
                Err(error) => return Err(error),
            }
            restarts += 1;
            thread::sleep(RESTART_PAUSE);
            deadline.left().map_err(|error| error.at(&self.path))?;
        }
    }

    fn attempt(&self, deadline: &Deadline) -> Result<Option<LockGuard>> {
        let resolved = self.resolve()?;
        let waiter = QUEUES.get().enter(resolved.key(), unpark_me());
        waiter.wait(deadline).map_err(|error| self.explain(error, resolved.paths.as_ref(), deadline))?;
        self.take(waiter, resolved, deadline)
    }

    /// As the first of the queue: takes the lock of the operating system, and then that of the siblings. `None` when the
    /// files were exchanged meanwhile.
    fn take(
        &self,
        waiter: Waiter<Private>,
        resolved: Resolved,
        deadline: &Deadline,
    ) -> Result<Option<LockGuard>> {
        let Resolved { path, target, given, paths } = resolved;
        let Some(paths) = paths else { return Ok(Some(LockGuard::within_process(waiter, &path))) };
        let explain = |error: Error| self.explain(error, Some(&paths), deadline);
        let block = {
            let paths = paths.clone();
            move || Private::block(&paths)
        };
        // Every holder has the siblings' lock file too, all but the few microseconds of taking or leaving it.
        let is_used = || !matches!(files::status_at(paths.sibling()), Ok(None));
        let private = waiter.lock(deadline, || Private::attempt(&paths), block, is_used).map_err(explain)?;
        // The file may have been removed while we waited: then we hold the lock of a file without a name.
        if !private.is_current(&paths)? {
            return Ok(None);
        }
        let sleep = |longest| deadline.sleep(longest);
        let taken = lock_file::take_sibling_lock(private, &paths, &self.watch, &sleep, &self.events);
        let Some(acquired) = taken.map_err(explain)? else { return Ok(None) };
        let recovered = acquired.recovered();
        let guard = LockGuard::of_files(acquired, waiter, &path, target.clone(), paths);
        // The directory may have been exchanged since it was resolved, or a link may have been given another target.
        if !given.is_current()? || self.scope == Scope::Beside && directory::follow(&given)? != target {
            return Ok(None);
        }
        if recovered | self.unswept.swap(false, Ordering::Relaxed) {
            atomic_file::remove_left_over(&target);
        }
        Ok(Some(guard))
    }

    /// As [`CacheLock::explain`], for a wait that ended in the queue.
    fn explain_anew(&self, error: Error, deadline: &Deadline) -> Error {
        let resolved = self.look().ok();
        self.explain(error, resolved.as_ref().and_then(|resolved| resolved.paths.as_ref()), deadline)
    }

    /// Makes a time-out tell who holds the lock and what to do.
    fn explain(&self, error: Error, paths: Option<&Paths>, deadline: &Deadline) -> Error {
        if error.kind() != ErrorKind::Busy {
            return error;
        }
        let Some(paths) = paths else { return error.at(&self.path) };
        let waited = deadline.waited().as_millis();
        let (holder, remedy) = match lock_file::holder(paths) {
            Some(holder) if holder.pid == std::process::id() => (
                format!("this process itself ({})", holder.pid),
                "Another operation of this program is using the cache; let it finish or raise the time limit"
                    .to_owned(),
            ),
            Some(holder) => {
                let command = process::command(holder.pid).map(|name| printable(&name)).or(holder.command);
                let command = command.unwrap_or_else(|| "unknown".into());
                let age = holder.age.map_or_else(String::new, |age| format!(", for {} s", age.as_secs()));
                (
                    format!("process {} ({command}){age}", holder.pid),
                    format!(
                        "Wait for process {} to finish, or end it; there is no file to delete",
                        holder.pid
                    ),
                )
            }
            None => ("an unknown process".to_owned(), "Try again, or raise the time limit".to_owned()),
        };
        Error::new(
            ErrorKind::Busy,
            format!("Waited {waited} ms for the lock of the cache, which is held by {holder}"),
        )
        .at(&self.path)
        .remedy(remedy)
    }
}
