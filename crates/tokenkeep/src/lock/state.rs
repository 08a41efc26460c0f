//! Who has a lock, for people: a look that takes nothing, creates nothing and waits for nobody.

use std::time::Duration;

use super::CacheLock;
use crate::platform::lock_file::{self, Paths};
use crate::platform::lock_record::{Author, Record, printable};
use crate::platform::{files, process};
use crate::{Error, Result};

/// Whether somebody has a lock.
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
    /// Nobody.
    Free,
    /// This process, as far as can be told.
    Held(LockHolder),
    /// Nobody, but a process that died left its lock file. The next program that takes the lock through this library
    /// clears it away; other libraries may wait for it in vain.
    Left(LockHolder),
}

/// Who wrote a lock file.
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
    /// Its process, if the file says.
    pub pid: Option<u32>,
    /// The program it runs or ran, where that is known.
    pub command: Option<String>,
    /// How long ago it took the lock, where that is known.
    pub age: Option<Duration>,
    /// Whether it took the lock through this library, and not through a sibling of it.
    pub ours: bool,
    /// Whether the operating system itself knows of a lock, so that the process certainly lives.
    pub certain: bool,
}

impl CacheLock {
    /// Who has this lock now. Nothing is created or changed, and nobody is waited for; a moment later it may be
    /// otherwise.
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
    /// `PermissionDenied`, `UnsafeFile`, `Io` when the directory or the lock files cannot be looked at.
    pub fn state(&self) -> Result<LockState> {
        if self.private || files::status_at(files::directory_of(&self.path))?.is_none() {
            return Ok(LockState::Free);
        }
        lock_file::state(&Paths::new(&self.path, &files::resolve(&self.path)?)?)
    }
}

impl LockHolder {
    /// What a lock file says, with what the system says of its process.
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

/// The error of looking at a lock file.
pub(crate) fn cannot_look(path: &std::path::Path, error: std::io::Error) -> Error {
    Error::io("Cannot look at the lock file", path, error)
}
