//! Cancels a wait from another thread.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

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
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    wakers: BTreeMap<u64, Waker>,
    count: u64,
}

impl Cancel {
    /// Creates one that is not cancelled.
    pub fn new() -> Self {
        Self::default()
    }

    /// Ends every wait with this value, now or later, with `Cancelled`.
    pub fn cancel(&self) {
        self.own.cancelled.store(true, Ordering::SeqCst);
        let wakers = std::mem::take(&mut self.own.waiting().wakers);
        wakers.into_values().for_each(Waker::wake);
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

    fn states(&self) -> impl Iterator<Item = &Arc<State>> {
        std::iter::once(&self.own).chain(&self.parent)
    }

    /// Wakes `waker` when the switch is thrown, until the returned registration is dropped. Ask whether the switch was
    /// thrown after this call, not before.
    pub(crate) fn wake(&self, waker: &Waker) -> Registration {
        let register = |state: &Arc<State>| {
            let mut waiting = state.waiting();
            waiting.count += 1;
            let number = waiting.count;
            waiting.wakers.insert(number, waker.clone());
            (Arc::clone(state), number)
        };
        Registration(self.states().map(register).collect())
    }
}

impl State {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A waker that a switch knows.
pub(crate) struct Registration(Vec<(Arc<State>, u64)>);

impl Drop for Registration {
    fn drop(&mut self) {
        for (state, number) in &self.0 {
            let waker = state.waiting().wakers.remove(number);
            // Outside the mutex: what a waker owns may have registered with the same switch.
            drop(waker);
        }
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cancel({})", if self.is_cancelled() { "cancelled" } else { "not cancelled" })
    }
}
