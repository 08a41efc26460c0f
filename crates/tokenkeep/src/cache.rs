//! The read and write transaction over one persistence.
//!
//! A read takes no lock and costs one check of the store if the content is unchanged. A write waits for the lock and
//! *then* reads, so that it overwrites no change made in the meantime. [`crate::stamp::belief`] has the rules.

#[cfg(feature = "watch")]
mod learned;
pub(crate) mod motion;
mod write;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

pub use self::write::WriteAccess;
use crate::event::{Event, Events};
use crate::lock::Locks;
use crate::persistence::StoreKind;
use crate::stamp::belief::{Belief, Look};
use crate::{
    CacheLock, Error, ErrorKind, Info, LockGuard, Persistence, Result, Secret, Stamp,
    options::{OnDamage, WaitOptions},
};

/// A read that finds an incomplete file waits this long for the lock, to read it when it is stable.
const SETTLE: Duration = Duration::from_secs(1);

/// The time between two reads of damaged content: longer than a sibling library takes to write a file in place.
const SECOND_LOOK: Duration = Duration::from_millis(50);

/// One token cache, shared by all clones of this handle, by other processes and by the sibling libraries.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let file = tokenkeep::storage::FilePersistence::new(folder.path().join("cache.json"))?;
/// # let cache = tokenkeep::TokenCache::new(file);
/// let write = cache.begin_write()?; // waits for the lock, then sees what others wrote
/// let next = [write.content().unwrap_or_default(), b"one more line\n"].concat();
/// write.commit(next)?; // durable, and the lock is free again
///
/// assert_eq!(cache.read()?.expect("written").expose(), b"one more line\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Over a persistence of the program's own choice, with its own rules; and for a client that keeps what it has read:
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("cache.json");
/// use std::{sync::Arc, time::Duration};
/// use tokenkeep::options::{OnDamage, WaitOptions};
/// use tokenkeep::{TokenCache, storage::FilePersistence};
///
/// let file = Arc::new(FilePersistence::new(path)?);
/// let wait = WaitOptions::within(Duration::from_secs(2));
/// let cache = TokenCache::with_options(file, wait.clone(), OnDamage::SetAside, |event| println!("{event:?}"));
/// println!("{}", cache.info().location);
///
/// let seen = cache.snapshot()?.generation;
/// assert!(cache.is_current(seen), "one look at the file, and nothing is read");
/// cache.begin_write_waiting(&wait)?.commit("new")?;
/// assert!(!cache.is_current(seen));
/// cache.forget(); // the next read goes to the store again
///
/// cache.replace("whatever there was", &wait)?;
///
/// let strict = cache.on_damage(OnDamage::Fail); // the same cache under another rule
/// let other = TokenCache::new(std::sync::Arc::clone(strict.persistence()));
/// assert_eq!(other.nonblocking().blocking().read()?.expect("written").expose(), b"whatever there was");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct TokenCache {
    shared: Arc<Shared>,
    damage: OnDamage,
}

#[derive(Debug)]
struct Shared {
    persistence: Arc<dyn Persistence>,
    lock: CacheLock,
    shared_lock: Option<CacheLock>,
    wait: WaitOptions,
    events: Events,
    cached: Mutex<CachedState>,
}

/// This process's cached state of the store.
#[derive(Debug)]
struct CachedState {
    snapshot: Snapshot,
    belief: Belief,
    /// Whether the content is empty or a part of a write, as an ended writer left it.
    incomplete: bool,
    #[cfg(feature = "watch")]
    learned: learned::Learned,
}

/// Content at one moment, and its number.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let file = tokenkeep::storage::FilePersistence::new(folder.path().join("cache.json"))?;
/// # let cache = tokenkeep::TokenCache::new(file);
/// let before = cache.update(|_| "one")?;
/// assert!(cache.is_current(before.generation));
/// let after = cache.update(|_| "two")?;
/// assert!(after.generation > before.generation && !cache.is_current(before.generation));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// Grows whenever other content is read or written through this cache; equal numbers mean equal content. 0 until
    /// the first read.
    pub generation: u64,
    /// The content; `None` if none is stored. An empty file is `Some` of no bytes.
    pub content: Option<Secret>,
}

