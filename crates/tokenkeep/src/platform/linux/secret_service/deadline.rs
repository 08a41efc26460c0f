//! The time limit of an operation.

use std::time::{Duration, Instant};

/// The moment at which an operation must end, with all of its calls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    pub(super) end: Instant,
    limit: Duration,
}

impl Deadline {
    /// Returns the deadline `limit` from now.
    pub(super) fn after(limit: Duration) -> Self {
        // A limit beyond the range of the clock counts as unlimited.
        let now = Instant::now();
        let end = now.checked_add(limit).unwrap_or(now + Duration::from_secs(60 * 60 * 24 * 365));
        Self { end, limit }
    }

    /// Returns the remaining time.
    pub(super) fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// Returns the deadline moved by the time since `start`: the user's time is not the service's.
    pub(super) fn without_time_since(&self, start: Instant) -> Self {
        Self { end: self.end + start.elapsed(), limit: self.limit }
    }

    /// Returns the whole time of the operation.
    pub(super) fn limit(&self) -> Duration {
        self.limit
    }
}
