//! When a store is taken for unchanged. Every such decision is made here.
//!
//! **With the lock held, only the memory of this process is believed** ([`Look::Locked`]); every other store is read. A writer that takes a change for none overwrites it, and a read costs little beside the sync of the write.
//! A stamp cannot prove that nothing changed: file systems keep times of whole seconds, a network client answers from
//! its cache of attributes, a restored backup brings its old time along, an item has several markers, and a
//! program's own store may count in any way.
//!
//! **Without the lock, a reader believes an equal stamp**, because a read of the store at every access would cost more
//! than all else, and a reader overwrites nothing. It believes under these conditions, so that the content that
//! it keeps is never older than its last look:
//! - The file system keeps a time of its own for every change, and no other machine writes to it ([`Times::Kept`]). This is
//!   a list of known file systems: an unknown one is read every time.
//! - Both times of the file are older than the clock by more than the grain of the file system's times ([`is_settled`]):
//!   no later change can then get the same times. The grain is also taken from the times themselves, because one
//!   kind of file system has several (ext4 keeps whole seconds in inodes of 128 bytes).
//! - The clock has not gone back since ([`Stamp::matches`]).
//! - A version of a program's own store has been the same for two seconds ([`Belief::learn`]), because it may be a time.

use std::time::{Duration, Instant};

use super::{Fingerprint, Stamp, State};

/// The times that a file system keeps of the changes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Times {
    /// Each change gets the time of a clock that only this machine sets; `grain` nanoseconds at most lie between its steps,
    /// beside those of the clock itself.
    #[allow(dead_code, reason = "on a Unix without platform code nothing is known")]
    Kept { grain: i128 },
    /// Nothing is known, or the times are another machine's.
    Unknown,
}

/// The grains of file systems that show only in the times themselves, and how old a time must be there: FAT (2 s), ext3 and
/// HFS+ (1 s), exFAT (10 ms). A file system with finer times shows such numbers once in ten billion.
const GRAINS: [(i128, i128); 3] =
    [(2_000_000_000, 4_000_000_000), (1_000_000_000, 2_000_000_000), (10_000_000, 20_000_000)];

/// A version of a program's own store that stays equal for this long is believed: longer than the grain of any clock.
const SETTLED: Duration = Duration::from_secs(2);

/// Returns whether no change after the time `tick` can leave the file with these times.
pub(super) fn is_settled(fingerprint: &Fingerprint, tick: i128, times: Times) -> bool {
    let Times::Kept { grain } = times else { return false };
    let shown = GRAINS
        .iter()
        .find(|(grain, _)| fingerprint.modified % grain == 0 && fingerprint.changed % grain == 0)
        .map_or(0, |(_, age)| *age);
    fingerprint.modified.max(fingerprint.changed) < tick - grain.max(shown)
}

/// Returns the step of the clock that gave this time, as far as the time shows it; 0 for a fine one.
pub(crate) fn step_of(time: i128) -> i128 {
    GRAINS.iter().find(|(grain, _)| time % grain == 0).map_or(0, |(grain, _)| *grain)
}

/// Returns whether a write of this process is told from every other one by its times: the part below a millisecond is
/// random ([`crate::atomic_file`]), which a coarse file system does not keep.
pub(super) fn is_own(fingerprint: &Fingerprint, times: Times) -> bool {
    matches!(times, Times::Kept { .. }) && GRAINS.iter().all(|(grain, _)| fingerprint.modified % grain != 0)
}

/// A look at the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// Of a reader, without the lock.
    Free,
    /// Of a writer, with the lock held.
    Locked,
}

/// The stamp of the content that a process keeps, and whether it is believed.
#[derive(Debug)]
pub(crate) struct Belief {
    stamp: Stamp,
    /// When this version was first seen.
    since: Instant,
    /// Whether an equal stamp means equal content.
    settled: bool,
    /// Whether the store is the memory of this process, whose versions are never given twice.
    in_memory: bool,
}

impl Belief {
    /// Of a process that has seen nothing yet.
    pub(crate) fn none(in_memory: bool) -> Self {
        Self { stamp: Stamp::UNKNOWN, since: Instant::now(), settled: false, in_memory }
    }

