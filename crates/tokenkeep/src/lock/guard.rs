//! Proof that the lock of one cache is held.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::queue::Waiter;
use crate::atomic_file::Rest;
use crate::platform::directory::{self, Entry};
use crate::platform::files;
use crate::platform::lock_file::{Acquired, Paths, Private};
use crate::{Error, ErrorKind, Result};

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
/// assert!(guard.is_for(&folder.path().join(".").join("cache.json")));
/// drop(guard); // the next waiter gets the lock
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "the lock is released as soon as the guard is dropped"]
pub struct LockGuard {
    /// Before `waiter`, so that the files are released before the next waiter is let forward. `None` for a lock within this
    /// process.
    #[expect(dead_code, reason = "held until the guard is dropped")]
    acquired: Option<Acquired>,
    _waiter: Waiter<Private>,
    path: PathBuf,
    /// The file behind the path: the same, or the target of a symbolic link.
    target: Entry,
    /// Where the lock files stand. `None` for a lock within this process.
    paths: Option<Paths>,
    /// The process that took the lock, which is another one than this in a forked child.
    process: u32,
    /// The deferred steps of the last write under this guard. Last, so that they happen after the lock is released.
    rest: Mutex<Rest>,
}

impl LockGuard {
    pub(super) fn within_process(waiter: Waiter<Private>, path: &Path) -> Self {
        Self::new(None, waiter, path, Entry::nowhere(path), None)
    }

    pub(super) fn of_files(
        acquired: Acquired,
        waiter: Waiter<Private>,
        path: &Path,
        target: Entry,
        paths: Paths,
    ) -> Self {
        Self::new(Some(acquired), waiter, path, target, Some(paths))
    }

    fn new(
        acquired: Option<Acquired>,
        waiter: Waiter<Private>,
        path: &Path,
        target: Entry,
        paths: Option<Paths>,
    ) -> Self {
        Self {
            acquired,
            _waiter: waiter,
            path: path.to_owned(),
            target,
            paths,
            process: std::process::id(),
            rest: Mutex::new(Rest::NOTHING),
        }
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

    /// The path of the cache that is locked, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file behind the path: the same, or the target of a symbolic link.
    pub(crate) fn target(&self) -> &Entry {
        &self.target
    }

    /// Whether this guard locks the cache at `path`, in any spelling: relative, or by another link to the folder.
    ///
    /// A symbolic link to the cache file is another path: sibling libraries look for the lock file beside the path that
    /// they are given. Looks at the file system unless the spelling is the same. `false` when that fails, and in a process
    /// that was forked since the lock was taken.
    pub fn is_for(&self, path: &Path) -> bool {
        self.process == std::process::id() && (self.path == path || self.locks_same_files(path))
    }

    fn locks_same_files(&self, path: &Path) -> bool {
        let Some(own) = &self.paths else { return false };
        let of_path = || {
            let path = files::absolute(path)?;
            let given = directory::locate(&path)?;
            Paths::beside(&given, &directory::follow(&given)?)
        };
        of_path().is_ok_and(|other: Paths| own.are_those_of(&other))
    }

    /// Refuses a guard of another cache or another process.
    ///
    /// # Errors
    /// `InvalidInput`.
    pub(crate) fn require(&self, path: &Path) -> Result<()> {
        if self.is_for(path) {
            return Ok(());
        }
        if self.process != std::process::id() {
            let what = "The lock is held by the process that forked this one";
            return Err(Error::new(ErrorKind::InvalidInput, what)
                .at(path)
                .remedy("Take the lock again in this process"));
        }
        Err(Error::new(ErrorKind::InvalidInput, "The lock guard belongs to another cache").at(path))
    }
}
