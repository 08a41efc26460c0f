//! A cheap fingerprint of a store; [`belief`] owns the conditions under which an equal one means equal content.
//!
//! Of a file: device, inode, size, modification and change time in nanoseconds. Kernels stamp times once per clock tick,
//! and file systems reuse an inode at once (ext4 in 198 of 200 renames), so two states of one file can look alike if
//! both arose within a tick. A stamp is therefore *trusted* only if both its times are older than that: no later
//! writer can then produce the same stamp. An untrusted stamp never matches.

pub(crate) mod belief;

use std::fmt;

use belief::Times;

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
/// assert!(!Stamp::UNKNOWN.matches(&Stamp::UNKNOWN), "unknown: read again");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
pub struct Stamp(State);

#[derive(Clone, Copy)]
enum State {
    Unknown,
    Absent,
    Version(u64),
    /// `tick` is the clock at the time of the look.
    File {
        fingerprint: Fingerprint,
        tick: i128,
        trusted: bool,
    },
}

/// The fields of a file's status that make up a stamp. Times are nanoseconds since the epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fingerprint {
    pub(crate) device: u64,
    pub(crate) inode: u64,
    pub(crate) size: u64,
    pub(crate) modified: i128,
    pub(crate) changed: i128,
}

impl Stamp {
    /// A stamp that matches nothing: the content must be read again.
    pub const UNKNOWN: Self = Self(State::Unknown);

    /// The stamp of an absent store.
    pub const ABSENT: Self = Self(State::Absent);

    /// The stamp of a store that numbers its versions: equal numbers mean equal content. Every save must take a number that
    /// was never used before, whichever process makes it. A time is no such number, because two saves may share it; a
    /// store that knows only times returns [`Stamp::UNKNOWN`]. A reader believes a number of a program's own store
    /// once it has been the same for two seconds, and a writer reads the store in any case.
    ///
    /// ```
    /// use tokenkeep::Stamp;
    ///
    /// assert!(Stamp::version(7).matches(&Stamp::version(7)));
    /// assert!(!Stamp::version(7).matches(&Stamp::version(8)));
    /// ```
    pub fn version(number: u64) -> Self {
        Self(State::Version(number))
    }

    /// The stamp of a file whose status was taken after the coarse clock showed `tick`, in nanoseconds, on a file system
    /// with these `times`.
    pub(crate) fn of_file(fingerprint: Fingerprint, tick: i128, times: Times) -> Self {
        let trusted = belief::is_settled(&fingerprint, tick, times);
        Self(State::File { fingerprint, tick, trusted })
    }

    /// The stamp of a file that this process has just written, under the lock. Nothing touched it since.
    pub(crate) fn of_own_write(fingerprint: Fingerprint, tick: i128, times: Times) -> Self {
        let trusted = belief::is_own(&fingerprint, times);
        Self(State::File { fingerprint, tick, trusted })
    }

    /// Returns whether the store, seen from the `later` stamp, is certainly unchanged since `self` was taken.
    pub fn matches(&self, later: &Self) -> bool {
        match (self.0, later.0) {
            (State::Absent, State::Absent) => true,
            (State::Version(number), State::Version(now)) => number == now,
            // Only the earlier stamp has to be trusted: it rules out that anything equal was written after it, unless the
            // clock was set back.
            (
                State::File { fingerprint, tick, trusted: true },
                State::File { fingerprint: now, tick: later, .. },
            ) => fingerprint == now && tick <= later,
            _ => false,
        }
    }

    /// Returns whether the store has no content.
    pub fn is_absent(&self) -> bool {
        matches!(self.0, State::Absent)
    }

    /// Modification time of a file in whole milliseconds since the epoch, rounded down; 0 where there is no file.
    pub fn modified_millis(&self) -> i64 {
        match self.0 {
            State::File { fingerprint, .. } => {
                i64::try_from(fingerprint.modified.div_euclid(1_000_000)).unwrap_or(i64::MAX)
            }
            State::Absent | State::Unknown | State::Version(_) => 0,
        }
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            State::Unknown => f.write_str("Stamp(unknown)"),
            State::Absent => f.write_str("Stamp(absent)"),
            State::Version(number) => write!(f, "Stamp(version {number})"),
            State::File { fingerprint, trusted, .. } => {
                write!(f, "Stamp({} bytes, modified {}", fingerprint.size, fingerprint.modified)?;
                f.write_str(if trusted { ")" } else { ", untrusted)" })
            }
        }
    }
}
