//! Things that are due at a time, on one thread that sleeps in between.
//!
//! A timer of JavaScript's would not do: a hold has to end even while the event loop stands still.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::guard::{Place, quietly};

type Task = Box<dyn FnOnce() + Send>;

/// Names a thing that is due, in order of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Due(Instant, u64);

impl Due {
    /// The time until then.
    pub(crate) fn left(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

struct State {
    due: BTreeMap<Due, Task>,
    count: u64,
    running: bool,
    /// When the thread will look next by itself; `None` while it waits to be told.
    wakes: Option<Instant>,
}

static STATE: Mutex<State> =
    Mutex::new(State { due: BTreeMap::new(), count: 0, running: false, wakes: None });
static CHANGED: Condvar = Condvar::new();

/// Runs `task` after `delay`, unless it is cancelled before.
///
/// # Errors
/// When the system gives no thread for it.
pub(crate) fn after(delay: Duration, task: impl FnOnce() + Send + 'static) -> io::Result<Due> {
    let mut state = state();
    if !state.running {
        thread::Builder::new().name("tokenkeep-timer".to_owned()).spawn(run)?;
        state.running = true;
    }
    state.count += 1;
    let due = Due(Instant::now() + delay, state.count);
    state.due.insert(due, Box::new(task));
    // The thread sleeps on when what it waits for is cancelled, as almost everything is: then it is awake early enough for
    // all that is due later, and need not be woken once a write.
    if state.wakes.is_none_or(|wakes| due.0 < wakes) {
        CHANGED.notify_one();
    }
    Ok(due)
}

/// Drops what was due, if it has not begun.
pub(crate) fn cancel(due: Due) {
    let task = state().due.remove(&due);
    // Outside the lock: what a task owns may use the timer when it is dropped.
    drop(task);
}

fn run() {
    let mut state = state();
    loop {
        let now = Instant::now();
        match state.due.first_key_value().map(|(due, _)| *due) {
            Some(due) if due.0 <= now => {
                let task = state.due.remove(&due);
                drop(state);
                if let Some(task) = task {
                    quietly(Place::Timer, task);
                }
                state = self::state();
            }
            Some(due) => {
                state.wakes = Some(due.0);
                let waited = CHANGED.wait_timeout(state, due.0 - now);
                state = waited.unwrap_or_else(PoisonError::into_inner).0;
            }
            None => {
                state.wakes = None;
                state = CHANGED.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}