    /// The content was read, or written, at `stamp`; the call for it began at `began`.
    pub(crate) fn learn(&mut self, stamp: Stamp, began: Instant) {
        match (self.stamp.0, stamp.0) {
            (State::Version(known), State::Version(now)) if known == now => {
                self.settled |= began.saturating_duration_since(self.since) >= SETTLED;
            }
            (_, State::Version(_)) => (self.since, self.settled) = (Instant::now(), false),
            _ => self.settled = true,
        }
        self.settled |= self.in_memory;
        self.stamp = stamp;
    }

    /// The next access reads the store.
    pub(crate) fn forget(&mut self) {
        // The version stays known: it is as old as it was.
        self.settled = false;
        if !matches!(self.stamp.0, State::Version(_)) {
            self.stamp = Stamp::UNKNOWN;
        }
    }

    /// Returns whether any stamp could show that nothing changed. If not, there is no need to look at the store.
    pub(crate) fn can_hold(&self, look: Look) -> bool {
        let trusted = match self.stamp.0 {
            State::File { trusted, .. } => trusted,
            State::Absent | State::Version(_) => true,
            State::Unknown => false,
        };
        self.settled && trusted && (look == Look::Free || self.in_memory)
    }

    /// Returns whether the store, which looks like `now`, is unchanged.
    pub(crate) fn holds(&self, now: &Stamp, look: Look) -> bool {
        self.can_hold(look) && self.stamp.matches(now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i128 = 1_000_000_000;
    const NOW: i128 = 1_800_000_000 * SECOND;
    const FINE: Times = Times::Kept { grain: 0 };

    fn file(modified: i128, changed: i128) -> Fingerprint {
        Fingerprint { device: 1, inode: 2, size: 3, modified, changed }
    }

    #[test]
    fn a_file_is_settled_when_its_times_are_older_than_one_step_of_the_file_system() {
        for (times, grain) in
            [(NOW + 7, 0), (NOW + 10_000_000, 20_000_000), (NOW + SECOND, 2 * SECOND), (NOW, 4 * SECOND)]
        {
            let file = file(times, times);
            assert!(is_settled(&file, times + grain + 1, FINE), "{times}");
            assert!(!is_settled(&file, times + grain, FINE), "{times}");
        }
        assert!(
            is_settled(&file(NOW, NOW + 7), NOW + 8, FINE),
            "restored with a whole second, on a fine file system"
        );
    }

    #[test]
    fn times_of_another_machine_and_of_an_unknown_file_system_are_never_settled() {
        assert!(!is_settled(&file(NOW, NOW), NOW * 2, Times::Unknown));
        assert!(!is_own(&file(NOW + 7, NOW), Times::Unknown));
    }

    #[test]
    fn an_own_write_is_not_believed_where_the_file_system_rounds_its_time() {
        assert!(is_own(&file(NOW + 1_200_300, NOW), FINE));
        assert!(!is_own(&file(NOW + 10_000_000, NOW + 7), FINE));
    }

    #[test]
    fn the_version_of_a_programs_own_store_is_believed_after_two_seconds_and_that_in_memory_at_once() {
        let start = Instant::now();
        let later = |seconds| start + Duration::from_secs(seconds);
        let version = Stamp::version;
        let mut belief = Belief::none(false);
        belief.learn(version(1), start);
        assert!(
            !belief.holds(&version(1), Look::Free),
            "a second write in the same tick has the same number"
        );
        belief.learn(version(1), later(10));
        assert!(belief.holds(&version(1), Look::Free) && !belief.holds(&version(2), Look::Free));
        assert!(!belief.holds(&version(1), Look::Locked), "a writer reads");
        belief.forget();
        assert!(!belief.holds(&version(1), Look::Free));
        belief.learn(version(2), later(20));
        assert!(!belief.holds(&version(2), Look::Free));
        let mut memory = Belief::none(true);
        memory.learn(version(1), start);
        assert!(memory.holds(&version(1), Look::Free) && memory.holds(&version(1), Look::Locked));
    }
}
