//! Threads for work that may block: as many as there is work, gone when there is none.
//!
//! There is no upper limit, because a limit could fill up with work that waits for a lock whose holder then finds no
//! thread to commit on.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How long a thread waits for more work. Starting one costs about 30 µs, keeping one a few pages.
const IDLE: Duration = Duration::from_secs(10);

type Task = Box<dyn FnOnce() + Send>;

struct Queue {
    tasks: VecDeque<Task>,
    idle: usize,
}

static QUEUE: Mutex<Queue> = Mutex::new(Queue { tasks: VecDeque::new(), idle: 0 });
static WORK: Condvar = Condvar::new();

/// Runs `task` on a thread of the pool.
///
/// # Errors
/// When a thread is needed and the system gives none. The task is dropped then.
pub(super) fn run(task: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let mut queue = queue();
    if queue.tasks.len() < queue.idle {
        queue.tasks.push_back(Box::new(task));
        WORK.notify_one();
        return Ok(());
    }
    drop(queue);
    thread::Builder::new().name("tokenkeep".to_owned()).spawn(move || {
        perform(task);
        serve();
    })?;
    Ok(())
}

/// Drops `value` where blocking does no harm: it may hold a lock whose release is a call to a slow file system.
pub(crate) fn discard<T: Send + 'static>(value: Option<T>) {
    if let Some(value) = value {
        // Without a thread it is dropped here, inside the closure: late is worse than blocking for a moment.
        drop(run(move || drop(value)));
    }
}

fn serve() {
    let mut queue = queue();
    loop {
        if let Some(task) = queue.tasks.pop_front() {
            drop(queue);
            perform(task);
            queue = self::queue();
            continue;
        }
        queue.idle += 1;
        let waited = WORK.wait_timeout_while(queue, IDLE, |queue| queue.tasks.is_empty());
        let (woken, outcome) = waited.unwrap_or_else(PoisonError::into_inner);
        queue = woken;
        queue.idle -= 1;
        if outcome.timed_out() && queue.tasks.is_empty() {
            return;
        }
    }
}

/// A task reports its own panic (see [`super::operation`]); what panics while being dropped must not take the thread,
/// and the count of idle ones, with it.
fn perform(task: impl FnOnce()) {
    drop(catch_unwind(AssertUnwindSafe(task)));
}

fn queue() -> MutexGuard<'static, Queue> {
    QUEUE.lock().unwrap_or_else(PoisonError::into_inner)
}
