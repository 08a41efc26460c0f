//! Acquires the locks of two caches in an order without deadlocks.
//!
//! A write of one cache takes the lock of its shared store first and then that of its path. A move takes all shared
//! locks before all path locks, and each kind in the order of their keys; so every process takes any two locks in the
//! same order. The lock of a key source comes after all of them, and no code waits while it is held.

use std::time::Instant;

use crate::{CacheLock, Error, ErrorKind, LockGuard, Result, TokenCache, options::WaitOptions};

/// The locks of two caches.
pub(super) struct Locks {
    from: LockGuard,
    /// `None` if both caches have the same lock.
    to: Option<LockGuard>,
    /// After the others, so that they are released last.
    _shared: Vec<LockGuard>,
}

impl Locks {
    pub(super) fn acquire(from: &TokenCache, to: &TokenCache, wait: &WaitOptions) -> Result<Self> {
        let began = Instant::now();
        let acquire = |lock: &CacheLock| {
            let limit = wait.limit.saturating_sub(began.elapsed());
            lock.acquire(&WaitOptions { limit, ..wait.clone() })
        };
        let (from_shared, from_lock, _) = from.locks();
        let (to_shared, to_lock, _) = to.locks();
        let mut shared: Vec<(_, &CacheLock)> = Vec::new();
        for lock in from_shared.into_iter().chain(to_shared) {
            let key = lock.key()?;
            // In the same order in every process, and each once.
            if let Err(place) = shared.binary_search_by(|held: &(_, &CacheLock)| Ord::cmp(&held.0, &key)) {
                shared.insert(place, (key, lock));
            }
        }
        let shared = shared.into_iter().map(|(_, lock)| acquire(lock)).collect::<Result<Vec<_>>>()?;

        let (from_key, to_key) = (from_lock.key()?, to_lock.key()?);
        let (from, to) = if from_key == to_key {
            let guard = acquire(from_lock)?;
            let other = to.persistence().path();
            if !guard.is_for(other) {
                let what = "Both paths are names of one file, of which only one can be used at a time";
                return Err(Error::new(ErrorKind::InvalidInput, what)
                    .at(other)
                    .remedy(format!("Use {:?} for both", guard.path())));
            }
            (guard, None)
        } else if from_key < to_key {
            let guard = acquire(from_lock)?;
            (guard, Some(acquire(to_lock)?))
        } else {
            let guard = acquire(to_lock)?;
            (acquire(from_lock)?, Some(guard))
        };
        Ok(Self { from, to, _shared: shared })
    }

    pub(super) fn from(&self) -> &LockGuard {
        &self.from
    }

    pub(super) fn to(&self) -> &LockGuard {
        self.to.as_ref().unwrap_or(&self.from)
    }
}
