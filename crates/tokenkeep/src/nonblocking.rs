//! The same verbs for programs that must not block: futures that need no runtime.
//!
//! Each operation begins when its future is first polled. It waits for a lock in the same queue as threads that block, but
//! without a thread; then it works on one of a pool of eight, and wakes the task that awaits it. The futures are `Send` and
//! work under any executor. This file owns the verbs; `operation` is the future itself.

mod operation;
mod timer;

use std::panic::{AssertUnwindSafe, catch_unwind};

pub use operation::Operation;
pub use timer::{Timer, after};

use crate::lock::{Deadline, Locks, Outcome};
use crate::moving::{self, Migration};
use crate::options::{Cancel, WaitOptions};
use crate::threads::pool;
use crate::{
    CacheLock, Config, Error, ErrorKind, LockGuard, Result, Secret, Snapshot, TokenCache, WriteAccess,
};
use operation::Completion;

/// Runs any blocking `work` without blocking the caller. Dropping the future lets the work go on and throws its result away.
///
/// It may wait for a lock, which takes a thread of its own meanwhile; the verbs of [`Nonblocking`] wait without one.
///
/// ```
/// # mod executor { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/block_on.rs")); }
/// # executor::block_on(async {
/// let cache = tokenkeep::nonblocking::run(|| tokenkeep::Config::new("my-app").open());
/// # drop(cache);
/// # });
/// ```
pub fn run<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Operation<T> {
    Operation::of(Cancel::new(), work)
}

/// A [`TokenCache`] whose verbs return futures. Made by [`TokenCache::nonblocking`]; clones share the cache.
///
/// Dropping a future cancels it: a wait for the lock ends at once, a write that was not yet begun never happens. A write
/// that has begun is finished, since half of one would be worse; its result is thrown away.
///
/// A future that was polled once must be polled on or dropped: the lock may come meanwhile, and is held until the future is
/// polled again.
///
/// ```
/// # mod executor { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/block_on.rs")); }
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("cache.json");
/// # let file = tokenkeep::storage::FilePersistence::new(path)?;
/// # let cache = tokenkeep::TokenCache::new(file);
/// # executor::block_on(async {
/// use tokenkeep::options::WaitOptions;
///
/// let cache = cache.nonblocking();
/// let write = cache.begin_write().await?;
/// let mut next = write.content().unwrap_or_default().to_vec();
/// next.extend_from_slice(b"one more line\n");
/// write.commit(next).await?;
/// assert_eq!(cache.read().await?.expect("written").expose(), b"one more line\n");
///
/// let written = cache.update(|old| old.unwrap_or_default().to_ascii_uppercase()).await?;
/// assert_eq!(cache.snapshot().await?.generation, written.generation);
///
/// // Whatever else blocks, on a thread of its own; and the verbs that block:
/// assert!(cache.run(|cache| Ok(cache.info().crash_safe)).await?);
/// println!("{}", cache.blocking().info().location);
///
/// let in_a_hurry = WaitOptions::within(std::time::Duration::from_secs(1));
/// drop(cache.begin_write_waiting(&in_a_hurry).await?);
/// cache.replace("whatever there was", &in_a_hurry).await?;
/// assert!(cache.clear().await? && !cache.clear_waiting(&in_a_hurry).await?);
/// # Ok::<(), tokenkeep::Error>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Nonblocking(TokenCache);

impl TokenCache {
    /// Returns the same cache with calls that return futures. See [`Nonblocking`].
    pub fn nonblocking(&self) -> Nonblocking {
        Nonblocking(self.clone())
    }
}

impl Nonblocking {
    /// Returns the underlying cache, for a thread that may block.
    pub fn blocking(&self) -> &TokenCache {
        &self.0
    }

    /// Like [`TokenCache::read`].
    pub fn read(&self) -> Operation<Option<Secret>> {
        self.run(TokenCache::read)
    }

    /// Like [`TokenCache::snapshot`].
    pub fn snapshot(&self) -> Operation<Snapshot> {
        self.run(TokenCache::snapshot)
    }

    /// As [`TokenCache::begin_write`]. Dropping the future leaves the queue.
    pub fn begin_write(&self) -> Operation<NonblockingWrite> {
        self.begin_write_waiting(self.0.wait_options())
    }

    /// As [`TokenCache::begin_write_waiting`].
    pub fn begin_write_waiting(&self, wait: &WaitOptions) -> Operation<NonblockingWrite> {
        self.write(wait, |access| Ok(NonblockingWrite::new(access)))
    }

    /// As [`TokenCache::update`]; `change` runs on another thread, under the lock.
    pub fn update<C: Into<Secret>>(
        &self,
        change: impl FnOnce(Option<&[u8]>) -> C + Send + 'static,
    ) -> Operation<Snapshot> {
        self.write(self.0.wait_options(), |access| access.update(change))
    }

