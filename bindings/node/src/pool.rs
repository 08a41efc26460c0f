//! Threads for work that may block: as many as there is work, gone when there is none.
//!
//! There is no upper limit, because a limit could fill up with work that waits for a lock whose holder then finds no
//! thread to commit on. It stays small all the same: each path has one turn at a time (see [`crate::turns`]), and
//! JavaScript coalesces reads.

use std::collections::VecDeque;
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::guard::{Place, quietly};

/// How long a thread waits for more work. Starting one costs about 30 µs, keeping one a few pages.
const IDLE: Duration = Duration::from_secs(10);

type Task = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    tasks: VecDeque<Task>,
    idle: usize,
}

static STATE: Mutex<State> = Mutex::new(State { tasks: VecDeque::new(), idle: 0 });
static WORK: Condvar = Condvar::new();

/// Runs `task` on a thread of the pool.
///
/// # Errors
/// When a thread is needed and the system gives none. The task is dropped then.
pub(crate) fn run(task: impl FnOnce() + Send + 'static) -> io::Result<()> {
    start(Box::new(task))
}

/// Not generic: the code that starts a thread would be there once for each kind of task.
fn start(task: Task) -> io::Result<()> {
    let mut state = state();
    if state.tasks.len() < state.idle {
        state.tasks.push_back(task);
        // Not under the mutex: who is woken would wait for it at once.
        drop(state);
        WORK.notify_one();
        return Ok(());
    }
    drop(state);
    thread::Builder::new().name("tokenkeep".to_owned()).spawn(move || {
        quietly(Place::Thread, task);
        work();
    })?;
    Ok(())
}

fn work() {
    let mut state = state();
    loop {
        if let Some(task) = state.tasks.pop_front() {
            drop(state);
            quietly(Place::Thread, task);
            state = self::state();
            continue;
        }
        state.idle += 1;
        let waited = WORK.wait_timeout_while(state, IDLE, |state| state.tasks.is_empty());
        let (woken, outcome) = waited.unwrap_or_else(PoisonError::into_inner);
        state = woken;
        state.idle -= 1;
        if outcome.timed_out() && state.tasks.is_empty() {
            return;
        }
    }
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}
