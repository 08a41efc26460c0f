//! Whose turn it is among processes: a hint, beside the lock itself, which never decides who may enter.
//!
//! flock has no order. Who has just released the lock is running already and would get it again before those who wait
//! have woken up; on a busy machine some processes then get five times the turns of others. So a process that has to
//! wait notes in the private file since when, and whoever gets the lock although another has waited for distinctly
//! longer lets go of it once more. Everything here may fail, be stale or be overwritten without harm but to fairness.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use crate::platform::files;
use crate::platform::lock_record as record;

/// Behind our record.
const BEGIN: u64 = record::LENGTH as u64;
/// A place: the time since when, and the process that waits, both little-endian.
const PLACE: usize = 16;
/// More than ever wait at once. Two processes that share a place overwrite each other's hint.
const PLACES: usize = 16;

/// Somebody who has waited less than this longer is overtaken: handing over costs more than it is worth. It bounds how
/// long a process can keep the lock to itself. Measured over 8 processes that write without pause on a busy machine:
/// the fastest gets 1.03 times the turns of the slowest with 1 ms, 1.3 to 2.2 times with 4 ms and twice the
/// throughput, 1.3 to 1.6 times without turns.
const DISTINCT: u64 = 1_000_000;
/// A process that has waited this long and still does has been forgotten here, or its clock is another one.
const CREDIBLE: u64 = 60_000_000_000;
/// Lets those who are woken by a release get hold of the lock.
const PAUSE: Duration = Duration::from_micros(200);
/// Who lets that many pauses pass is stopped, dead, or starved of processor time, and loses its place.
const PAUSES: u32 = 25;

/// A note that this process waits. Withdraw it when the wait is over; after a crash it is cleared by others.
#[derive(Debug)]
pub(super) struct Turn {
    since: u64,
    /// Whom this process has let go first, and how often.
    deferred: Option<(Waiting, u32)>,
}

/// What stands in a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Waiting {
    since: u64,
    pid: u32,
    place: usize,
}

/// Whether somebody has waited distinctly longer than a newcomer, which is whether somebody has waited at all.
pub(super) fn somebody_waits(private: &File) -> bool {
    longest_waiting(private, now()).is_some()
}

impl Turn {
    /// Notes that this process waits from now on.
    pub(super) fn note(private: &File) -> Self {
        let turn = Self { since: now(), deferred: None };
        let pid = std::process::id();
        let mut bytes = [0; PLACE];
        bytes[..8].copy_from_slice(&turn.since.to_le_bytes());
        bytes[8..12].copy_from_slice(&pid.to_le_bytes());
        write(private, place_of(pid), &bytes);
        turn
    }

    /// With the lock got: whether to let go of it for somebody who has waited longer. Pauses after that are
    /// [`Turn::pause`].
    pub(super) fn is_anothers(&mut self, private: &File) -> bool {
        let Some(other) = longest_waiting(private, self.since) else { return false };
        let times = match self.deferred {
            Some((before, times)) if before == other => times + 1,
            _ => 1,
        };
        self.deferred = Some((other, times));
        if times > PAUSES {
            clear(private, other);
            // There may be another one, to whom the same applies.
            return self.is_anothers(private);
        }
        true
    }

    /// Lets those who have waited longer come forward.
    pub(super) fn pause() {
        std::thread::sleep(PAUSE);
    }

    /// The wait is over.
    pub(super) fn withdraw(self, private: &File) {
        let pid = std::process::id();
        clear(private, Waiting { since: self.since, pid, place: place_of(pid) });
    }
}

fn place_of(pid: u32) -> usize {
    pid as usize % PLACES
}

/// Who has waited longest, if distinctly longer than one who came at `since`.
fn longest_waiting(private: &File, since: u64) -> Option<Waiting> {
    let mut bytes = [0; PLACE * PLACES];
    let count = files::retry(|| private.read_at(&mut bytes, BEGIN)).unwrap_or(0);
    let own = std::process::id();
    bytes[..count]
        .chunks_exact(PLACE)
        .enumerate()
        .filter_map(|(place, bytes)| parse(place, bytes))
        .filter(|other| other.pid != own && other.pid != 0)
        .filter(|other| since.checked_sub(other.since).is_some_and(|by| by > DISTINCT && by < CREDIBLE))
        .min_by_key(|other| other.since)
}

fn parse(place: usize, bytes: &[u8]) -> Option<Waiting> {
    let since = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    let pid = u32::from_le_bytes(bytes.get(8..12)?.try_into().ok()?);
    Some(Waiting { since, pid, place })
}

/// Empties a place unless somebody else has taken it meanwhile.
fn clear(private: &File, waiting: Waiting) {
    let mut bytes = [0; PLACE];
    let read = files::retry(|| private.read_at(&mut bytes, offset(waiting.place))).unwrap_or(0);
    if parse(waiting.place, &bytes[..read]) == Some(waiting) {
        write(private, waiting.place, &[0; PLACE]);
    }
}

fn write(private: &File, place: usize, bytes: &[u8; PLACE]) {
    let end = BEGIN + (PLACE * PLACES) as u64;
    if files::is_size_allowed(end) {
        // A hint that could not be written is no hint.
        let _ = files::retry(|| private.write_all_at(bytes, offset(place)));
    }
}

fn offset(place: usize) -> u64 {
    BEGIN + (place * PLACE) as u64
}

/// Nanoseconds on a clock that all processes share and nobody sets.
fn now() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec)).unwrap_or(0)
}