    /// As [`TokenCache::replace`].
    pub fn replace(&self, content: impl Into<Secret>, wait: &WaitOptions) -> Operation<Snapshot> {
        let (cache, content) = (self.0.clone(), content.into());
        self.locked(wait, move |locks| cache.replace_under(locks, content))
    }

    /// As [`TokenCache::clear`].
    pub fn clear(&self) -> Operation<bool> {
        self.clear_waiting(self.0.wait_options())
    }

    /// As [`TokenCache::clear_waiting`].
    pub fn clear_waiting(&self, wait: &WaitOptions) -> Operation<bool> {
        let cache = self.0.clone();
        self.locked(wait, move |locks| cache.clear_under(locks))
    }

    /// Like [`moving::migrate`], from this cache into `to`. Dropping the future ends the wait for the
    /// locks; a migration that has begun is finished.
    ///
    /// ```
    /// # mod executor { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/block_on.rs")); }
    /// use tokenkeep::{TokenCache, storage::FilePersistence};
    /// # let folder = tempfile::tempdir()?;
    /// # let open = |name: &str| FilePersistence::new(folder.path().join(name)).map(TokenCache::new);
    /// # executor::block_on(async {
    /// let (old, new) = (open("old.json")?.nonblocking(), open("new.json")?.nonblocking());
    /// old.update(|_| r#"{"Account":{"key":{"home_account_id":"uid.utid"}}}"#).await?;
    /// assert_eq!(old.migrate_to(&new).await?.entries, 1);
    /// assert!(new.read().await?.is_some());
    /// # Ok::<(), tokenkeep::Error>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn migrate_to(&self, to: &Self) -> Operation<Migration> {
        let (cancel, wait) = linked(self.0.wait_options());
        let (from, to) = (self.0.clone(), to.0.clone());
        Operation::of(cancel, move || moving::migrate_waiting(&from, &to, &wait))
    }

    /// Runs any blocking `work` on the cache, as [`run`].
    pub fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&TokenCache) -> Result<T> + Send + 'static,
    ) -> Operation<T> {
        let cache = self.0.clone();
        run(move || work(&cache))
    }

    /// Waits for the lock and then does `work` with the right to write.
    fn write<T: Send + 'static>(
        &self,
        wait: &WaitOptions,
        work: impl FnOnce(WriteAccess) -> Result<T> + Send + 'static,
    ) -> Operation<T> {
        let cache = self.0.clone();
        self.locked(wait, move |locks| work(cache.begin_write_under(locks)?))
    }

    /// Waits for the locks of the cache and then does `work` under them, on a thread of the pool.
    fn locked<T: Send + 'static>(
        &self,
        wait: &WaitOptions,
        work: impl FnOnce(Locks) -> Result<T> + Send + 'static,
    ) -> Operation<T> {
        let (cancel, wait) = linked(wait);
        let cache = self.0.clone();
        Operation::new(cancel.clone(), move |completion| {
            let deadline = Deadline::new(&wait);
            let (outer, lock, _) = cache.locks();
            let lock = lock.clone();
            let then = move |guard, outer| finish(completion, &cancel, guard, |guard| work((guard, outer)));
            match outer {
                None => lock.acquire_then(deadline, |guard| then(guard, None)),
                Some(outer) => outer.acquire_then(deadline.clone(), move |outer| match outer {
                    Ok(Ok(outer)) => lock.acquire_then(deadline, |guard| then(guard, Some(outer))),
                    failed => then(failed, None),
                }),
            }
        })
    }
}

/// Does `work` with the lock, unless the wait for it failed or was cancelled at the last moment.
fn finish<T: Send + 'static>(
    completion: Completion<T>,
    cancel: &Cancel,
    guard: Outcome<LockGuard>,
    work: impl FnOnce(LockGuard) -> Result<T>,
) {
    completion.finish(guard.and_then(|guard| {
        catch_unwind(AssertUnwindSafe(|| {
            let guard = guard?;
            // The lock may have come in the moment between the cancelling and the waking.
            if cancel.is_cancelled() {
                let what = "The write was cancelled before it began";
                return Err(Error::new(ErrorKind::Cancelled, what));
            }
            work(guard)
        }))
    }));
}

impl CacheLock {
    /// As [`CacheLock::acquire`], as a future. Dropping it leaves the queue.
    pub fn acquire_nonblocking(&self, wait: &WaitOptions) -> Operation<NonblockingGuard> {
        let (cancel, wait) = linked(wait);
        let lock = self.clone();
        Operation::new(cancel.clone(), move |completion| {
            lock.acquire_then(Deadline::new(&wait), move |guard| {
                finish(completion, &cancel, guard, |guard| Ok(NonblockingGuard(Some(guard))));
            });
        })
    }
}

