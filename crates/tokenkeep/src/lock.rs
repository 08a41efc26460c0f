//! The lock between processes: [`CacheLock`] waits, [`LockGuard`] holds.
//!
//! Two files stand beside the cache. A private one, `<cache>.tk-lock`, is never deleted; our own processes exclude
//! each other on it with flock, whatever others do. The other, `<cache>.lockfile`, is what the sibling libraries
//! know: it appears, already locked, when we enter and disappears when we leave. The kernel drops the flock of a dead
//! process, so a lock is never stale for long and nobody ever has to delete a file.
//!
//! This file puts the steps in order; [`line`] is the queue inside this process and `platform::lock_file` the files.

mod line;
mod shared;
mod state;

use std::io::ErrorKind::NotFound;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::atomic_file::{self, Rest};
use crate::event::Events;
use crate::platform::lock_file::{self, Held, Paths, Private, Watch};
use crate::platform::{files, lock_record, process};
use crate::{Error, ErrorKind, Result, options::WaitOptions};
use line::{Deadline, Head, Key, Lines};
pub(crate) use state::cannot_look;

/// The pause before a new start after other processes replaced files or directories.
const RESTART_PAUSE: Duration = Duration::from_millis(1);
/// Give up on a directory that disappears this often after it was created.
const RESTARTS: u32 = 100;

static LINES: Lines<Private> = Lines::new();

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
    path: PathBuf,
    events: Events,
    watch: Arc<Mutex<Watch>>,
    /// Whether nobody has looked yet for what a killed process left of making the lock files. Only where nothing else
    /// is ever written: a writer of a cache file looks around at its first write.
    unswept: Arc<AtomicBool>,
    /// Whether it is between the threads of this process only, and touches no file.
    private: bool,
}

impl CacheLock {
    /// The lock of the cache at `path`. Nothing is created until it is taken.
    ///
    /// # Errors
    /// `InvalidInput` for a path that names no file.
    pub fn new(path: impl AsRef<Path>) -> Result<Self> {
        Ok(Self::with_events(&files::absolute(path.as_ref())?, Events::default()))
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
        Self { path, events, watch: Arc::default(), unswept: Arc::default(), private: false }
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
        Self { private: true, ..Self::with_events(name.as_ref(), Events::default()) }
    }

    /// Returns the key that identifies this lock in any spelling of the path; creates a missing directory.
    pub(crate) fn key(&self) -> Result<Key> {
        if self.private {
            return Ok((0, 0, self.path.clone().into_os_string()));
        }
        files::create_directory(files::directory_of(&self.path))?;
        Ok(Paths::new(&self.path, &files::resolve(&self.path)?)?.key())
    }

