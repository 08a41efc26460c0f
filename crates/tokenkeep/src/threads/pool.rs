//! Threads for work that may block: at most [`LIMIT`] that work, and none when there is nothing to do.
//!
//! A thread that waits for a lock or for a person is not counted: it calls [`waiting`], and another thread may take its
//! place meanwhile. So the pool can never fill up with work that waits for a lock whose holder finds no thread to commit on.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::fork::PerProcess;

/// How many threads work at once. Most of their time they wait for a disk, so that it is more than there are processors.
pub(crate) const LIMIT: usize = 8;

/// How long a thread waits for more work before it ends. Starting one costs about 30 µs, keeping one a few pages.
const IDLE: Duration = Duration::from_secs(10);

type Task = Box<dyn FnOnce() + Send>;

static POOL: PerProcess<Pool> = PerProcess::new();

thread_local! {
    /// The pool that the current thread works for.
    static EMPLOYER: Cell<Option<&'static Pool>> = const { Cell::new(None) };
}

#[derive(Default)]
struct Pool {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    tasks: VecDeque<Task>,
    /// Threads that work or are idle; not those that wait.
    threads: usize,
    idle: usize,
}

/// Runs `task` on a thread of the pool, in the order of the calls as long as one thread is enough.
///
/// # Errors
/// When the pool has no thread and the system gives none. The task is dropped then.
pub(crate) fn run(task: impl FnOnce() + Send + 'static) -> io::Result<()> {
    POOL.get().run(Box::new(task))
}

/// Drops `value` on a thread of the pool: it may hold a lock whose release is a call to a slow file system.
pub(crate) fn discard<T: Send + 'static>(value: Option<T>) {
    if let Some(value) = value {
        // Without a thread it is dropped here, inside the closure: late is worse than blocking for a moment.
        drop(run(move || drop(value)));
    }
}

/// Runs `wait`, which waits for something that is not work: a lock, a person. A thread of the pool is not counted
/// meanwhile.
pub(crate) fn waiting<T>(wait: impl FnOnce() -> T) -> T {
    // A forked child has the thread that forked, but not the pool that this thread worked for.
    let pool = EMPLOYER.get().filter(|pool| std::ptr::eq(*pool, POOL.get()));
    let Some(pool) = pool else { return wait() };
    pool.leave();
    let _back = Back(pool);
    wait()
}

/// Counts a thread again when its wait is over, also when that panics.
struct Back(&'static Pool);

impl Drop for Back {
    fn drop(&mut self) {
        // This may exceed the limit until a thread has done its task.
        self.0.state().threads += 1;
    }
}

impl Pool {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Not generic: the code that starts a thread would be there once for each kind of task.
    fn run(&'static self, task: Task) -> io::Result<()> {
        let mut state = self.state();
        if state.tasks.len() >= state.idle && state.threads < LIMIT {
            state.threads += 1;
            drop(state);
            return self.start(Some(task));
        }
        state.tasks.push_back(task);
        // Not under the mutex, which the thread that wakes would have to wait for.
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    /// Starts a thread that is counted already.
    fn start(&'static self, task: Option<Task>) -> io::Result<()> {
        // Shared, to have the task back when there is no thread.
        let task = std::sync::Arc::new(Mutex::new(task));
        let own = std::sync::Arc::clone(&task);
        let take = |task: &Mutex<Option<Task>>| task.lock().unwrap_or_else(PoisonError::into_inner).take();
        let started = thread::Builder::new().name("tokenkeep".to_owned()).spawn(move || {
            EMPLOYER.set(Some(self));
            if let Some(task) = take(&own) {
                perform(task);
            }
            self.serve();
        });
        let Err(error) = started else { return Ok(()) };
        let mut state = self.state();
        state.threads -= 1;
        if state.threads == 0 {
            return Err(error);
        }
        // The threads that there are come to it later.
        state.tasks.extend(take(&task));
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    fn serve(&self) {
        let mut state = self.state();
        loop {
            // Waits have ended, and others took the places of these threads meanwhile.
            if state.threads > LIMIT {
                break;
            }
            if let Some(task) = state.tasks.pop_front() {
                drop(state);
                perform(task);
                state = self.state();
                continue;
            }
            state.idle += 1;
            let waited = self.work.wait_timeout_while(state, IDLE, |state| state.tasks.is_empty());
            let (woken, outcome) = waited.unwrap_or_else(PoisonError::into_inner);
            state = woken;
            state.idle -= 1;
            if outcome.timed_out() && state.tasks.is_empty() {
                break;
            }
        }
        state.threads -= 1;
    }

    /// The calling thread is about to wait: another one may do what is queued.
    fn leave(&'static self) {
        let mut state = self.state();
        state.threads -= 1;
        if state.tasks.len() > state.idle && state.threads < LIMIT {
            state.threads += 1;
            drop(state);
            // Without a thread the task stays queued until a wait ends.
            let _ = self.start(None);
        }
    }
}

/// A task reports its own panic; what panics while being dropped must not take the thread, and its count, with it.
fn perform(task: Task) {
    drop(catch_unwind(AssertUnwindSafe(task)));
}
