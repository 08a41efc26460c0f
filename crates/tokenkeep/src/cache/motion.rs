//! Content that may be in motion: a sibling whose lock somebody removed empties the file and then fills it, and a busy
//! machine can stop it in between. This file owns how long that is waited for, and what ends the wait.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::{SETTLE, Shared};
use crate::platform::process;
use crate::{Error, ErrorKind, LockGuard, Result, Secret, Snapshot, Stamp, schema};

/// What cannot be a whole cache may still be being written for this long, whoever can be seen writing: a write in place
/// takes microseconds, but a process may be stopped in the middle, and not every process can be looked into.
const IN_MOTION: Duration = Duration::from_millis(200);

/// And for this long by a process that is seen to have the file open for writing. One that was stopped for longer is
/// not waited for: somebody may just keep the file open.
pub(crate) const STOPPED: Duration = Duration::from_secs(10);

/// How often it is looked at meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Whether content of a file that was read without the lock can be believed: not empty, and not a piece of a JSON object.
fn at_rest(content: &[u8]) -> bool {
    !content.is_empty() && schema::is_whole(content)
}

impl Shared {
    /// Whether what the persistence gave can be believed.
    pub(super) fn is_at_rest(&self, content: Option<&Secret>) -> bool {
        content.is_none_or(|content| self.persistence.replaces_whole() || at_rest(content.expose()))
    }

    /// Under the lock: what is stored, read in any case. What cannot be a whole cache is read again until it is one, or has
    /// stood still and nobody is seen to be writing it.
    pub(super) fn reload(&self, guard: &LockGuard) -> Result<Snapshot> {
        let began = Instant::now();
        // Whether nobody had it open for writing before this look at it.
        let mut unattended = false;
        loop {
            let looked = SystemTime::now();
            let loaded = self.persistence.load(Some(guard))?;
            let whole = self.is_at_rest(loaded.content.as_ref());
            let age = age(&loaded.stamp, looked);
            let is_young = age.is_some_and(|age| age < IN_MOTION);
            if whole || (!is_young && (unattended || age.is_none_or(|age| age >= STOPPED))) {
                return Ok(self.held().publish(loaded.content, loaded.stamp));
            }
            unattended = !is_young && !self.is_being_written();
            if unattended {
                // Who had it open may have finished since it was read.
                continue;
            }
            if began.elapsed() > SETTLE {
                let what = "The cache is being rewritten by a program that does not hold its lock";
                return Err(Error::new(ErrorKind::Busy, what).at(self.persistence.path()).remedy(
                    "Try again; if it stays so, find out which program has the file open, and end it",
                ));
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }

    fn is_being_written(&self) -> bool {
        self.persistence.keeps_file() && process::writes(self.persistence.path())
    }
}

/// How old what has this stamp was when it was `looked` at, however long the reader was stopped since. A time in the
/// future tells nothing.
fn age(stamp: &Stamp, looked: SystemTime) -> Option<Duration> {
    let modified = UNIX_EPOCH + Duration::from_millis(u64::try_from(stamp.modified_millis()).unwrap_or(0));
    let written_meanwhile = || SystemTime::now().duration_since(modified).map(|_| Duration::ZERO);
    looked.duration_since(modified).or_else(|_| written_meanwhile()).ok()
}
