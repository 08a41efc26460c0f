//! A cache in the memory of this process: for machines where nothing may be written, and for tests.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::persistence::Loaded;
use crate::persistence::{BuiltIn, OldCopy, StoreKind};
use crate::{Backend, Info, LockGuard, Persistence, Protection, Result, Secret, Stamp};

/// A cache that lives as long as the process. All clones of one are the same cache; each [`MemoryPersistence::new`] is
/// another. Nothing is written to any disk, not even a lock file.
///
/// ```
/// use tokenkeep::{TokenCache, storage::MemoryPersistence};
///
/// let cache = TokenCache::new(MemoryPersistence::new());
/// cache.update(|_| "gone with this process")?;
/// assert!(!cache.info().survives_reboot);
/// # Ok::<(), tokenkeep::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MemoryPersistence {
    path: PathBuf,
    stored: Arc<Mutex<Stored>>,
}

#[derive(Debug, Default)]
struct Stored {
    content: Option<Secret>,
    /// Grows with every change.
    version: u64,
}

impl MemoryPersistence {
    /// An empty cache.
    pub fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self { path: format!("memory:{number}").into(), stored: Arc::default() }
    }

    fn stored(&self) -> MutexGuard<'_, Stored> {
        // Each change is one assignment, so the value is whole after a panic.
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self, guard: &LockGuard, content: Option<Secret>) -> Result<(Option<Secret>, Stamp)> {
        guard.require(&self.path)?;
        let mut stored = self.stored();
        stored.version += 1;
        let old = std::mem::replace(&mut stored.content, content);
        Ok((old, stored.stamp()))
    }
}

impl Default for MemoryPersistence {
    fn default() -> Self {
        Self::new()
    }
}

impl Stored {
    fn stamp(&self) -> Stamp {
        if self.content.is_some() { Stamp::version(self.version) } else { Stamp::ABSENT }
    }
}

impl Persistence for MemoryPersistence {
    /// `memory:N`: a name for messages, not for a file.
    fn path(&self) -> &Path {
        &self.path
    }

    fn kind(&self) -> StoreKind<'_> {
        StoreKind::Memory
    }

    fn stamp(&self) -> Result<Stamp> {
        Ok(self.stored().stamp())
    }

    fn load(&self, guard: Option<&LockGuard>) -> Result<Loaded> {
        guard.map_or(Ok(()), |guard| guard.require(&self.path))?;
        let stored = self.stored();
        Ok(Loaded { content: stored.content.clone(), stamp: stored.stamp() })
    }

    fn save(&self, guard: &LockGuard, content: &[u8]) -> Result<Stamp> {
        Ok(self.store(guard, Some(content.into()))?.1)
    }

    fn delete(&self, guard: &LockGuard) -> Result<bool> {
        Ok(self.store(guard, None)?.0.is_some())
    }

    fn set_aside(&self, guard: &LockGuard) -> Result<String> {
        guard.require(&self.path)?;
        // A copy would die with the original.
        Ok(String::from("nowhere: it was in memory only"))
    }

    fn verify(&self) -> Result<()> {
        Ok(())
    }

    fn info(&self) -> Info {
        let location = self.path.as_os_str().to_str().unwrap_or_default();
        let mut info = Info::new(Backend::Memory, Protection::Memory, location);
        info.survives_reboot = false;
        info
    }

    fn built_in(&self) -> Option<&dyn BuiltIn> {
        Some(self)
    }
}

impl BuiltIn for MemoryPersistence {
    fn save_deferred(&self, guard: &LockGuard, content: &Secret) -> Result<Stamp> {
        Ok(self.store(guard, Some(content.clone()))?.1)
    }

    fn glance(&self) -> Result<Stamp> {
        self.stamp()
    }

    fn load_own(&self, guard: &LockGuard) -> Result<Option<Secret>> {
        Ok(self.load(Some(guard))?.content)
    }

    fn import(&self, guard: &LockGuard, content: &[u8]) -> Result<OldCopy> {
        self.save(guard, content).map(|_| OldCopy::Nothing)
    }

    fn empty(&self, guard: &LockGuard) -> Result<OldCopy> {
        let (old, _) = self.store(guard, Some(b"{}".into()))?;
        // The last reader that drops it wipes it.
        Ok(old.map_or(OldCopy::Nothing, |_| OldCopy::Overwritten))
    }

    fn wipe_copies(&self, _guard: &LockGuard) -> Result<usize> {
        Ok(0)
    }

    fn wipe_leftover(&self, _guard: &LockGuard) -> Result<bool> {
        Ok(false)
    }
}
