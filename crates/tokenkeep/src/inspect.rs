//! Read-only inspection, for tools that explain why a sign-in is not kept or which process holds a lock.
//!
//! ```no_run
//! use tokenkeep::{CacheLock, inspect::LockState};
//!
//! if let LockState::Held(holder) = CacheLock::new("/home/me/.my-app/cache.json")?.state()? {
//!     println!("process {:?} has the lock", holder.pid);
//! }
//! # Ok::<(), tokenkeep::Error>(())
//! ```

use std::path::Path;
use std::time::Duration;

use crate::platform::files;
pub use crate::text::{printable, quoted};

#[cfg(target_os = "linux")]
pub use crate::platform::{SecretServiceCollection, SecretServiceProvider, SecretServiceSurvey};

/// The state of a lock.
///
/// ```
/// use tokenkeep::inspect::LockState;
///
/// fn explain(state: &LockState) -> String {
///     match state {
///         LockState::Held(holder) => format!("process {:?} is writing", holder.pid),
///         LockState::Left(holder) => format!("process {:?} died while it was writing", holder.pid),
///         _ => "no process is writing".to_owned(),
///     }
/// }
/// assert_eq!(explain(&LockState::Free), "no process is writing");
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

/// The file system of a cache. See [`file_system`].
///
/// ```
/// use tokenkeep::inspect::file_system;
///
/// let here = file_system(std::path::Path::new("/"));
/// println!("{}, shared with other machines: {}", here.name.as_deref().unwrap_or("unknown"), here.remote);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FileSystem {
    /// The system's name for it, such as `ext4` or `nfs4`, if known.
    pub name: Option<String>,
    /// Whether other machines, or a daemon, may change its files: locks then depend on them, and every access reads the
    /// file.
    pub remote: bool,
    /// Whether it is mounted read-only, as far as known.
    pub read_only: bool,
}

/// Describes the file system that holds `path`, or would hold it.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// assert!(!tokenkeep::inspect::file_system(&folder.path().join("not/there/yet")).read_only);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn file_system(path: &Path) -> FileSystem {
    files::file_system(path)
}
