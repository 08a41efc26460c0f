//! How long one wait for the lock may last, and who may end it.

use std::thread;
use std::time::{Duration, Instant};

use crate::options::{Cancel, Registration, WaitOptions};
use crate::threads::{pool, unpark_me};
use crate::{Error, ErrorKind, Result};

/// The end of a wait that has begun.
#[derive(Clone, Debug)]
pub(crate) struct Deadline {
    began: Instant,
    wait: WaitOptions,
}

impl Deadline {
    /// Begins a wait.
    pub(crate) fn new(wait: &WaitOptions) -> Self {
        Self { began: Instant::now(), wait: wait.clone() }
    }

    /// Fails if the wait has been cancelled.
    pub(super) fn require_wanted(&self) -> Result<()> {
        if self.wait.cancel.as_ref().is_some_and(Cancel::is_cancelled) {
            return Err(Error::new(ErrorKind::Cancelled, "The wait for the lock was cancelled"));
        }
        Ok(())
    }

    /// What is left, or why there is nothing left.
    pub(super) fn left(&self) -> Result<Duration> {
        self.require_wanted()?;
        match self.wait.limit.checked_sub(self.began.elapsed()) {
            Some(left) if !left.is_zero() => Ok(left),
            _ => Err(Error::new(ErrorKind::Busy, "The lock was not free in time")),
        }
    }

    pub(super) fn waited(&self) -> Duration {
        self.began.elapsed()
    }

    /// When the time is over; `None` when the clock cannot name it.
    pub(super) fn end(&self) -> Option<Instant> {
        self.began.checked_add(self.wait.limit)
    }

    /// Wakes `waker` when the wait is cancelled, as long as the registration lives.
    pub(super) fn wake_when_cancelled(&self, waker: &std::task::Waker) -> Option<Registration> {
        self.wait.cancel.as_ref().map(|cancel| cancel.wake(waker))
    }

    /// Sleeps until woken, cancelled or out of time. May wake early; the caller looks again.
    pub(super) fn park(&self) -> Result<()> {
        self.sleep(Duration::MAX)
    }

    /// As `park`, at most for `longest`.
    pub(super) fn sleep(&self, longest: Duration) -> Result<()> {
        let _registration = self.wait.cancel.as_ref().map(|cancel| cancel.wake(&unpark_me()));
        // Looked at after registering, so that a cancellation in between is not missed.
        let left = self.left()?;
        pool::waiting(|| thread::park_timeout(left.min(longest)));
        Ok(())
    }
}