impl TokenCache {
    /// A cache over any persistence, with the default waiting and damage rules.
    pub fn new(persistence: impl Persistence + 'static) -> Self {
        Self::with(Arc::new(persistence), WaitOptions::default(), OnDamage::default(), Events::default())
    }

    /// Like [`TokenCache::new`], with the caller's options and a listener for events.
    pub fn with_options(
        persistence: impl Persistence + 'static,
        wait: WaitOptions,
        damage: OnDamage,
        listener: impl Fn(&Event) + Send + Sync + 'static,
    ) -> Self {
        Self::with(Arc::new(persistence), wait, damage, Events::to(listener))
    }

    pub(crate) fn with(
        persistence: Arc<dyn Persistence>,
        wait: WaitOptions,
        damage: OnDamage,
        events: Events,
    ) -> Self {
        let lock = match persistence.kind() {
            StoreKind::Memory => CacheLock::private(persistence.path()),
            _ => CacheLock::with_events(persistence.path(), events.clone()),
        };
        let shared_lock = match persistence.kind() {
            StoreKind::Item { lock } => Some(CacheLock::alone(lock, events.clone())),
            _ => None,
        };
        let cached = CachedState {
            snapshot: Snapshot { generation: 0, content: None },
            belief: Belief::none(persistence.kind() == StoreKind::Memory),
            incomplete: false,
            #[cfg(feature = "watch")]
            learned: learned::Learned::default(),
        };
        let cached = Mutex::new(cached);
        let shared = Shared { persistence, lock, shared_lock, wait, events, cached };
        Self { shared: Arc::new(shared), damage }
    }

    /// Returns a handle to the same cache with another rule for damage.
    #[must_use]
    pub fn on_damage(&self, rule: OnDamage) -> Self {
        Self { shared: Arc::clone(&self.shared), damage: rule }
    }

    /// Returns the stored content; `None` if there is none.
    ///
    /// # Errors
    /// Those of [`Persistence::load`]; `Busy` if another program kept writing without the lock.
    pub fn read(&self) -> Result<Option<Secret>> {
        Ok(self.snapshot()?.content)
    }

