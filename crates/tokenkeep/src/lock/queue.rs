//! The queue in front of one path's lock, within this process.
//!
//! flock excludes open files, not threads, and does not queue fairly. So those who want one path wait here first-in
//! first-out, over all caches and plugin instances, and only the first of the queue talks to the operating system. A waiter
//! is a [`Waker`]: that of a parked thread, or one that goes on elsewhere, so that a wait needs no thread. When the lock
//! of the operating system is busy, one helper thread per queue blocks in it. A waiter that gives up leaves this thread
//! where it is, and the next waiter inherits what it gets.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Waker;
use std::thread;
use std::time::{Duration, Instant};

use super::deadline::Deadline;
use crate::{Error, ErrorKind, Result};

/// What is locked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Key {
    /// A file, by any spelling of its path.
    File {
        /// Device and inode of its directory.
        directory: (u64, u64),
        name: OsString,
    },
    /// Something that only this process can see.
    InProcess(PathBuf),
    /// The way to a file that has not been found yet: calls for one path find it in the order in which they came.
    Entrance(PathBuf),
}

/// Grace after the deadline. The helper thread may already hold the free lock and be handing it to us; without this,
/// `acquire` with a limit of 0 on a free lock could fail with `Busy`.
const GRACE: Duration = Duration::from_millis(200);
const GRACE_STEP: Duration = Duration::from_micros(500);

/// `L` is what the operating system's lock call yields.
#[derive(Debug)]
struct Queue<L> {
    state: Mutex<State<L>>,
}

#[derive(Debug)]
struct State<L> {
    /// First in, first out. The holder of the lock stays the first until it leaves.
    waiters: VecDeque<(u64, Waker)>,
    last: u64,
    helper: Helper<L>,
}

/// The thread that blocks in the operating system's lock call.
#[derive(Debug)]
enum Helper<L> {
    None,
    Blocked,
    Done(Result<L>),
}

/// The queues of this process; a queue lives as long as it has a waiter.
#[derive(Debug)]
pub(super) struct Queues<L>(Mutex<HashMap<Key, Weak<Queue<L>>>>);

impl<L> Default for Queues<L> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// A place in a queue. Dropping it leaves the queue, which lets the next waiter forward if this one was the first.
#[derive(Debug)]
pub(super) struct Waiter<L> {
    queue: Arc<Queue<L>>,
    key: Key,
    number: u64,
    /// The process that waits: in a forked child the queue is its parent's.
    process: u32,
}

impl<L> Queues<L> {
    /// Enters the queue of `key`. `waker` is woken when the waiter becomes the first, and when its helper thread has the
    /// lock.
    pub(super) fn enter(&self, key: Key, waker: Waker) -> Waiter<L> {
        let queue = self.of(&key);
        let number = {
            let mut state = queue.state();
            state.last += 1;
            let number = state.last;
            state.waiters.push_back((number, waker));
            number
        };
        Waiter { queue, key, number, process: std::process::id() }
    }

    fn of(&self, key: &Key) -> Arc<Queue<L>> {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get(key).and_then(Weak::upgrade) {
            return queue;
        }
        queues.retain(|_, queue| queue.strong_count() > 0);
        let state = State { waiters: VecDeque::new(), last: 0, helper: Helper::None };
        let queue = Arc::new(Queue { state: Mutex::new(state) });
        queues.insert(key.clone(), Arc::downgrade(&queue));
        queue
    }
}

impl<L> Queue<L> {
    fn state(&self) -> MutexGuard<'_, State<L>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<L> Waiter<L> {
    pub(super) fn key(&self) -> &Key {
        &self.key
    }

    pub(super) fn is_first(&self) -> bool {
        self.queue.state().waiters.front().map(|waiter| waiter.0) == Some(self.number)
    }

    /// Parks this thread, whose waker entered the queue, until it is the first.
    pub(super) fn wait(&self, deadline: &Deadline) -> Result<()> {
        while !self.is_first() {
            deadline.park()?;
        }
        Ok(())
    }
}