impl Config {
    /// As [`Config::open`], as a future. Dropping it ends a wait for the lock.
    ///
    /// ```
    /// # let home = tempfile::tempdir()?;
    /// # mod executor { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/block_on.rs")); }
    /// # executor::block_on(async {
    /// use tokenkeep::{Config, options::Store};
    ///
    /// let config = Config::new("my-app").path(home.path().join("cache.json")).store(Store::PlaintextFile);
    /// let cache = config.open_nonblocking().await?.nonblocking();
    /// assert!(cache.read().await?.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// # })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn open_nonblocking(&self) -> Operation<TokenCache> {
        let (cancel, wait) = linked(self.wait_options());
        let config = self.clone();
        Operation::of(cancel, move || Ok(config.choose_within(&wait)?.cache))
    }
}

/// Proof that a lock is held, for programs that must not block: dropping it lets another thread release the lock.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("cache.json");
/// # mod executor { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/block_on.rs")); }
/// # executor::block_on(async {
/// use tokenkeep::{CacheLock, ErrorKind, options::WaitOptions};
///
/// let lock = CacheLock::new(path)?;
/// let guard = lock.acquire_nonblocking(&WaitOptions::default()).await?;
/// let moment = WaitOptions::within(std::time::Duration::from_millis(20));
/// assert_eq!(lock.acquire_nonblocking(&moment).await.unwrap_err().kind(), ErrorKind::Busy);
/// drop(guard.into_blocking()); // on a thread that may block; otherwise: drop(guard)
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "the lock is released as soon as the guard is dropped"]
pub struct NonblockingGuard(Option<LockGuard>);

impl NonblockingGuard {
    /// The guard itself, for a thread that may block.
    pub fn into_blocking(mut self) -> LockGuard {
        // Only `drop` and this function take it, and both consume `self`.
        self.0.take().unwrap_or_else(|| unreachable!("the guard is there until it is consumed"))
    }
}

impl Drop for NonblockingGuard {
    fn drop(&mut self) {
        pool::discard(self.0.take());
    }
}

/// Returns a cancellation for a future, and the wait that it ends. The caller's own cancellation still works, and
/// dropping a future does not trigger it.
fn linked(wait: &WaitOptions) -> (Cancel, WaitOptions) {
    let cancel = wait.cancel.as_ref().map_or_else(Cancel::new, Cancel::child);
    (cancel.clone(), WaitOptions { limit: wait.limit, cancel: Some(cancel) })
}

/// The right to write, once, for programs that must not block. Dropping it without a commit writes nothing; the lock is
/// then released by another thread.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let file = tokenkeep::storage::FilePersistence::new(folder.path().join("cache.json"))?;
/// # let cache = tokenkeep::TokenCache::new(file);
/// # mod executor { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/block_on.rs")); }
/// # executor::block_on(async {
/// use tokenkeep::schema::Change;
///
/// let cache = cache.nonblocking();
/// let write = cache.begin_write().await?;
/// assert_eq!(write.content(), None);
/// write.commit("{}".as_bytes().to_vec()).await?;
///
/// // The other methods that end a transaction, without blocking:
/// let write = cache.begin_write().await?;
/// let ours = br#"{"Account":{"key":{"home_account_id":"uid.utid"}}}"#;
/// write.finish(|write| write.commit_change(&Change::additions(ours))).await?;
///
/// let write = cache.begin_write().await?.into_blocking(); // for a thread that may block
/// assert!(write.delete()?);
/// assert!(!cache.begin_write().await?.delete().await?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing is written until it is committed"]
pub struct NonblockingWrite(Option<WriteAccess>);

impl NonblockingWrite {
    fn new(write: WriteAccess) -> Self {
        Self(Some(write))
    }

    /// Like [`WriteAccess::content`].
    pub fn content(&self) -> Option<&[u8]> {
        self.0.as_ref().and_then(WriteAccess::content)
    }

    /// Like [`WriteAccess::commit`].
    pub fn commit(self, content: impl Into<Secret>) -> Operation<Snapshot> {
        let content = content.into();
        self.finish(move |write| write.commit(content))
    }

    /// Like [`WriteAccess::delete`].
    pub fn delete(self) -> Operation<bool> {
        self.finish(WriteAccess::delete)
    }

    /// Ends the transaction with any blocking `work`, such as [`WriteAccess::commit_change`], on another thread.
    pub fn finish<T: Send + 'static>(
        self,
        work: impl FnOnce(WriteAccess) -> Result<T> + Send + 'static,
    ) -> Operation<T> {
        let write = self.into_blocking();
        run(move || work(write))
    }

    /// The right to write itself, for a thread that may block.
    pub fn into_blocking(mut self) -> WriteAccess {
        // Only `drop` and this function take it, and both consume `self`.
        self.0.take().unwrap_or_else(|| unreachable!("the write access is there until it is consumed"))
    }
}

impl Drop for NonblockingWrite {
    fn drop(&mut self) {
        pool::discard(self.0.take());
    }
}
