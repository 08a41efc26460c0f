//! Wakes at a time: one thread that sleeps in between.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread;
use std::time::Instant;

use crate::fork::PerProcess;

static TIMER: PerProcess<Timer> = PerProcess::new();

#[derive(Default)]
struct Timer {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// In order of time; the number tells alarms of the same time apart.
    alarms: BTreeMap<(Instant, u64), Waker>,
    count: u64,
    running: bool,
    /// When the thread wakes by itself; `None` while it waits for an alarm to be set.
    wakes: Option<Instant>,
}

/// An alarm that is set. Dropping it cancels it.
#[must_use]
pub(crate) struct Alarm {
    timer: &'static Timer,
    due: (Instant, u64),
}

/// Wakes `waker` at `time`.
///
/// # Errors
/// When the system gives no thread for it.
pub(crate) fn wake_at(time: Instant, waker: Waker) -> io::Result<Alarm> {
    let timer = TIMER.get();
    let mut state = timer.state();
    if !state.running {
        thread::Builder::new().name("tokenkeep-timer".to_owned()).spawn(|| timer.run())?;
        state.running = true;
    }
    state.count += 1;
    let due = (time, state.count);
    state.alarms.insert(due, waker);
    // The thread is not woken for a later alarm than the one that it sleeps for, nor when an alarm is cancelled, as almost
    // every one is: it then wakes too early once, not once a write.
    if state.wakes.is_none_or(|wakes| time < wakes) {
        timer.changed.notify_one();
    }
    Ok(Alarm { timer, due })
}

impl Drop for Alarm {
    fn drop(&mut self) {
        // A forked child leaves the timer of its parent alone, whose mutex may be locked for ever.
        if std::ptr::eq(self.timer, TIMER.get()) {
            let waker = self.timer.state().alarms.remove(&self.due);
            // Outside the mutex: the waker may own another alarm.
            drop(waker);
        }
    }
}

impl Timer {
    fn run(&self) {
        let mut state = self.state();
        loop {
            let now = Instant::now();
            match state.alarms.first_key_value().map(|(due, _)| *due) {
                Some(due) if due.0 <= now => {
                    let waker = state.alarms.remove(&due);
                    drop(state);
                    // A waker of the program's own may panic.
                    drop(catch_unwind(AssertUnwindSafe(|| waker.map(Waker::wake))));
                    state = self.state();
                }
                Some(due) => {
                    state.wakes = Some(due.0);
                    let waited = self.changed.wait_timeout(state, due.0 - now);
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
                None => {
                    state.wakes = None;
                    state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
