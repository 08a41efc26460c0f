//! The queue in front of one path's lock, within this process.
//!
//! flock excludes open files, not threads, and does not queue fairly. So the threads that want one path line up
//! first-in first-out, over all caches and plugin instances, and only the head of the line talks to the operating
//! system. When the OS lock is busy, one thread per line blocks in it; a head that gives up leaves that thread where
//! it is, and the next head inherits what it gets.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use crate::options::WaitOptions;
use crate::{Error, ErrorKind, Result};

/// Which line: the device and inode of the directory and the file name, so that different spellings of one path
/// meet in one line.
pub(super) type Key = (u64, u64, OsString);

/// A head whose time is up waits this much longer for the blocked thread while nobody seems to use the lock: who asks
/// for a lock that is free, with no time to wait, would else be told that it is busy while it is being handed over.
const GRACE: Duration = Duration::from_millis(200);
const GRACE_STEP: Duration = Duration::from_micros(500);

/// The line of one path. `L` is what the operating system's lock call yields.
#[derive(Debug)]
pub(super) struct Line<L> {
    state: Mutex<State<L>>,
}

#[derive(Debug)]
struct State<L> {
    /// First in line first. The holder stays at the front until it leaves.
    places: VecDeque<(u64, Thread)>,
    next_ticket: u64,
    blocked: Blocked<L>,
}

/// The thread that blocks in the operating system's lock call.
#[derive(Debug)]
enum Blocked<L> {
    No,
    Waiting,
    Got(Result<L>),
}

/// The lines of this process, found by key; a line lives as long as somebody uses it.
#[derive(Debug)]
pub(super) struct Lines<L>(Mutex<Option<HashMap<Key, Weak<Line<L>>>>>);

impl<L> Lines<L> {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    pub(super) fn of(&self, key: Key) -> Arc<Line<L>> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = lines.get_or_insert_with(HashMap::new);
        if let Some(line) = lines.get(&key).and_then(Weak::upgrade) {
            return line;
        }
        lines.retain(|_, line| line.strong_count() > 0);
        let line = Arc::new(Line::new());
        lines.insert(key, Arc::downgrade(&line));
        line
    }
}

/// The head of the line. Dropping it lets the next one forward.
#[derive(Debug)]
pub(super) struct Head<L> {
    line: Arc<Line<L>>,
    ticket: u64,
}

impl<L> Line<L> {
    fn new() -> Self {
        let state = State { places: VecDeque::new(), next_ticket: 0, blocked: Blocked::No };
        Self { state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State<L>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<L: Send + 'static> Line<L> {
    /// Lines up and waits to be at the head.
    pub(super) fn wait(self: &Arc<Self>, wait: &Deadline<'_>) -> Result<Head<L>> {
        let ticket = {
            let mut state = self.state();
            let ticket = state.next_ticket;
            state.next_ticket += 1;
            state.places.push_back((ticket, thread::current()));
            ticket
        };
        // From here on the place is given up by dropping it, whichever way this call ends.
        let head = Head { line: Arc::clone(self), ticket };
        while self.state().places.front().map(|place| place.0) != Some(ticket) {
            wait.park()?;
        }
        Ok(head)
    }
}

impl<L: Send + 'static> Head<L> {
    /// Takes the operating system's lock: `attempt` tries it without waiting (`None`: busy), `block` waits for it, and
    /// `is_used` tells whether somebody has it and more than it.
    pub(super) fn lock(
        &self,
        wait: &Deadline<'_>,
        mut attempt: impl FnMut() -> Result<Option<L>>,
        block: impl Fn() -> Result<L> + Send + Clone + 'static,
        is_used: impl Fn() -> bool,
    ) -> Result<L> {
        let mut late = None;
        loop {
            let mut state = self.line.state();
            match std::mem::replace(&mut state.blocked, Blocked::No) {
                Blocked::Got(result) => return result,
                Blocked::Waiting => state.blocked = Blocked::Waiting,
                Blocked::No => {
                    drop(state);
                    if let Some(lock) = attempt()? {
                        return Ok(lock);
                    }
                    self.spawn(block.clone())?;
                    continue;
                }
            }
            drop(state);
            match wait.park() {
                Err(error) if error.kind() == ErrorKind::Busy => {
                    // The blocked thread of a head that gave up may have the lock in its hands.
                    if late.get_or_insert_with(Instant::now).elapsed() > GRACE || is_used() {
                        return Err(error);
                    }
                    thread::sleep(GRACE_STEP);
                }
                parked => parked?,
            }
        }
    }

    fn spawn(&self, block: impl FnOnce() -> Result<L> + Send + 'static) -> Result<()> {
        self.line.state().blocked = Blocked::Waiting;
        let line = Arc::clone(&self.line);
        let spawned =
            thread::Builder::new().name("tokenkeep-lock".into()).stack_size(128 * 1024).spawn(move || {
                let result = block();
                let mut state = line.state();
                match state.places.front().map(|place| place.1.clone()) {
                    Some(head) => {
                        state.blocked = Blocked::Got(result);
                        drop(state);
                        head.unpark();
                    }
                    // Everybody gave up: dropping the lock frees it.
                    None => state.blocked = Blocked::No,
                }
            });
        match spawned {
            Ok(_) => Ok(()),
            Err(error) => {
                self.line.state().blocked = Blocked::No;
                Err(Error::new(ErrorKind::Io, "Cannot start the thread that waits for the lock")
                    .because(error))
            }
        }
    }
}

impl<L> Drop for Head<L> {
    fn drop(&mut self) {
        let mut state = self.line.state();
        state.places.retain(|place| place.0 != self.ticket);
        match state.places.front() {
            Some((_, next)) => next.unpark(),
            // A lock that came for a head that had gone is nobody's.
            None if matches!(state.blocked, Blocked::Got(_)) => state.blocked = Blocked::No,
            None => {}
        }
    }
}

/// How long a wait may last.
#[derive(Debug)]
pub(super) struct Deadline<'a> {
    began: Instant,
    wait: &'a WaitOptions,
}

impl<'a> Deadline<'a> {
    pub(super) fn new(wait: &'a WaitOptions) -> Self {
        Self { began: Instant::now(), wait }
    }

    /// Fails if the wait has been cancelled.
    pub(super) fn require_wanted(&self) -> Result<()> {
        if self.wait.cancel.as_ref().is_some_and(crate::options::Cancel::is_cancelled) {
            return Err(Error::new(ErrorKind::Cancelled, "The wait for the lock was cancelled"));
        }
        Ok(())
    }

    /// What is left, or why there is nothing left.
    pub(super) fn left(&self) -> Result<Duration> {
        self.require_wanted()?;
        match self.wait.limit.checked_sub(self.began.elapsed()) {
            Some(left) if !left.is_zero() => Ok(left),
            _ => Err(Error::new(ErrorKind::Busy, "The lock was not free in time")),
        }
    }

    pub(super) fn waited(&self) -> Duration {
        self.began.elapsed()
    }

    /// Sleeps until woken, cancelled or out of time. May wake early; the caller looks again.
    fn park(&self) -> Result<()> {
        self.sleep(Duration::MAX)
    }

    /// As `park`, at most for `longest`.
    pub(super) fn sleep(&self, longest: Duration) -> Result<()> {
        let _registration = self.wait.cancel.as_ref().map(crate::options::Cancel::wake_me);
        // Looked at after registering, so that a cancellation in between is not missed.
        let left = self.left()?;
        thread::park_timeout(left.min(longest));
        Ok(())
    }
}
