//! The future of one blocking operation.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use super::pool;
use crate::{Error, ErrorKind, Result, options::Cancel};

type Work<T> = Box<dyn FnOnce() -> Result<T> + Send>;

/// An operation that runs on a thread of its own from the moment it is first polled, and whose result is that of the
/// blocking call. A panic in it goes on in whoever awaits it. Dropping it cancels it, see
/// [`Nonblocking`](super::Nonblocking).
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
/// drop(waiting); // cancelled, and the place in the line given up
/// assert!(cache.nonblocking().read().await?.is_none());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "nothing happens until it is awaited"]
pub struct Operation<T: Send + 'static> {
    /// Until it is first polled.
    work: Option<Work<T>>,
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    stage: Mutex<Stage<T>>,
    cancel: Cancel,
}

enum Stage<T> {
    /// Nothing to hand over yet; whom to wake when there is.
    Running(Option<Waker>),
    Done(thread::Result<Result<T>>),
    /// The result was handed over, or nobody wants it any more.
    Over,
}

impl<T: Send + 'static> Operation<T> {
    /// `cancel` is thrown when the future is dropped before `work` is done.
    pub(super) fn new(cancel: Cancel, work: impl FnOnce() -> Result<T> + Send + 'static) -> Self {
        let shared = Shared { stage: Mutex::new(Stage::Running(None)), cancel };
        Self { work: Some(Box::new(work)), shared: Arc::new(shared) }
    }
}

impl<T> Shared<T> {
    fn stage(&self) -> MutexGuard<'_, Stage<T>> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self, result: thread::Result<Result<T>>) {
        let mut stage = self.stage();
        if let Stage::Running(waker) = &mut *stage {
            let waker = waker.take();
            *stage = Stage::Done(result);
            drop(stage);
            if let Some(waker) = waker {
                waker.wake();
            }
            return;
        }
        // Nobody waits: the result, a lock perhaps, is dropped here, on a thread that may block.
        drop(stage);
        drop(result);
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
                // As other futures do; polling after the end is a mistake of the caller.
                Stage::Over => panic!("the operation was polled after it had ended"),
            }
        }
        if let Some(work) = self.work.take() {
            let shared = Arc::clone(&self.shared);
            let started = pool::run(move || {
                let result = catch_unwind(AssertUnwindSafe(work));
                shared.finish(result);
            });
            if let Err(cause) = started {
                *self.shared.stage() = Stage::Over;
                let error = Error::new(ErrorKind::Io, "Cannot start a thread for an operation on the cache");
                return Poll::Ready(Err(error.because(cause)));
            }
        }
        Poll::Pending
    }
}

impl<T: Send + 'static> Drop for Operation<T> {
    fn drop(&mut self) {
        if self.work.is_some() {
            // Never begun. The work may own a lock.
            pool::discard(self.work.take());
            return;
        }
        let stage = std::mem::replace(&mut *self.shared.stage(), Stage::Over);
        match stage {
            Stage::Running(_) => self.shared.cancel.cancel(),
            Stage::Done(result) => pool::discard(Some(result)),
            Stage::Over => {}
        }
    }
}

impl<T: Send + 'static> fmt::Debug for Operation<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match &*self.shared.stage() {
            _ if self.work.is_some() => "not begun",
            Stage::Running(_) => "running",
            Stage::Done(_) => "done",
            Stage::Over => "over",
        };
        write!(f, "Operation({stage})")
    }
}
