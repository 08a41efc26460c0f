//! Threads that come back to an interpreter that is ending.
//!
//! Before Python 3.14 such a thread is ended in the middle of its call, by an unwinding that Rust code must not meet: the process
//! crashes. So a thread that comes back after the end has begun stays away for ever, as the newer versions let it.
//! Non-daemon threads have ended by then.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

/// The thread that ends the interpreter, from the moment when it begins to.
static ENDS: OnceLock<ThreadId> = OnceLock::new();

/// The threads that are about to come back and have seen no end.
static COMING: AtomicUsize = AtomicUsize::new(0);

/// Threads come back within microseconds, and wait for the interpreter's lock at most.
const LIMIT: Duration = Duration::from_secs(1);

/// Works without the interpreter's lock, as `Python::detach`.
pub(crate) fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> T {
    let value = py.detach(|| {
        let value = work();
        COMING.fetch_add(1, Ordering::SeqCst);
        if ENDS.get().is_none_or(|ender| *ender == thread::current().id()) {
            return value;
        }
        COMING.fetch_sub(1, Ordering::SeqCst);
        // It may be a lock, which functions of `atexit` may want.
        drop(value);
        loop {
            thread::park();
        }
    });
    COMING.fetch_sub(1, Ordering::SeqCst);
    value
}

/// Called by `atexit`.
#[pyfunction]
pub(crate) fn interpreter_ends(py: Python<'_>) {
    if ENDS.set(thread::current().id()).is_err() {
        return;
    }
    let began = Instant::now();
    while COMING.load(Ordering::SeqCst) > 0 && began.elapsed() < LIMIT {
        py.detach(|| thread::sleep(Duration::from_millis(1)));
    }
}

/// A forked child does not have the threads of its parent.
pub(crate) fn after_fork_in_child() {
    COMING.store(0, Ordering::SeqCst);
}
