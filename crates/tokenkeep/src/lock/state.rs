//! The state of a lock, for display: read without taking the lock, creating files or waiting.

use super::CacheLock;
use crate::inspect::{LockHolder, LockState};
use crate::platform::lock_file;
use crate::platform::lock_record::{Author, Record};
use crate::platform::{files, process};
use crate::text::printable;
use crate::{Error, Result};

impl CacheLock {
    /// Returns the present state of this lock, without a change or a wait; it may differ a moment later.
    ///
    /// ```
    /// use tokenkeep::{CacheLock, inspect::LockState, options::WaitOptions};
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("cache.json");
    ///
    /// let lock = CacheLock::new(path)?;
    /// assert_eq!(lock.state()?, LockState::Free);
    /// let guard = lock.acquire(&WaitOptions::default())?;
    /// assert!(matches!(lock.state()?, LockState::Held(holder) if holder.pid == Some(std::process::id())));
    /// # drop(guard);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `PermissionDenied`, `UnsafeFile`, `Io` if the directory or the lock files cannot be read.
    pub fn state(&self) -> Result<LockState> {
        if self.within_process() || files::look_at(files::directory_of(&self.path))?.is_none() {
            return Ok(LockState::Free);
        }
        self.look()?.paths.map_or(Ok(LockState::Free), |paths| lock_file::state(&paths))
    }
}

impl LockHolder {
    /// Combines a lock file's content with the system's state of its process.
    pub(crate) fn of(record: &Record, modified: Option<std::time::SystemTime>, certain: bool) -> Self {
        let pid = record.pid();
        let since = record.since().or(modified);
        Self {
            pid,
            command: pid
                .and_then(process::command)
                .map(|name| printable(&name))
                .filter(|name| !name.is_empty())
                .or_else(|| record.command()),
            age: since.and_then(|since| since.elapsed().ok()),
            ours: record.author() == Author::Ours,
            certain,
        }
    }
}

/// The error of reading a lock file.
pub(crate) fn cannot_look(path: &std::path::Path, error: std::io::Error) -> Error {
    Error::io("Cannot look at the lock file", path, error)
}
