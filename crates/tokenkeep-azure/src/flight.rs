//! Limits the requests for one token to one at a time, over all tasks, threads and processes.
//!
//! The lock of the cache itself is held only during a write, because a request can take long and the sibling
//! libraries give up after a few seconds. The locks here are separate files that only this crate uses.

use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::time::Duration;

use tokenkeep::nonblocking::NonblockingGuard;
use tokenkeep::{CacheLock, TokenCache, options::WaitOptions, storage::StoreKind};

/// The number of request locks of a cache: enough that two tokens seldom share one, and few enough for a tidy
/// directory.
const LANES: u64 = 16;

/// The lock for requests for one token, or for one account, whose refresh token may be redeemed only once.
#[derive(Debug)]
pub(crate) struct Flight {
    path: PathBuf,
    /// Whether only this process has the cache. `path` is then a name, and no file is created there.
    private: bool,
}

/// The right to make the request. Dropping it lets the next waiter on, which then finds the token in the cache.
#[must_use]
pub(crate) struct Cleared {
    _guard: Option<NonblockingGuard>,
}

impl Flight {
    pub(crate) fn new(cache: &TokenCache) -> Self {
        let persistence = cache.persistence();
        Self { path: persistence.path().to_owned(), private: persistence.kind() == StoreKind::Memory }
    }

    /// Waits, at most `limit`, until no other process makes the request `name`.
    pub(crate) async fn enter(
        &self,
        name: &[&str],
        limit: Duration,
    ) -> (Cleared, Result<(), tokenkeep::Error>) {
        let entered = async {
            let lane = self.lane(name);
            let lock = if self.private { CacheLock::private(lane) } else { CacheLock::new(lane)? };
            lock.acquire_nonblocking(&WaitOptions::within(limit)).await
        };
        let (guard, outcome) = match entered.await {
            Ok(guard) => (Some(guard), Ok(())),
            Err(error) => (None, Err(error)),
        };
        (Cleared { _guard: guard }, outcome)
    }

    fn lane(&self, name: &[&str]) -> PathBuf {
        let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
        name.iter().for_each(|part| part.to_ascii_lowercase().hash(&mut hasher));
        let mut path = self.path.clone().into_os_string();
        path.push(format!(".flight-{:x}", hasher.finish() % LANES));
        path.into()
    }
}

/// FNV-1a. The standard library's hasher may change between versions, and every process must compute the same lock.
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        // The low bits of FNV alone are badly distributed.
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}