    /// Waits for the lock and takes it, creating the directory (0700) when it is missing.
    ///
    /// Threads of this process are served first come first served, whichever `CacheLock` they use. A process that
    /// died holding the lock is recognised at once if it was ours, within seconds if it used a sibling library; a
    /// live holder is respected. Not re-entrant: a thread that waits for its own guard waits in vain.
    ///
    /// A child forked while a guard is held must execute another program, or wait until its parent has released the lock
    /// before it takes it: it inherits the line of this process's threads as it was at that moment.
    ///
    /// # Errors
    /// `Busy` after the limit, naming the holder; `Cancelled`; `PermissionDenied`, `StorageFull`, `UnsafeFile`, `Io`
    /// when the lock files cannot be used.
    pub fn acquire(&self, wait: &WaitOptions) -> Result<LockGuard> {
        let deadline = Deadline::new(wait);
        deadline.require_wanted()?;
        if self.private {
            let head = LINES.of(self.key()?).wait(&deadline).map_err(|error| error.at(&self.path))?;
            let (path, target) = (self.path.clone(), self.path.clone());
            return Ok(LockGuard::new(None, head, path, target));
        }
        let mut restarts = 0;
        loop {
            match self.attempt(&deadline) {
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

    fn attempt(&self, deadline: &Deadline<'_>) -> Result<Option<LockGuard>> {
        files::create_directory(files::directory_of(&self.path))?;
        let target = files::resolve(&self.path)?;
        let paths = Paths::new(&self.path, &target)?;
        let explain = |error: Error| self.explain(error, &paths, deadline);

        let head = LINES.of(paths.key()).wait(deadline).map_err(explain)?;
        let block = {
            let paths = paths.clone();
            move || Private::block(&paths)
        };
        // Whoever has the lock has the siblings' lock file too, all but the few microseconds of taking or leaving it.
        let mut sibling = self.path.clone().into_os_string();
        sibling.push(files::SIBLING_LOCK_SUFFIX);
        let is_used = || !matches!(files::status_at(sibling.as_ref()), Ok(None));
        let private = head.lock(deadline, || Private::attempt(&paths), block, is_used).map_err(explain)?;
        // Somebody may have removed the file while we waited: then we hold the lock of a file without a name.
        if !private.is_current(&paths)? {
            return Ok(None);
        }
        let sleep = |longest| deadline.sleep(longest);
        let met = lock_file::meet_siblings(private, &paths, &self.watch, &sleep, &self.events);
        let Some(held) = met.map_err(explain)? else { return Ok(None) };
        let recovered = held.recovered();
        let guard = LockGuard::new(Some(held), head, self.path.clone(), target);
        // A link may have been given another target since it was resolved.
        if files::resolve(&self.path)? != guard.target {
            return Ok(None);
        }
        if recovered | self.unswept.swap(false, Ordering::Relaxed) {
            atomic_file::remove_left_over(&guard.target);
        }
        Ok(Some(guard))
    }

    /// Makes a time-out tell who holds the lock and what to do.
    fn explain(&self, error: Error, paths: &Paths, deadline: &Deadline<'_>) -> Error {
        if error.kind() != ErrorKind::Busy {
            return error;
        }
        let waited = deadline.waited().as_millis();
        let (holder, remedy) = match lock_file::holder(paths) {
            Some(holder) if holder.pid == std::process::id() => (
                format!("this process itself ({})", holder.pid),
                "Another operation of this program is using the cache; let it finish or raise the time limit"
                    .to_owned(),
            ),
            Some(holder) => {
                let command =
                    process::command(holder.pid).map(|name| lock_record::printable(&name)).or(holder.command);
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

/// Proof that the lock of one cache is held. Dropping it releases the lock.
///
/// It is of no use in a process that was forked while it was held: there nothing can be written with it, and dropping it
/// releases nothing. The lock stays its parent's.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("cache.json");
///
/// use tokenkeep::{CacheLock, options::WaitOptions};
///
/// let guard = CacheLock::new(&path)?.acquire(&WaitOptions::default())?;
/// assert_eq!(guard.path(), path);
/// drop(guard); // the next waiter gets the lock
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "the lock is released as soon as the guard is dropped"]
pub struct LockGuard {
    /// Before `head`, so that the files are released before the next in line is let forward. `None` for a lock within
    /// this process.
    #[expect(dead_code, reason = "held until the guard is dropped")]
    held: Option<Held>,
    _head: Head<Private>,
    path: PathBuf,
    target: PathBuf,
    /// Who took it, which is not who has it in a process that was forked meanwhile.
    process: u32,
    /// The deferred steps of the last write under this guard. Last, so that they happen after the lock is released.
    rest: Mutex<Rest>,
}

impl LockGuard {
    fn new(held: Option<Held>, head: Head<Private>, path: PathBuf, target: PathBuf) -> Self {
        let (process, rest) = (std::process::id(), Mutex::new(Rest::NOTHING));
        Self { held, _head: head, path, target, process, rest }
    }

    /// Leaves the rest of a write to [`LockGuard::release`].
    pub(crate) fn finish_later(&self, rest: Rest) {
        drop(self.replace_rest(rest));
    }

    /// Releases the lock, then finishes the last write under it. Another writer may build on the new content before its
    /// directory is synced: that writer syncs the same directory before its own write is acknowledged, and the file system
    /// can do both at once.
    ///
    /// # Errors
    /// Those of syncing a directory. The content is in its place all the same.
    pub(crate) fn release(self) -> Result<()> {
        let rest = self.replace_rest(Rest::NOTHING);
        drop(self);
        rest.finish()
    }

    fn replace_rest(&self, rest: Rest) -> Rest {
        std::mem::replace(&mut *self.rest.lock().unwrap_or_else(PoisonError::into_inner), rest)
    }

    /// The path of the cache that is locked.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file behind the path: the same, or the target of a symbolic link.
    pub(crate) fn target(&self) -> &Path {
        &self.target
    }

    /// Refuses a guard of another cache or another process.
    ///
    /// # Errors
    /// `InvalidInput`.
    pub(crate) fn require(&self, path: &Path) -> Result<()> {
        if self.process != std::process::id() {
            let what = "The lock is held by the process that forked this one";
            return Err(Error::new(ErrorKind::InvalidInput, what)
                .at(path)
                .remedy("Take the lock again in this process"));
        }
        if self.path == path {
            return Ok(());
        }
        Err(Error::new(ErrorKind::InvalidInput, "The lock guard belongs to another cache").at(path))
    }
}
