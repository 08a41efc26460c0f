//! The temporary file of a write, created before its content is known.
//!
//! A new name takes a file system as long as a dozen other calls. While whoever holds the lock waits for the content, another
//! thread may spend that time on it. Nothing depends on it: what could not be done ahead is done, or reported, by the
//! write.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Temporary;
use crate::{Persistence, Result};

#[derive(Debug, Default)]
enum Stage {
    /// Nobody has done anything yet.
    #[default]
    Nothing,
    Ready(Temporary),
    /// The write has begun, or the lock is about to be released: it is too late.
    Over,
}

#[derive(Clone, Debug, Default)]
struct Shared(Arc<Mutex<Stage>>);

impl Shared {
    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) -> Stage {
        std::mem::replace(&mut *self.stage(), Stage::Over)
    }
}

/// What belongs to a guard of the lock. Dropping it removes the file that was created ahead and then not needed.
#[derive(Debug)]
pub(crate) struct Ahead {
    shared: Shared,
    process: u32,
}

impl Ahead {
    pub(crate) fn new() -> Self {
        Self { shared: Shared::default(), process: std::process::id() }
    }

    /// The file that was created ahead, to be used up. Waits for one that is being created; from now on none is.
    pub(crate) fn take(&self) -> Option<Temporary> {
        match self.shared.end() {
            Stage::Ready(temporary) => Some(temporary),
            Stage::Nothing | Stage::Over => None,
        }
    }

    /// Nothing is created ahead any more.
    pub(crate) fn end(&self) {
        drop(self.take());
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        // A process that was forked meanwhile may have the mutex locked for ever; the file is not its own anyway.
        if self.process == std::process::id() {
            self.end();
        }
    }
}

/// What can be done for a commit before its content is known, by another thread than the one that commits.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let file = tokenkeep::storage::FilePersistence::new(folder.path().join("cache.json"))?;
/// # let cache = tokenkeep::TokenCache::new(std::sync::Arc::new(file));
/// use tokenkeep::storage::Preparation;
///
/// let write = cache.begin_write()?;
/// let preparation: Preparation = write.preparation();
/// let writer = std::thread::spawn(move || write.commit("what takes a moment to compute"));
/// preparation.make(); // before the commit begins, or never
/// writer.join().unwrap()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing is prepared until it is made"]
pub struct Preparation {
    persistence: Arc<dyn Persistence>,
    target: PathBuf,
    shared: Shared,
}

impl Preparation {
    pub(crate) fn new(persistence: Arc<dyn Persistence>, target: &Path, ahead: &Ahead) -> Self {
        Self { persistence, target: target.to_owned(), shared: ahead.shared.clone() }
    }

    /// Does it, unless the commit has begun or the lock was given back. That it fails is no news: the commit does the same
    /// again and says so.
    pub fn make(self) {
        self.persistence.prepare_write(&self);
    }

    /// Keeps what `create` makes, for the file that is locked, while the lock is held.
    pub(crate) fn keep(&self, create: impl FnOnce(&Path) -> Result<Temporary>) {
        let mut stage = self.shared.stage();
        if matches!(*stage, Stage::Nothing)
            && let Ok(temporary) = create(&self.target)
        {
            *stage = Stage::Ready(temporary);
        }
    }
}
