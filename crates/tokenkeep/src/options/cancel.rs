//! Cancels a wait from another thread.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;

/// Ends a wait for the lock early. Clones share their state; a cancellation cannot be reset.
///
/// ```
/// use tokenkeep::{options::{Cancel, WaitOptions}, CacheLock, ErrorKind};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("cache.json");
///
/// let lock = CacheLock::new(path)?;
/// let _held = lock.acquire(&WaitOptions::default())?;
///
/// let cancel = Cancel::new();
/// let wait = WaitOptions { cancel: Some(cancel.clone()), ..WaitOptions::default() };
/// let key = cancel.clone();
/// std::thread::spawn(move || key.cancel()); // a person pressed a key
/// assert_eq!(lock.acquire(&wait).unwrap_err().kind(), ErrorKind::Cancelled);
/// assert!(cancel.is_cancelled());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct Cancel {
    own: Arc<State>,
    /// The parent, whose cancellation counts here too; see [`Cancel::child`].
    parent: Option<Arc<State>>,
}

#[derive(Default)]
struct State {
    cancelled: AtomicBool,
    waiting: Mutex<Vec<Thread>>,
}

impl Cancel {
    /// Creates one that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends every wait with this value, now or later, with `Cancelled`.
    pub fn cancel(&self) {
        self.own.cancelled.store(true, Ordering::SeqCst);
        for thread in self.own.waiting.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            thread.unpark();
        }
    }

    /// Returns whether it was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.states().any(|state| state.cancelled.load(Ordering::SeqCst))
    }

    /// Returns a child, which is cancelled with this one and can be cancelled without it. (This one must not itself
    /// be a child.)
    pub(crate) fn child(&self) -> Self {
        Self { own: Arc::default(), parent: Some(Arc::clone(&self.own)) }
    }

    fn states(&self) -> impl Iterator<Item = &State> {
        std::iter::once(&*self.own).chain(self.parent.as_deref())
    }

    /// Wakes the current thread when the switch is thrown, until the returned registration is dropped.
    pub(crate) fn wake_me(&self) -> WakeMe<'_> {
        for state in self.states() {
            state.waiting.lock().unwrap_or_else(PoisonError::into_inner).push(std::thread::current());
        }
        WakeMe(self)
    }
}

pub(crate) struct WakeMe<'a>(&'a Cancel);

impl Drop for WakeMe<'_> {
    fn drop(&mut self) {
        let me = std::thread::current().id();
        for state in self.0.states() {
            let mut waiting = state.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(at) = waiting.iter().position(|thread| thread.id() == me) {
                waiting.swap_remove(at);
            }
        }
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cancel({})", if self.is_cancelled() { "cancelled" } else { "not cancelled" })
    }
}
