//! State of this process that a forked child must not inherit.
//!
//! `fork` copies the memory of a process but only the thread that called it. A mutex that another thread held stays locked
//! in the child, and a pool counts threads that do not exist there. So each such static keeps one value per generation of
//! the process, and the child moves on to the next. Nothing is repaired; what the parent made is left behind.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How deep forks can nest. A slot is a pointer that is not touched before its generation needs it.
const GENERATIONS: usize = 256;

static GENERATION: AtomicUsize = AtomicUsize::new(0);

/// Makes the library usable in a child that was forked, without executing another program, while other threads of its
/// parent used the library. Call it first thing in the child, before any other call and while it has one thread.
///
/// The child then has queues, threads and timers of its own. Open caches, locks and persistences again: those that were
/// opened before the fork may be in use for ever by threads that the child does not have. Guards and write accesses of the
/// parent stay the parent's: they write nothing in the child, and dropping them there releases nothing.
///
/// In a program whose `main` is Rust's, the runtime of Rust itself takes a mutex whenever a thread starts or ends. A child
/// that was forked at such a moment cannot start threads, whatever it calls. Other programs, such as Python, have no such
/// mutex.
///
/// After 255 nested forks, each of which called this, children share the state of their parent.
///
/// ```
/// // In the child, for example from Python's `os.register_at_fork(after_in_child=...)`:
/// tokenkeep::after_fork_in_child();
/// ```
pub fn after_fork_in_child() {
    let next = |generation| (generation + 1 < GENERATIONS).then_some(generation + 1);
    // An error says that the last generation has come, which then serves all further ones.
    let _ = GENERATION.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next);
}

/// A static whose value is made anew in a forked child; see [`after_fork_in_child`].
#[derive(Debug)]
pub(crate) struct PerProcess<T>([OnceLock<Box<T>>; GENERATIONS]);

impl<T> PerProcess<T> {
    pub(crate) const fn new() -> Self {
        Self([const { OnceLock::new() }; GENERATIONS])
    }

    /// The value of this process, made by `make` on first use.
    pub(crate) fn get_or_init(&self, make: impl FnOnce() -> T) -> &T {
        self.0[GENERATION.load(Ordering::Acquire)].get_or_init(|| Box::new(make()))
    }
}

impl<T: Default> PerProcess<T> {
    /// The value of this process, its default on first use.
    pub(crate) fn get(&self) -> &T {
        self.get_or_init(T::default)
    }
}
