//! The holder of a cache's lock, for the doctor and for `tokenkeep lock`.

use std::path::Path;
use std::time::Duration;

use tokenkeep::inspect::{LockHolder, LockState};
use tokenkeep::{CacheLock, Result};

use super::report::{Finding, Section};
use crate::words::duration;
use tokenkeep::inspect::{printable, quoted};

/// A write takes milliseconds, so a living holder of this age has most likely forgotten its lock.
const LONG: Duration = Duration::from_secs(60);

/// Examines the lock of the cache at `path`.
pub(super) fn examine(section: &mut Section, path: &Path) {
    let shown = path.display();
    let state = match state(path) {
        Ok(state) => state,
        Err(error) => {
            section.finding(Finding::of("lock-unreadable", &error));
            return;
        }
    };
    match state {
        LockState::Left(holder) => section.finding(Finding::warning(
            "stale-lock",
            format!(
                "{shown}.lockfile was left by {}, which is gone: other libraries wait for it in vain",
                who(&holder)
            ),
            format!(
                "A program with tokenkeep takes it over by itself. For other libraries: tokenkeep lock --break --cache-path {}",
                quoted(path)
            ),
        )),
        LockState::Held(holder) if holder.age.is_some_and(|age| age >= LONG) => {
            let pid = holder.pid.map_or_else(|| "that process".to_owned(), |pid| format!("process {pid}"));
            section.finding(Finding::warning(
                "lock-held-long",
                format!("The lock of {shown} is held by {}: a write takes milliseconds", who(&holder)),
                format!(
                    "Find out what {pid} is waiting for: tokenkeep lock --cache-path {}",
                    quoted(path)
                ),
            ));
        }
        _ => {}
    }
}

/// Returns the state of the lock of the cache at `path`.
pub(crate) fn state(path: &Path) -> Result<LockState> {
    CacheLock::new(path)?.state()
}

/// Describes a holder: `process 4711 (az), for 3 minutes`.
pub(crate) fn who(holder: &LockHolder) -> String {
    let process = holder.pid.map_or_else(|| "an unknown process".to_owned(), |pid| format!("process {pid}"));
    let command = holder.command.as_ref().map_or_else(String::new, |name| format!(" ({})", printable(name)));
    let age = holder.age.map_or_else(String::new, |age| format!(", for {}", duration(age)));
    format!("{process}{command}{age}")
}
