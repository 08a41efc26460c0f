//! Formats times, sizes and commands for a terminal.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokenkeep::inspect::quoted;

/// Returns the id by which `list` shows an account and `sign-out` takes it: the home account id, or, for an account
/// without one, the id in its tenant, or the key of its entry.
pub(crate) fn account_id(home: Option<&str>, local: Option<&str>, key: &str) -> String {
    home.or(local).map_or_else(|| format!("key:{key}"), str::to_owned)
}

/// Returns the command that moves a file away.
pub(crate) fn move_away(path: &Path) -> String {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".old");
    format!("mv {} {}", quoted(path), quoted(Path::new(&aside)))
}

/// Formats a length of time roughly: `42 minutes`.
pub(crate) fn duration(length: Duration) -> String {
    let seconds = length.as_secs();
    let (count, unit) = match seconds {
        0..=89 => (seconds, "second"),
        90..=5_399 => ((seconds + 30) / 60, "minute"),
        5_400..=129_599 => ((seconds + 1_800) / 3_600, "hour"),
        _ => ((seconds + 43_200) / 86_400, "day"),
    };
    counted(count, unit)
}

/// `1 account`, `2 accounts`.
pub(crate) fn counted(count: impl Into<u64>, noun: &str) -> String {
    let count = count.into();
    let plural = if count == 1 { "" } else { "s" };
    let noun = match noun.strip_suffix('y') {
        Some(stem) if count != 1 && !stem.ends_with('a') => format!("{stem}ie"),
        _ => noun.to_owned(),
    };
    format!("{count} {noun}{plural}")
}

/// Like [`counted`], for a number in memory.
pub(crate) fn number(count: usize, noun: &str) -> String {
    counted(u64::try_from(count).unwrap_or(u64::MAX), noun)
}

/// Formats the expiry of a token seen from `now`: `expires in 42 minutes`.
pub(crate) fn expiry(ends: SystemTime, now: SystemTime) -> String {
    match ends.duration_since(now) {
        Ok(left) => format!("expires in {}", duration(left)),
        Err(past) => format!("expired {} ago", duration(past.duration())),
    }
}

/// Formats a time as RFC 3339 in UTC; `None` before 1970, which no cache has.
pub(crate) fn rfc3339(time: SystemTime) -> Option<String> {
    let seconds = time.duration_since(UNIX_EPOCH).ok()?.as_secs();
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days)?;
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"))
}

/// Returns the date of a number of days since 1970. Years are counted from March, so that the leap day is the last of
/// a year.
fn date(days: u64) -> Option<(u64, u64, u64)> {
    const DAYS_OF_400_YEARS: u64 = 146_097;
    let since_year_0 = days.checked_add(719_468)?;
    let (era, day) = (since_year_0 / DAYS_OF_400_YEARS, since_year_0 % DAYS_OF_400_YEARS);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let of_month = day - (153 * month + 2) / 5 + 1;
    let (year, month) = if month < 10 { (year, month + 3) } else { (year + 1, month - 9) };
    Some((era * 400 + year, month, of_month))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn times_are_dates_in_utc() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (1_735_689_600, "2025-01-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(rfc3339(at(seconds)).unwrap(), expected);
        }
    }

    #[test]
    fn expiry_is_formatted_in_words() {
        let now = at(1_000_000);
        assert_eq!(expiry(at(1_000_001), now), "expires in 1 second");
        assert_eq!(expiry(at(1_002_520), now), "expires in 42 minutes");
        assert_eq!(expiry(at(1_000_000 - 7_200), now), "expired 2 hours ago");
        assert_eq!(expiry(at(1_000_000 + 86_400 * 90), now), "expires in 90 days");
    }

    #[test]
    fn plurals_are_formed() {
        assert_eq!(number(1, "entry"), "1 entry");
        assert_eq!(number(2, "entry"), "2 entries");
        assert_eq!(number(3, "copy"), "3 copies");
        assert_eq!(number(2, "day"), "2 days");
        assert_eq!(number(0, "account"), "0 accounts");
    }
}