    /// Returns the stored content with its number.
    ///
    /// # Errors
    /// Like [`TokenCache::read`].
    pub fn snapshot(&self) -> Result<Snapshot> {
        // Another round is needed for content that another thread of this process published during the read.
        for round in 0..3 {
            if let Some(snapshot) = self.shared.unchanged(Look::Free)? {
                return Ok(snapshot);
            }
            let began = self.shared.cached().snapshot.generation;
            let looked = Instant::now();
            match self.shared.persistence.load(None) {
                Ok(loaded) if self.shared.is_at_rest(loaded.content.as_ref()) => {
                    let mut cached = self.shared.cached();
                    // Content that is gone may be between two names of a replacement: of a writer that has the lock, or had
                    // it a moment ago.
                    if loaded.content.is_none() && cached.snapshot.content.is_some() {
                        if motion::has_lock_file(self.shared.persistence.path())? {
                            break;
                        }
                        if round == 0 {
                            continue;
                        }
                    }
                    if cached.snapshot.generation == began {
                        return Ok(cached.publish(loaded.content, loaded.stamp, looked));
                    }
                }
                // Content of a writer that truncates and writes in place, read between the two.
                Ok(_) => break,
                Err(error) if settles_under_lock(&error) => break,
                Err(error) => return Err(error),
            }
        }
        match self.shared.acquire(&WaitOptions::within(SETTLE)) {
            Ok((guard, _outer)) => self.shared.reload(&guard),
            // Where no lock file can be created, there is none of a writer to wait for.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                self.shared.reload_without_lock().map_err(|failed| match failed.is_damage() {
                    true => failed,
                    false => error,
                })
            }
            Err(error) => Err(error),
        }
    }

    /// Returns whether `generation` is still the stored content, with one check of the store. Also `false` if that
    /// check fails; the next read reports why.
    pub fn is_current(&self, generation: u64) -> bool {
        matches!(self.shared.unchanged(Look::Free), Ok(Some(snapshot)) if snapshot.generation == generation)
    }

    /// Forgets the content, so that the next access reads the store.
    pub fn forget(&self) {
        self.shared.cached().belief.forget();
    }

    /// Waits for the lock and then reads the store, so that the write is based on the present content.
    ///
    /// Content that a protector finds damaged is read once more and then treated as [`OnDamage`] says. Content with a
    /// wrong or missing key is not damaged: the error is returned, and the content cannot be overwritten.
    ///
    /// # Errors
    /// Those of [`CacheLock::acquire`] and of [`Persistence::load`]; `Damaged` only under [`OnDamage::Fail`], or if
    /// no copy could be kept.
    pub fn begin_write(&self) -> Result<WriteAccess> {
        self.begin_write_waiting(&self.shared.wait)
    }

    /// Like [`TokenCache::begin_write`], with its own time limit or cancellation.
    ///
    /// # Errors
    /// Like [`TokenCache::begin_write`].
    pub fn begin_write_waiting(&self, wait: &WaitOptions) -> Result<WriteAccess> {
        self.begin_write_under(self.shared.acquire(wait)?)
    }

    /// Under the locks of this cache: looks at the store.
    pub(crate) fn begin_write_under(&self, (guard, outer): Locks) -> Result<WriteAccess> {
        let shared = &self.shared;
        let snapshot = match shared.unchanged(Look::Locked)? {
            Some(snapshot) => snapshot,
            None => shared.usable(&guard, shared.reload(&guard), self.damage)?,
        };
        Ok(WriteAccess { cache: self.clone(), snapshot, guard, outer })
    }

    /// One whole write: waits for the lock, hands what is stored to `change` (`None`: nothing), and stores what it
    /// returns. What is stored already is not written again.
    ///
    /// For a change that can fail, or that has to wait for something, use [`TokenCache::begin_write`].
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let file = tokenkeep::storage::FilePersistence::new(folder.path().join("cache.json"))?;
    /// # let cache = tokenkeep::TokenCache::new(file);
    /// cache.update(|old| [old.unwrap_or_default(), b"one more line\n"].concat())?;
    /// # assert_eq!(cache.read()?.expect("written").expose(), b"one more line\n");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`TokenCache::begin_write`] and [`WriteAccess::commit`].
    pub fn update<C: Into<Secret>>(&self, change: impl FnOnce(Option<&[u8]>) -> C) -> Result<Snapshot> {
        self.begin_write()?.update(change)
    }

    /// Replaces the stored content by `content`. A keystore item is not read for it. A file is, because damaged content
    /// has to be set aside.
    ///
    /// # Errors
    /// As [`TokenCache::begin_write`] and [`WriteAccess::commit`].
    pub fn replace(&self, content: impl Into<Secret>, wait: &WaitOptions) -> Result<Snapshot> {
        self.replace_under(self.shared.acquire(wait)?, content.into())
    }

    /// As [`TokenCache::replace`], under the locks of this cache.
    pub(crate) fn replace_under(&self, (guard, outer): Locks, content: Secret) -> Result<Snapshot> {
        if outer.is_none() {
            return self.begin_write_under((guard, outer))?.commit(content);
        }
        let snapshot = self.shared.cached().snapshot.clone();
        let unread = WriteAccess { cache: self.clone(), snapshot, guard, outer };
        match unread.store(content.clone()) {
            // Content of another store in the place of the marker is imported by reading.
            Err(error) if error.kind() == ErrorKind::MarkerOccupied => {
                self.begin_write_under((unread.guard, unread.outer))?.commit(content)
            }
            stored => unread.release(stored?),
        }
    }

    /// Removes everything that is stored; `false` when nothing was.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let file = tokenkeep::storage::FilePersistence::new(folder.path().join("cache.json"))?;
    /// # let cache = tokenkeep::TokenCache::new(file);
    /// cache.update(|_| b"a secret")?;
    /// assert!(cache.clear()?);
    /// assert!(cache.read()?.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`TokenCache::begin_write`] and [`WriteAccess::delete`].
    pub fn clear(&self) -> Result<bool> {
        self.clear_waiting(&self.shared.wait)
    }

    /// Like [`TokenCache::clear`], with its own time limit or cancellation. A keystore item is not read for it: one that
    /// this program may not read can be signed out of.
    ///
    /// # Errors
    /// As [`TokenCache::begin_write`] and [`WriteAccess::delete`].
    ///
    /// ```
    /// # let cache = tokenkeep::TokenCache::new(tokenkeep::storage::MemoryPersistence::new());
    /// use tokenkeep::options::WaitOptions;
    ///
    /// assert!(!cache.clear_waiting(&WaitOptions::within(std::time::Duration::from_secs(2)))?, "it was empty");
    /// # Ok::<(), tokenkeep::Error>(())
    /// ```
    pub fn clear_waiting(&self, wait: &WaitOptions) -> Result<bool> {
        self.clear_under(self.shared.acquire(wait)?)
    }

    /// As [`TokenCache::clear`], under the locks of this cache.
    pub(crate) fn clear_under(&self, (guard, outer): Locks) -> Result<bool> {
        if outer.is_some() {
            let snapshot = self.shared.cached().snapshot.clone();
            let unread = WriteAccess { cache: self.clone(), snapshot, guard, outer };
            return match unread.remove() {
                // Content of another store in the place of the marker is imported by reading.
                Err(error) if error.kind() == ErrorKind::MarkerOccupied => {
                    self.begin_write_under((unread.guard, unread.outer))?.delete()
                }
                removed => removed,
            };
        }
        self.begin_write_under((guard, outer))?.delete()
    }

    /// Overwrites and removes the copies that were kept of damaged content and of content whose key is lost, and returns how
    /// many there were. They may hold sign-ins that are still good, and stay when the cache is cleared. In a keystore they
    /// are removed.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("cache.json");
    /// use tokenkeep::{TokenCache, options::WaitOptions, schema::Change, storage::FilePersistence};
    ///
    /// let cache = TokenCache::new(FilePersistence::new(&path)?);
    /// cache.begin_write()?.commit("not a token cache")?;
    /// cache.begin_write()?.commit_change(&Change::additions(br#"{"Account":{"a":{}}}"#))?;
    /// assert_eq!(cache.wipe_copies(&WaitOptions::default())?, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`TokenCache::begin_write`]; `UnsafeFile` for a copy that has another name, such as a backup's hard link.
    pub fn wipe_copies(&self, wait: &WaitOptions) -> Result<usize> {
        let (guard, _outer) = self.shared.acquire(wait)?;
        let wiped = self.shared.persistence.wipe_copies(&guard)?;
        guard.release()?;
        Ok(wiped)
    }

    /// Returns how writers of this cache wait for the lock.
    pub(crate) fn wait_options(&self) -> &WaitOptions {
        &self.shared.wait
    }

    #[cfg(feature = "watch")]
    pub(crate) fn is_in_memory(&self) -> bool {
        self.shared.persistence.kind() == StoreKind::Memory
    }

    /// The persistence underneath.
    pub fn persistence(&self) -> &Arc<dyn Persistence> {
        &self.shared.persistence
    }

    /// Returns where the cache is kept and how it is protected.
    pub fn info(&self) -> Info {
        self.shared.persistence.info()
    }

    /// Returns the locks of a write, the outermost first, and how long to wait for them.
    pub(crate) fn locks(&self) -> (Option<&CacheLock>, &CacheLock, &WaitOptions) {
        (self.shared.shared_lock.as_ref(), &self.shared.lock, &self.shared.wait)
    }
}

