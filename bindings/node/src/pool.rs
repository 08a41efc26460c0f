//! Threads for work that may block: as many as there is work, gone when there is none.
//!
//! There is no upper limit, because a limit could fill up with work that waits for a lock whose holder then finds no
//! thread to commit on. It stays small all the same: each path has one turn at a time (see [`crate::turns`]), and
//! JavaScript coalesces reads.
#![allow(
    clippy::missing_const_for_thread_local,
    reason = "it is const; where thread locals are the system's (mingw) the lint does not see that through the macro"
)]

use std::cell::Cell;
use std::collections::VecDeque;
use std::hint;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::guard::{Place, quietly};

/// How long a thread waits for more work. Starting one costs about 30 µs, keeping one a few pages.
const IDLE: Duration = Duration::from_secs(10);

/// How long a thread stays awake for more work that is about to come. To put it to sleep and to wake it again takes half as
/// long, a part of which is paid by whoever wakes it.
const AWAKE: Duration = Duration::from_micros(100);
/// After so many times in vain it is tried seldom: with a single processor, which the thread that brings the work needs, or
/// for a client that takes longer, it never pays.
const IN_VAIN: u32 = 3;
const SELDOM: u32 = 64;

type Task = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    tasks: VecDeque<Task>,
    idle: usize,
    /// Threads that have nothing to do, but look whether there is something without being woken.
    awake: usize,
    /// How often none came while one looked, since some did.
    in_vain: u32,
}

static STATE: Mutex<State> = Mutex::new(State { tasks: VecDeque::new(), idle: 0, awake: 0, in_vain: 0 });
static WORK: Condvar = Condvar::new();
/// How many tasks there are, for those who look without the mutex.
static WAITING: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static MORE: Cell<bool> = const { Cell::new(false) };
}

/// Tells the pool, on one of its threads, that more work is about to come.
pub(crate) fn expect_more() {
    MORE.set(true);
}

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
    if state.tasks.len() < state.idle + state.awake {
        state.tasks.push_back(task);
        WAITING.store(state.tasks.len(), Ordering::Release);
        let seen = state.tasks.len() <= state.awake;
        // Not under the mutex: who is woken would wait for it at once.
        drop(state);
        if !seen {
            WORK.notify_one();
        }
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
            WAITING.store(state.tasks.len(), Ordering::Relaxed);
            drop(state);
            quietly(Place::Thread, task);
            state = self::state();
            continue;
        }
        if MORE.take() {
            state = stay_awake(state);
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

/// Looks for work for a moment, without being woken.
fn stay_awake(mut state: MutexGuard<'static, State>) -> MutexGuard<'static, State> {
    if state.in_vain >= IN_VAIN && !state.in_vain.is_multiple_of(SELDOM) {
        state.in_vain = state.in_vain.wrapping_add(1);
        return state;
    }
    state.awake += 1;
    drop(state);
    let until = Instant::now() + AWAKE;
    while WAITING.load(Ordering::Acquire) == 0 && Instant::now() < until {
        hint::spin_loop();
    }
    // What comes from now on until it sleeps is found under the mutex.
    let mut state = self::state();
    state.awake -= 1;
    state.in_vain = if state.tasks.is_empty() { state.in_vain.wrapping_add(1) } else { 0 };
    state
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}