impl<L: Send + 'static> Waiter<L> {
    /// As the first: takes the operating system's lock without waiting. `attempt` tries it (`None`: busy); then a helper
    /// thread runs `block`, which waits for it, and wakes the first. Returns whether [`Waiter::lock`] need not wait.
    pub(super) fn begin(
        &self,
        attempt: impl FnOnce() -> Result<Option<L>>,
        block: impl FnOnce() -> Result<L> + Send + 'static,
    ) -> Result<bool> {
        match self.queue.state().helper {
            Helper::Done(_) => return Ok(true),
            Helper::Blocked => return Ok(false),
            Helper::None => {}
        }
        if let Some(lock) = attempt()? {
            self.queue.state().helper = Helper::Done(Ok(lock));
            return Ok(true);
        }
        self.start_helper(block)?;
        Ok(false)
    }

    /// As the first: takes the operating system's lock, parking this thread while it is busy. `is_used` tells whether a
    /// program has more than it, and so will not give it back at once.
    pub(super) fn lock(
        &self,
        deadline: &Deadline,
        attempt: impl Fn() -> Result<Option<L>>,
        block: impl Fn() -> Result<L> + Send + Clone + 'static,
        is_used: impl Fn() -> bool,
    ) -> Result<L> {
        let mut late = None;
        loop {
            self.begin(&attempt, block.clone())?;
            if let Some(lock) = self.take() {
                return lock;
            }
            match deadline.park() {
                Err(error) if error.kind() == ErrorKind::Busy => {
                    if late.get_or_insert_with(Instant::now).elapsed() > GRACE || is_used() {
                        return Err(error);
                    }
                    thread::sleep(GRACE_STEP);
                }
                parked => parked?,
            }
        }
    }

    fn take(&self) -> Option<Result<L>> {
        let mut state = self.queue.state();
        match std::mem::replace(&mut state.helper, Helper::None) {
            Helper::Done(lock) => Some(lock),
            other => {
                state.helper = other;
                None
            }
        }
    }

    fn start_helper(&self, block: impl FnOnce() -> Result<L> + Send + 'static) -> Result<()> {
        self.queue.state().helper = Helper::Blocked;
        let queue = Arc::clone(&self.queue);
        let started =
            thread::Builder::new().name("tokenkeep-lock".into()).stack_size(128 * 1024).spawn(move || {
                let result = block();
                let mut state = queue.state();
                match state.waiters.front().map(|waiter| waiter.1.clone()) {
                    Some(first) => {
                        state.helper = Helper::Done(result);
                        drop(state);
                        first.wake();
                    }
                    // Every waiter gave up. Dropping the lock, after this, frees it.
                    None => state.helper = Helper::None,
                }
            });
        started.map(drop).map_err(|error| {
            self.queue.state().helper = Helper::None;
            Error::new(ErrorKind::Io, "Cannot start the thread that waits for the lock").because(error)
        })
    }
}

impl<L> Drop for Waiter<L> {
    fn drop(&mut self) {
        // A forked child leaves the queue of its parent alone, whose mutex may be locked for ever.
        if self.process != std::process::id() {
            return;
        }
        let mut state = self.queue.state();
        let was_first = state.waiters.front().is_some_and(|waiter| waiter.0 == self.number);
        let left = state.waiters.iter().position(|waiter| waiter.0 == self.number);
        let left = left.and_then(|at| state.waiters.remove(at));
        let next = state.waiters.front().filter(|_| was_first).map(|waiter| waiter.1.clone());
        // A lock that came for a waiter that had gone goes to the next, or is freed.
        let unused = match state.waiters.is_empty() && matches!(state.helper, Helper::Done(_)) {
            true => std::mem::replace(&mut state.helper, Helper::None),
            false => Helper::None,
        };
        drop(state);
        drop(unused);
        drop(left);
        if let Some(next) = next {
            next.wake();
        }
    }
}