impl Shared {
    fn cached(&self) -> MutexGuard<'_, CachedState> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The lock of the cache, and that of a store which several paths share, taken first and to be released last.
    fn acquire(&self, wait: &WaitOptions) -> Result<Locks> {
        let start = Instant::now();
        let outer = self.shared_lock.as_ref().map(|outer| outer.acquire(wait)).transpose()?;
        let rest = WaitOptions { limit: wait.limit.saturating_sub(start.elapsed()), ..wait.clone() };
        Ok((self.lock.acquire(&rest)?, outer))
    }

    /// Returns the content of the last look, if the store is certainly unchanged since. Does not look at a store of which
    /// no look could tell.
    fn unchanged(&self, look: Look) -> Result<Option<Snapshot>> {
        if !self.cached().belief.can_hold(look) {
            return Ok(None);
        }
        let stamp = self.persistence.glance()?;
        let cached = self.cached();
        Ok(cached.belief.holds(&stamp, look).then(|| cached.snapshot.clone()))
    }

    /// Under the lock, for a writer: returns the read content. Damaged content is read once more, because a program
    /// that ignores the lock may have been writing it, and then moved aside.
    fn usable(&self, guard: &LockGuard, read: Result<Snapshot>, rule: OnDamage) -> Result<Snapshot> {
        match read {
            Err(error) if error.is_damage() => {}
            read => return read,
        }
        std::thread::sleep(SECOND_LOOK);
        match self.reload(guard) {
            Err(error) if error.is_damage() => {
                let reason = error.what().to_owned();
                self.set_aside(guard, &reason, error, rule)?;
                Ok(self.cached().publish(None, Stamp::UNKNOWN, Instant::now()))
            }
            again => again,
        }
    }

