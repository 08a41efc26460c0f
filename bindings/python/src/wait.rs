//! Work of the core, detached from the interpreter. A wait ends with Ctrl-C.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use pyo3::prelude::*;
use tokenkeep::nonblocking::Operation;
use tokenkeep::options::{Cancel, WaitOptions};
use tokenkeep::{Error, ErrorKind, Result};

use crate::ending::detached;
use crate::failure::{exception, panicked};

/// How often a wait looks for signals.
const SLICE: Duration = Duration::from_millis(50);

/// Runs short work: a few calls of the file system.
pub(crate) fn run<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T> + Send) -> PyResult<T> {
    // State that the work shares is behind locks that poisoning does not stop, or is dropped with it.
    let work = || {
        fault();
        work()
    };
    match detached(py, || catch_unwind(AssertUnwindSafe(work))) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(exception(py, &error)),
        Err(panic) => Err(panicked(py, panic.as_ref())),
    }
}

/// Runs work that may wait for a keystore, on a thread of the core's.
pub(crate) fn run_long<T: Send + 'static>(
    py: Python<'_>,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> PyResult<T> {
    let work = move || {
        fault();
        work()
    };
    until_done(py, &Cancel::new(), tokenkeep::nonblocking::run(work))
}

/// Takes something that may be busy: at once where it is free, else in its place in the line.
pub(crate) fn take<T: Send + 'static>(
    py: Python<'_>,
    limit: Duration,
    now: impl FnOnce(&WaitOptions) -> Result<T> + Send,
    later: impl FnOnce(&WaitOptions) -> Operation<T>,
) -> PyResult<T> {
    let now = || {
        fault();
        now(&WaitOptions::within(Duration::ZERO))
    };
    let tried = detached(py, || catch_unwind(AssertUnwindSafe(now)));
    match tried {
        Ok(Err(error)) if error.kind() == ErrorKind::Busy && limit > Duration::ZERO => {}
        Ok(Ok(value)) => return Ok(value),
        Ok(Err(error)) => return Err(exception(py, &error)),
        Err(panic) => return Err(panicked(py, panic.as_ref())),
    }
    let cancel = Cancel::new();
    let wait = WaitOptions { cancel: Some(cancel.clone()), ..WaitOptions::within(limit) };
    let operation = later(&wait);
    until_done(py, &cancel, operation)
}

/// Waits for an operation. A signal whose handler raises, such as Ctrl-C, cancels it; what it still returns is dropped.
fn until_done<T: Send + 'static>(py: Python<'_>, cancel: &Cancel, operation: Operation<T>) -> PyResult<T> {
    let (send, mut receive) = mpsc::sync_channel(1);
    operation.then(move |outcome| drop(send.send(outcome)));
    loop {
        let next;
        (receive, next) = detached(py, move || {
            let next = receive.recv_timeout(SLICE);
            (receive, next)
        });
        match next {
            Ok(Ok(Ok(value))) => return Ok(value),
            Ok(Ok(Err(error))) => return Err(exception(py, &error)),
            Ok(Err(panic)) => return Err(panicked(py, panic.as_ref())),
            Err(RecvTimeoutError::Timeout) => {
                if let Err(signal) = py.check_signals() {
                    cancel.cancel();
                    return Err(signal);
                }
            }
            Err(RecvTimeoutError::Disconnected) => {
                let error = Error::new(ErrorKind::Io, "An operation on the cache ended without an answer");
                return Err(exception(py, &error));
            }
        }
    }
}

/// A number of seconds of Python's. Infinite means a year.
pub(crate) fn seconds(seconds: f64) -> PyResult<Duration> {
    const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    if seconds.is_nan() || seconds < 0.0 {
        let text = format!("a timeout is a number of seconds from 0 on, not {seconds}");
        return Err(pyo3::exceptions::PyValueError::new_err(text));
    }
    Ok(Duration::try_from_secs_f64(seconds).unwrap_or(YEAR).min(YEAR))
}

#[cfg(not(feature = "panic-test"))]
fn fault() {}

#[cfg(feature = "panic-test")]
static FAULT: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);

/// Panics if a test has asked for it.
#[cfg(feature = "panic-test")]
fn fault() {
    assert!(!FAULT.swap(false, std::sync::atomic::Ordering::SeqCst), "injected");
}

/// Makes the next work panic.
#[cfg(feature = "panic-test")]
#[pyfunction]
pub(crate) fn panic_next() {
    FAULT.store(true, std::sync::atomic::Ordering::SeqCst);
}
