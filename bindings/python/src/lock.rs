//! The lock over a lock file, and the guards that this process has.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use pyo3::prelude::*;
use tokenkeep::{CacheLock, LockGuard};

use crate::ending::detached;
use crate::wait;

/// The guards of the [`Lock`]s of this process.
static HELD: Mutex<Vec<Weak<LockGuard>>> = Mutex::new(Vec::new());

/// A lock, and the guard while it is held.
#[derive(Debug)]
#[pyclass(frozen, module = "tokenkeep._native")]
pub(crate) struct Lock {
    lock: CacheLock,
    guard: Mutex<Option<Arc<LockGuard>>>,
}

#[pymethods]
impl Lock {
    #[new]
    fn new(py: Python<'_>, lock_file: PathBuf) -> PyResult<Self> {
        let lock = wait::run(py, || CacheLock::over(&lock_file))?;
        Ok(Self { lock, guard: Mutex::default() })
    }

    /// Takes the lock, within a number of seconds.
    fn acquire(&self, py: Python<'_>, limit: f64) -> PyResult<()> {
        let limit = wait::seconds(limit)?;
        let guard = wait::take(
            py,
            limit,
            |wait| self.lock.acquire(wait),
            |wait| {
                let lock = self.lock.clone();
                let wait = wait.clone();
                tokenkeep::nonblocking::run(move || lock.acquire(&wait))
            },
        )?;
        let guard = Arc::new(guard);
        let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
        held.retain(|guard| guard.strong_count() > 0);
        held.push(Arc::downgrade(&guard));
        drop(held);
        *self.guard.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
        Ok(())
    }

    /// Releases the lock; false if it was not held.
    fn release(&self, py: Python<'_>) -> bool {
        let guard = self.guard.lock().unwrap_or_else(PoisonError::into_inner).take();
        let had = guard.is_some();
        detached(py, move || drop(guard));
        had
    }
}

/// Returns the guard of a [`Lock`] of this process that covers the cache at `path`. In a forked child the guards of the
/// parent count for nothing.
pub(crate) fn held_for(py: Python<'_>, path: &Path) -> Option<Arc<LockGuard>> {
    let held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    let guards: Vec<_> = held.iter().filter_map(Weak::upgrade).collect();
    drop(held);
    if guards.is_empty() {
        return None;
    }
    detached(py, || guards.into_iter().find(|guard| guard.is_for(path)))
}
