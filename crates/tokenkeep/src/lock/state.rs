//! The state of a lock, for display: read without taking the lock, creating files or waiting.

use std::time::Duration;

use super::CacheLock;
use crate::platform::lock_file::{self, Paths};
use crate::platform::lock_record::{Author, Record, printable};
use crate::platform::{files, process};
use crate::{Error, Result};

/// The state of a lock.
///
/// ```
/// use tokenkeep::inspect::LockState;
///
/// fn explain(state: &LockState) -> String {
///     match state {
///         LockState::Held(holder) => format!("process {:?} is writing", holder.pid),
///         LockState::Left(holder) => format!("process {:?} died while it was writing", holder.pid),
///         _ => "nobody is writing".to_owned(),
///     }
/// }
/// assert_eq!(explain(&LockState::Free), "nobody is writing");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LockState {
    /// No process has it.
    Free,
    /// This process has it, as far as the files show.
    Held(LockHolder),
    /// No process has it, but a dead process left its lock file. The next acquire through this library removes it;
    /// other libraries may wait for it in vain.
    Left(LockHolder),
}

/// The process that wrote a lock file.
///
/// ```
/// use tokenkeep::inspect::LockHolder;
///
/// fn may_be_stuck(holder: &LockHolder) -> bool {
///     holder.age.is_some_and(|age| age.as_secs() > 600) && holder.certain
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LockHolder {
    /// Its process id, if the file has it.
    pub pid: Option<u32>,
    /// The program that it runs or ran, if known.
    pub command: Option<String>,
    /// The time since it acquired the lock, if known.
    pub age: Option<Duration>,
    /// Whether it acquired the lock through this library, as opposed to a sibling.
    pub ours: bool,
    /// Whether the operating system confirms the lock, so that the process certainly lives.
    pub certain: bool,
}

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
        if self.private || files::status_at(files::directory_of(&self.path))?.is_none() {
            return Ok(LockState::Free);
        }
        lock_file::state(&Paths::new(&self.path, &files::resolve(&self.path)?)?)
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
