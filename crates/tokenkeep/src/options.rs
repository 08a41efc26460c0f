//! The options for opening and using a cache; each has a default.
//!
//! ```no_run
//! use std::time::Duration;
//! use tokenkeep::options::{Durability, OnDamage, Prompting, Store};
//!
//! let cache = tokenkeep::Config::new("my-app")
//!     .prompting(Prompting::allowed()) // a locked keyring may ask the person for its password
//!     .fallback([Store::PlaintextFile]) // chosen only because it is named here, and reported
//!     .lock_limit(Duration::from_secs(5))
//!     .on_damage(OnDamage::Fail)
//!     .durability(Durability::Cached)
//!     .open()?;
//! # Ok::<(), tokenkeep::Error>(())
//! ```

mod cancel;
mod store;

use std::time::Duration;

pub use self::cancel::Cancel;
pub(crate) use self::cancel::Registration;
pub(crate) use self::store::listed;
pub use self::store::{Attempt, DataProtectionScope, Store};
pub use crate::config::{Choice, Refused};

/// The sibling libraries' limit: 500 tries, 100 ms apart.
const DEFAULT_LIMIT: Duration = Duration::from_secs(50);

/// Whether an acknowledged write is on the disk.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("cache.json");
///
/// use tokenkeep::{options::Durability, storage::FilePersistence};
///
/// // A cache that may be lost with the power, but never torn:
/// let file = FilePersistence::new(path)?.durability(Durability::Cached);
/// assert_eq!(Durability::default(), Durability::Synced);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// Synced: an acknowledged write survives a loss of power. The default.
    #[default]
    Synced,
    /// Left to the operating system's cache: the write survives a crash of the process but not of the machine, and a
    /// network file system may report a full disk only later. The sibling libraries write so.
    Cached,
}

/// What to do with content that is not a token cache when a change is to be merged into it.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("cache.json");
///
/// use std::sync::Arc;
/// use tokenkeep::{ErrorKind, TokenCache, options::OnDamage, schema::Change, storage::FilePersistence};
/// std::fs::write(&path, "{\"Account\": torn")?;
/// # #[cfg(unix)] std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
///
/// let cache = TokenCache::new(FilePersistence::new(path)?).on_damage(OnDamage::Fail);
/// let mine = Change::additions(b"{}");
/// let refused = cache.begin_write().and_then(|write| write.commit_change(&mine)).unwrap_err();
/// assert_eq!(refused.kind(), ErrorKind::Damaged);
///
/// cache.on_damage(OnDamage::SetAside).begin_write()?.commit_change(&mine)?; // a copy stays beside it
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnDamage {
    /// Keep a copy, notify the listener, and continue with an empty cache. The default.
    #[default]
    SetAside,
    /// Fail with `Damaged` and write nothing.
    Fail,
}

/// How long to wait for the lock.
///
/// ```
/// use std::time::Duration;
/// use tokenkeep::options::{Cancel, WaitOptions};
///
/// let wait = WaitOptions::within(Duration::from_secs(2));
/// let until_somebody_objects = WaitOptions { cancel: Some(Cancel::new()), ..wait };
/// ```
#[derive(Clone, Debug)]
pub struct WaitOptions {
    /// Gives up after this time, with `Busy`. One attempt is always made. Default: 50 s, as in the sibling libraries.
    pub limit: Duration,
    /// Gives up when this is cancelled, with `Cancelled`.
    pub cancel: Option<Cancel>,
}

impl Default for WaitOptions {
    fn default() -> Self {
        Self { limit: DEFAULT_LIMIT, cancel: None }
    }
}

impl WaitOptions {
    /// Waits at most `limit`.
    pub fn within(limit: Duration) -> Self {
        Self { limit, cancel: None }
    }
}

/// Whether a keystore operation may prompt the user.
///
/// ```
/// use std::time::Duration;
/// use tokenkeep::options::Prompting;
///
/// assert_eq!(Prompting::allowed(), Prompting::Allowed { limit: Duration::from_secs(120) });
/// assert_eq!(Prompting::default(), Prompting::Never);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Prompting {
    /// No user is asked: a locked keystore is `StoreLocked`, within a second. A prompt of the Secret Service that completes by
    /// itself is run. The default, because a library does not know whether a user is present.
    #[default]
    Never,
    /// The keystore may show a prompt.
    Allowed {
        /// After this time the operation is `StoreLocked`. The Secret Service then removes its prompt; macOS cannot, and
        /// shows it until it is answered.
        limit: Duration,
    },
}

impl Prompting {
    /// Allows prompts with the time that a user needs to notice one, find the password and type it: two minutes.
    pub fn allowed() -> Self {
        Self::Allowed { limit: Duration::from_secs(120) }
    }
}
