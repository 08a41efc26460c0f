//! An end for every wait: for the sign-in service, and for a wrapped credential in the background.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use azure_core::error::{Error, ErrorKind};
use azure_core::sleep::sleep;

/// Longer than a request with its repetitions takes.
pub(crate) const REQUEST: Duration = Duration::from_secs(2 * 60);

/// Waits for `work` until the time is over; then `work` is dropped.
pub(crate) async fn within<T>(
    limit: Duration,
    work: impl Future<Output = azure_core::Result<T>>,
) -> azure_core::Result<T> {
    let whole = i64::try_from(limit.as_secs()).unwrap_or(i64::MAX);
    let mut end = pin!(sleep(azure_core::time::Duration::seconds(whole)));
    let mut work = pin!(work);
    poll_fn(|context| {
        if let Poll::Ready(done) = work.as_mut().poll(context) {
            return Poll::Ready(done);
        }
        end.as_mut().poll(context).map(|()| {
            Err(Error::with_message(ErrorKind::Io, format!("there was no answer within {whole} s")))
        })
    })
    .await
}
