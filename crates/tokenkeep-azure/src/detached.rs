//! Work that must finish even if its caller has stopped waiting.

use std::sync::{Arc, Mutex, PoisonError};

use azure_core::async_runtime::get_async_runtime;
use azure_core::error::{Error, ErrorKind};

/// Runs `work` as its own task in the runtime of `azure_core`, which is the program's, and waits for it. Dropping the
/// future does not stop the task.
///
/// A task, not a thread: the HTTP stack of most programs works only inside their runtime. The task ends early only if
/// that runtime ends.
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
