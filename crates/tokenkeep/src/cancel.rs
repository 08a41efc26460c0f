//! Giving up a wait from another thread.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;

/// A switch that ends a wait for the lock early. Clones share the switch; it cannot be reset.
#[derive(Clone, Default)]
pub struct Cancel(Arc<State>);

#[derive(Default)]
struct State {
    cancelled: AtomicBool,
    waiting: Mutex<Vec<Thread>>,
}

impl Cancel {
    /// A switch that is not yet thrown.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends every wait that was given this switch, now or later, with `Cancelled`.
    pub fn cancel(&self) {
        self.0.cancelled.store(true, Ordering::SeqCst);
        for thread in self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            thread.unpark();
        }
    }

    /// Whether the switch was thrown.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.load(Ordering::SeqCst)
    }

    /// Wakes the current thread when the switch is thrown, until the returned registration is dropped.
    pub(crate) fn wake_me(&self) -> WakeMe<'_> {
        self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(std::thread::current());
        WakeMe(self)
    }
}

pub(crate) struct WakeMe<'a>(&'a Cancel);

impl Drop for WakeMe<'_> {
    fn drop(&mut self) {
        let me = std::thread::current().id();
        let mut waiting = self.0.0.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = waiting.iter().position(|thread| thread.id() == me) {
            waiting.swap_remove(at);
        }
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cancel({})", if self.is_cancelled() { "cancelled" } else { "not cancelled" })
    }
}
