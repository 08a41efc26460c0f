//! How long a record lives: as long as a client can use its tokens.

use std::time::{Duration, SystemTime};

use tokenkeep::record::{RecordKind, Survey};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A token is of use for this long after its end to a client whose clock is late.
const LATE: Duration = Duration::from_secs(5 * 60);

/// How long records live after their last write.
///
/// ```
/// use std::time::Duration;
/// use tokenkeep_server::Lifetimes;
///
/// let b2c = Lifetimes { refresh_token: Duration::from_secs(14 * 24 * 3600), ..Lifetimes::default() };
/// assert_eq!(Lifetimes::default().refresh_token, Duration::from_secs(90 * 24 * 3600));
/// # drop(b2c);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// A record with a refresh token. Default: 90 days; 14 days fit B2C, 24 hours fit single-page apps.
    pub refresh_token: Duration,
    /// Any record. Default: 180 days.
    pub max: Duration,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self { refresh_token: DAY * 90, max: DAY * 180 }
    }
}

impl Lifetimes {
    /// When a record ends that holds what was found.
    pub(crate) fn end(&self, found: &Survey, kind: RecordKind, now: SystemTime) -> SystemTime {
        let known = matches!(kind, RecordKind::User | RecordKind::OnBehalfOf | RecordKind::App);
        let later = |time: SystemTime, life: Duration| time.checked_add(life).unwrap_or(time);
        // A kind of the program's own need not hold tokens.
        let end = if found.is_refreshable || !known {
            later(now, self.refresh_token)
        } else {
            later(found.last_expiry.unwrap_or(now), LATE)
        };
        end.min(later(now, self.max))
    }
}
