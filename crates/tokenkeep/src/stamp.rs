//! A cheap fingerprint of a file, and the condition for trusting it.
//!
//! Device, inode, size, modification and change time in nanoseconds. Kernels stamp times once per clock tick, and
//! file systems reuse an inode at once (ext4 in 198 of 200 renames), so two states of one file can look alike if both
//! arose within a tick. A stamp is therefore *trusted* only if both its times are older than the coarse clock read
//! before the file was opened: no later writer can then produce the same stamp. An untrusted stamp never matches.

use std::fmt;

/// What a store looked like at one moment. Compare with [`Stamp::matches`].
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("cache.json");
///
/// use tokenkeep::{Persistence, Stamp, storage::FilePersistence};
///
/// let file = FilePersistence::new(&path)?;
/// let before = file.stamp()?;
/// assert!(before.is_absent() && before.matches(&Stamp::ABSENT));
/// std::fs::write(&path, "{}")?;
/// # #[cfg(unix)] std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
/// let after = file.stamp()?;
/// assert!(!before.matches(&after) && after.modified_millis() > 0);
/// assert!(!Stamp::UNKNOWN.matches(&Stamp::UNKNOWN), "what nobody knows has to be read");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Stamp(State);

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Unknown,
    Absent,
    File { print: Print, trusted: bool },
}

/// The fields of a file's status that make up a stamp. Times are nanoseconds since the epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Print {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) size: u64,
    pub(crate) modified: i128,
    pub(crate) changed: i128,
}

impl Stamp {
    /// A stamp that matches nothing: the content must be read again.
    pub const UNKNOWN: Self = Self(State::Unknown);

    /// The stamp of a place where nothing is stored.
    pub const ABSENT: Self = Self(State::Absent);

    /// The stamp of a file whose status was taken after the coarse clock showed `tick`, in nanoseconds.
    /// `grain` is how far a time on that file system may lie behind the clock (zero on a local one).
    pub(crate) fn of_file(print: Print, tick: i128, grain: i128) -> Self {
        let newest = print.modified.max(print.changed);
        Self(State::File { print, trusted: newest < tick - grain })
    }

    /// A stamp that is to be believed because the file was written under the lock and nothing touched it since.
    pub(crate) fn of_own_write(print: Print) -> Self {
        Self(State::File { print, trusted: true })
    }

    /// Whether the store is certainly as it was when `self` was taken, seen from the `later` stamp.
    pub fn matches(&self, later: &Self) -> bool {
        match (self.0, later.0) {
            (State::Absent, State::Absent) => true,
            // Only the earlier stamp has to be trusted: it rules out that anything equal was written after it.
            (State::File { print, trusted: true }, State::File { print: now, .. }) => print == now,
            _ => false,
        }
    }

    /// Whether there is nothing stored.
    pub fn is_absent(&self) -> bool {
        self.0 == State::Absent
    }

    /// Modification time in whole milliseconds since the epoch, rounded down; 0 when absent or unknown.
    pub fn modified_millis(&self) -> i64 {
        match self.0 {
            State::File { print, .. } => {
                i64::try_from(print.modified.div_euclid(1_000_000)).unwrap_or(i64::MAX)
            }
            State::Absent | State::Unknown => 0,
        }
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            State::Unknown => f.write_str("Stamp(unknown)"),
            State::Absent => f.write_str("Stamp(absent)"),
            State::File { print, trusted } => {
                write!(f, "Stamp({} bytes, modified {}", print.size, print.modified)?;
                f.write_str(if trusted { ")" } else { ", untrusted)" })
            }
        }
    }
}
