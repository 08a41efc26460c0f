//! Incomplete files: a sibling whose lock was removed truncates the file and then fills it, and a busy machine can
//! stop it in between. This file owns the wait for the rest.

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{SETTLE, Shared};
use crate::persistence::{Loaded, StoreKind};
use crate::platform::{files, process};
use crate::{Error, ErrorKind, LockGuard, Persistence, Result, Secret, Snapshot, Stamp, schema};

/// Treat incomplete content younger than this as a write in progress, even if /proc shows no writer. A write in place
/// takes microseconds, but a process may be stopped in the middle, and not every process is visible.
const IN_MOTION: Duration = Duration::from_millis(200);

/// Treat incomplete content younger than this as a write in progress if a process has the file open for writing. Do
/// not wait longer: the process may just keep the file open.
pub(crate) const STOPPED: Duration = Duration::from_secs(10);

/// The pause between two checks.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Returns whether a process, ours or a sibling, has the lock of the cache at `path`, or left it.
pub(crate) fn has_lock_file(path: &Path) -> Result<bool> {
    let mut lock_file = path.as_os_str().to_owned();
    lock_file.push(files::SIBLING_LOCK_SUFFIX);
    Ok(files::look_at(Path::new(&lock_file))?.is_some())
}

/// Returns whether content read without the lock is complete: not empty, and not a part of a JSON object.
fn at_rest(content: &[u8]) -> bool {
    !content.is_empty() && schema::is_whole(content)
}

/// Content that was read under the lock.
pub(crate) struct AtRest {
    pub(crate) loaded: Loaded,
    /// Whether it is complete; if not, it has been unchanged without a visible writer.
    pub(crate) whole: bool,
    /// The time before the read.
    pub(crate) call: Instant,
}

/// Under the lock: reads the stored content. Incomplete content, judged by `is_whole`, is read again until it is complete,
/// or has been unchanged without a visible writer.
///
/// # Errors
/// Those of [`Persistence::load`]; `Busy` if a program without the lock kept writing.
pub(crate) fn load_at_rest(
    persistence: &dyn Persistence,
    load: impl Fn() -> Result<Loaded>,
    is_whole: impl Fn(Option<&Secret>) -> bool,
) -> Result<AtRest> {
    let began = Instant::now();
    // Whether no process had the file open for writing before this read.
    let mut unattended = false;
    loop {
        let (looked, call) = (SystemTime::now(), Instant::now());
        let loaded = load()?;
        let whole = is_whole(loaded.content.as_ref());
        let age = age(&loaded.stamp, looked);
        let is_young = age.is_some_and(|age| age < IN_MOTION);
        if whole || (!is_young && (unattended || age.is_none_or(|age| age >= STOPPED))) {
            return Ok(AtRest { loaded, whole, call });
        }
        let is_written = persistence.kind() == StoreKind::File && process::writes(persistence.path());
        unattended = !is_young && !is_written;
        if unattended {
            // The writer may have finished since the read.
            continue;
        }
        if began.elapsed() > SETTLE {
            let what = "The cache is being rewritten by a program that does not hold its lock";
            return Err(Error::new(ErrorKind::Busy, what)
                .at(persistence.path())
                .remedy("Try again; if it stays so, find out which program has the file open, and end it"));
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// Returns whether content is complete: not empty, and not a part of a JSON object.
pub(crate) fn is_complete(content: Option<&Secret>) -> bool {
    content.is_none_or(|content| at_rest(content.expose()))
}

impl Shared {
    /// Returns whether content of the persistence is complete.
    pub(super) fn is_at_rest(&self, content: Option<&Secret>) -> bool {
        matches!(self.persistence.kind(), StoreKind::Item { .. } | StoreKind::Memory) || is_complete(content)
    }

    /// Under the lock: reads the stored content in any case.
    pub(super) fn reload(&self, guard: &LockGuard) -> Result<Snapshot> {
        self.reload_with(Some(guard))
    }

    /// In a directory where this process can have no lock: reads the stored content in any case.
    pub(super) fn reload_without_lock(&self) -> Result<Snapshot> {
        self.reload_with(None)
    }

    fn reload_with(&self, guard: Option<&LockGuard>) -> Result<Snapshot> {
        let is_whole = |content: Option<&Secret>| self.is_known(content) || self.is_at_rest(content);
        let load = || self.persistence.load(guard);
        let AtRest { loaded, whole, call } = load_at_rest(&*self.persistence, load, is_whole)?;
        let mut cached = self.cached();
        let snapshot = cached.publish(loaded.content, loaded.stamp, call);
        cached.incomplete = !whole;
        Ok(snapshot)
    }

    /// Returns whether this process knows the same content as complete, which spares another look at it.
    fn is_known(&self, content: Option<&Secret>) -> bool {
        let cached = self.cached();
        cached.snapshot.generation > 0 && !cached.incomplete && cached.snapshot.content.as_ref() == content
    }
}

/// Returns the age that the content with this stamp had at the time `looked`, independent of how long the reader was
/// stopped since. A time in the future gives none.
fn age(stamp: &Stamp, looked: SystemTime) -> Option<Duration> {
    let modified = UNIX_EPOCH + Duration::from_millis(u64::try_from(stamp.modified_millis()).unwrap_or(0));
    let written_meanwhile = || SystemTime::now().duration_since(modified).map(|_| Duration::ZERO);
    looked.duration_since(modified).or_else(|_| written_meanwhile()).ok()
}
