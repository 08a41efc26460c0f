//! Work that is finished even when nobody waits for it any more.

use std::sync::{Arc, Mutex, PoisonError};

use azure_core::async_runtime::get_async_runtime;
use azure_core::error::{Error, ErrorKind};

/// Runs `work` as a task of its own in `azure_core`'s runtime, which is the program's, and waits for it. Dropping the future
/// leaves the task alone.
///
/// A task and not a thread: the HTTP stack of most programs works only inside their runtime. It ends early only with that
/// runtime, and so with the program.
pub(crate) async fn detached<T: Send + 'static>(
    work: impl Future<Output = T> + Send + 'static,
) -> azure_core::Result<T> {
    let result = Arc::new(Mutex::new(None));
    let slot = Arc::clone(&result);
    let task = get_async_runtime().spawn(Box::pin(async move {
        let done = work.await;
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(done);
    }));
    let ended = task.await;
    let done = result.lock().unwrap_or_else(PoisonError::into_inner).take();
    done.ok_or_else(|| {
        let cause = ended.err().map_or_else(String::new, |error| format!(": {error}"));
        Error::with_message(ErrorKind::Other, format!("the task that gets a token has ended early{cause}"))
    })
}
