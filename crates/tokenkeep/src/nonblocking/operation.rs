//! The future of one blocking operation.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use crate::lock::Outcome;
use crate::threads::pool;
use crate::{Error, ErrorKind, Result, options::Cancel};

/// Starts the operation, which gives its result to the completion, on this or another thread.
type Start<T> = Box<dyn FnOnce(Completion<T>) + Send>;

/// An operation that begins when it is first polled, and whose result is that of the blocking call. It waits for a lock
/// without a thread and works on one of a pool. A panic in it goes on in the task that awaits it. Dropping it cancels it,
/// see [`Nonblocking`](super::Nonblocking).
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let file = tokenkeep::storage::FilePersistence::new(folder.path().join("cache.json"))?;
/// # let cache = tokenkeep::TokenCache::new(file);
/// # mod executor { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/support/block_on.rs")); }
/// # executor::block_on(async {
/// use tokenkeep::nonblocking::Operation;
///
/// let waiting: Operation<_> = cache.nonblocking().begin_write();
/// drop(waiting); // cancelled: it leaves the queue
/// assert!(cache.nonblocking().read().await?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
///
/// // Without an executor: called with the result, or with the panic, on the thread that it came from.
/// let (sender, receiver) = std::sync::mpsc::channel();
/// cache.nonblocking().read().then(move |outcome| sender.send(outcome.is_ok_and(|read| read.is_ok())).unwrap());
/// assert!(receiver.recv()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "nothing happens until it is awaited"]
pub struct Operation<T: Send + 'static> {
    /// Until it is first polled.
    start: Option<Start<T>>,
    shared: Arc<Shared<T>>,
}

/// Takes the result of an operation. Dropped without one it leaves the operation unanswered, so that all ways to start one
/// end in [`Completion::finish`].
pub(super) struct Completion<T>(Arc<Shared<T>>);

struct Shared<T> {
    stage: Mutex<Stage<T>>,
    cancel: Cancel,
}

enum Stage<T> {
    /// No result yet; the waker of the task that awaits it.
    Running(Option<Waker>),
    /// No result yet; what is to be called with it.
    Called(Box<dyn FnOnce(Outcome<T>) + Send>),
    Done(Outcome<T>),
    /// The result was handed over, or is not wanted any more.
    Over,
}

impl<T: Send + 'static> Operation<T> {
    /// `cancel` is thrown when the future is dropped before `start` has led to a result.
    pub(super) fn new(cancel: Cancel, start: impl FnOnce(Completion<T>) + Send + 'static) -> Self {
        let shared = Shared { stage: Mutex::new(Stage::Running(None)), cancel };
        Self { start: Some(Box::new(start)), shared: Arc::new(shared) }
    }

    /// Blocking `work` on a thread of the pool.
    pub(super) fn of(cancel: Cancel, work: impl FnOnce() -> Result<T> + Send + 'static) -> Self {
        Self::new(cancel, move |completion: Completion<T>| {
            let own = Completion(Arc::clone(&completion.0));
            let started = pool::run(move || own.finish(catch_unwind(AssertUnwindSafe(work))));
            if let Err(cause) = started {
                let error = Error::new(ErrorKind::Io, "Cannot start a thread for an operation on the cache");
                completion.finish(Ok(Err(error.because(cause))));
            }
        })
    }

    /// Begins at once, and calls `done` with the result on the thread that it came from, which may block. `Err` is a panic
    /// of the operation. It cannot be cancelled by dropping any more, only by a switch that it was given.
    pub fn then(mut self, done: impl FnOnce(thread::Result<Result<T>>) + Send + 'static) {
        let stage = std::mem::replace(&mut *self.shared.stage(), Stage::Called(Box::new(done)));
        match (self.start.take(), stage) {
            (Some(start), _) => start(Completion(Arc::clone(&self.shared))),
            // It was polled before.
            (None, Stage::Done(outcome)) => Completion(Arc::clone(&self.shared)).finish(outcome),
            (None, _) => {}
        }
    }
}

impl<T> Completion<T> {
    /// The operation is over.
    pub(super) fn finish(self, outcome: Outcome<T>) {
        let mut stage = self.0.stage();
        match std::mem::replace(&mut *stage, Stage::Over) {
            Stage::Running(waker) => {
                *stage = Stage::Done(outcome);
                drop(stage);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            Stage::Called(done) => {
                drop(stage);
                done(outcome);
            }
            // The future was dropped: the result, a lock perhaps, is dropped here, on a thread that may block.
            Stage::Done(_) | Stage::Over => drop(stage),
        }
    }
}

impl<T> Shared<T> {
    fn stage(&self) -> MutexGuard<'_, Stage<T>> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Send + 'static> Future for Operation<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        {
            let mut stage = self.shared.stage();
            match std::mem::replace(&mut *stage, Stage::Over) {
                Stage::Running(_) => *stage = Stage::Running(Some(context.waker().clone())),
                Stage::Done(Ok(result)) => return Poll::Ready(result),
                Stage::Done(Err(panic)) => {
                    drop(stage);
                    resume_unwind(panic);
                }
                // As other futures do; polling after the end is a mistake of the caller. `then` consumes the future.
                Stage::Called(_) | Stage::Over => panic!("the operation was polled after it had ended"),
            }
        }
        if let Some(start) = self.start.take() {
            start(Completion(Arc::clone(&self.shared)));
        }
        Poll::Pending
    }
}

impl<T: Send + 'static> Drop for Operation<T> {
    fn drop(&mut self) {
        if self.start.is_some() {
            // Never begun. The work may own a lock.
            pool::discard(self.start.take());
            return;
        }
        let mut stage = self.shared.stage();
        match std::mem::replace(&mut *stage, Stage::Over) {
            Stage::Running(_) => {
                drop(stage);
                self.shared.cancel.cancel();
            }
            Stage::Done(outcome) => {
                drop(stage);
                pool::discard(Some(outcome));
            }
            // It goes on without its future.
            Stage::Called(done) => *stage = Stage::Called(done),
            Stage::Over => {}
        }
    }
}

impl<T: Send + 'static> fmt::Debug for Operation<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match &*self.shared.stage() {
            _ if self.start.is_some() => "not begun",
            Stage::Running(_) | Stage::Called(_) => "running",
            Stage::Done(_) => "done",
            Stage::Over => "over",
        };
        write!(f, "Operation({stage})")
    }
}
