//! Times from outside, brought within bounds: a cache that another program wrote, an answer of a service.
//!
//! Beyond the year 9999 the types of the Azure SDK panic, and a sum of times may overflow.

use std::time::{Duration, SystemTime};

use azure_core::time::OffsetDateTime;

/// No service gives a token that lives longer. A lifetime beyond it is a mistake, such as milliseconds for seconds.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// Returns a lifetime of at least nothing and at most a year.
pub(crate) fn lifetime(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(LONGEST).min(LONGEST)
}

/// Returns the time as the SDK has it; `None` for one that it cannot have, or that no token has.
pub(crate) fn date(time: SystemTime, now: SystemTime) -> Option<OffsetDateTime> {
    if time > now.checked_add(LONGEST)? {
        return None;
    }
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
    OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?).ok()
}

/// Returns the time that the SDK has, as a time of the system; the earliest or latest it can have where that overflows.
pub(crate) fn time(date: OffsetDateTime) -> SystemTime {
    let seconds = date.unix_timestamp();
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let time = if seconds < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}