    /// Under the lock: copies the stored content and notifies the listener, or fails with `damaged`.
    fn set_aside(&self, guard: &LockGuard, reason: &str, damaged: Error, rule: OnDamage) -> Result<()> {
        if rule == OnDamage::Fail {
            return Err(damaged.remedy("Restore the cache from a copy, or sign in again after removing it"));
        }
        let copy = match self.persistence.set_aside(guard) {
            Ok(copy) => copy,
            Err(error) => return Err(damaged.because(error)),
        };
        let (path, reason) = (self.persistence.path().to_owned(), reason.to_owned());
        self.events.raise(|| Event::SetAside { path, copy, reason });
        Ok(())
    }
}

impl CachedState {
    /// Makes `content` the cached state, with a new number if it differs. `began` is the time before the look.
    fn publish(&mut self, content: Option<Secret>, stamp: Stamp, began: Instant) -> Snapshot {
        self.belief.learn(stamp, began);
        self.incomplete = content.as_ref().is_some_and(Secret::is_empty);
        if self.snapshot.generation == 0 || self.snapshot.content != content {
            self.snapshot = Snapshot { generation: self.snapshot.generation + 1, content };
            #[cfg(feature = "watch")]
            self.learned.tell(&self.snapshot);
        }
        self.snapshot.clone()
    }
}

/// Whether an error of reading without the lock may be of the moment: content in motion, damage that is a writer caught
/// in the middle, content of a weaker store that the persistence takes over once it is safe from other writers.
fn settles_under_lock(error: &Error) -> bool {
    use ErrorKind::{Busy, MarkerOccupied, Unprotected};
    error.is_damage() || matches!(error.kind(), Busy | MarkerOccupied | Unprotected)
}
