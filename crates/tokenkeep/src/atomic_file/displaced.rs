//! Files that lost their name to a newer one, kept open so that nobody has to wait until their space is free again.
//!
//! A file without a name lives until the last descriptor of it is closed. If a rename takes the name of a file that nobody
//! has open, the rename itself frees the file's blocks: on ext4 that took ten times as long as the rename, and with a
//! megabyte longer than writing the new content. Kept open, it is freed by whoever closes it, when nobody waits any more.

use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::platform::{files, writing};
use crate::{Error, ErrorKind};

/// How long a write that finds no room waits for the files that this process has displaced and not yet let go of.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many there are in this process.
static KEPT: Mutex<usize> = Mutex::new(0);
static LET_GO: Condvar = Condvar::new();

/// What a write put something else in the place of. The space of it is free when the last clone of this is dropped, which
/// takes time: a program that answers somebody does it after the answer.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let file = tokenkeep::storage::FilePersistence::new(folder.path().join("cache.json"))?;
/// # let cache = tokenkeep::TokenCache::new(std::sync::Arc::new(file));
/// # fn answer(_: tokenkeep::Snapshot) {}
/// let write = cache.begin_write()?;
/// let displaced = write.guard().displaced();
/// answer(write.commit("something new")?);
/// drop(displaced);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Displaced(Arc<Mutex<Option<Kept>>>);

impl Displaced {
    pub(crate) fn nothing() -> Self {
        Self(Arc::default())
    }

    /// Keeps `file` until the last clone is dropped, in the place of what was kept before.
    pub(crate) fn keep(&self, file: Option<Kept>) {
        let before = std::mem::replace(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), file);
        drop(before);
    }
}

/// One such file.
#[derive(Debug)]
pub(crate) struct Kept {
    /// `None` only while it is being dropped.
    file: Option<File>,
}

impl Kept {
    /// Keeps open what `target` names; `None` where that cannot be, which costs time and nothing else.
    pub(super) fn open(target: &Path) -> Option<Self> {
        // Elsewhere a file that is open keeps its name.
        let file = writing::REPLACES_OPEN_FILES.then(|| files::careful().read(true).open(target).ok())??;
        *kept() += 1;
        Some(Self { file: Some(file) })
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.file.take());
        *kept() -= 1;
        LET_GO.notify_all();
    }
}

/// After `error`: whether there may be room now, because what this process had displaced took some and no longer does.
pub(super) fn made_room(error: &Error) -> bool {
    let kept = kept();
    if error.kind() != ErrorKind::StorageFull || *kept == 0 {
        return false;
    }
    let waited = LET_GO.wait_timeout_while(kept, PATIENCE, |kept| *kept > 0);
    *waited.unwrap_or_else(PoisonError::into_inner).0 == 0
}

fn kept() -> MutexGuard<'static, usize> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_worth_another_try_only_when_something_that_was_displaced_is_let_go_of() {
        let full = Error::new(ErrorKind::StorageFull, "no room");
        let file = tempfile::NamedTempFile::new().unwrap();
        let displaced = Displaced::nothing();
        displaced.keep(Kept::open(file.path()));
        assert!(!made_room(&Error::new(ErrorKind::PermissionDenied, "not for you")));
        let keeper = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(50));
            drop(displaced);
        });
        assert_eq!(made_room(&full), writing::REPLACES_OPEN_FILES);
        keeper.join().unwrap();
    }
}
