//! A key from the secret that the portal of a desktop keeps for each sandboxed program (Linux).

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{Key, KeyId, KeySource, Kind};
use crate::options::Prompting;
use crate::platform::portal;
use crate::{Protection, Result};

/// The time limit of the portal, unless [`Portal::deadline`] sets another.
const DEADLINE: Duration = Duration::from_secs(5);

/// A key from the sandbox's portal, `org.freedesktop.portal.Secret` (Linux). Nothing has to be configured: every Flatpak
/// may ask it, also one that may not talk to the keyring.
///
/// The portal keeps one secret for each sandboxed program in the user's keyring, and gives it to that program alone. Programs
/// without a sandbox share one. If the keyring is removed, the secret is another one, and the file does not open any more
/// (`WrongKey`).
///
/// ```
/// use std::time::Duration;
/// use tokenkeep::{Config, key_source::Portal, options::{Prompting, Store}};
///
/// let sandboxed = std::path::Path::new("/.flatpak-info").exists();
/// let config = match sandboxed {
///     true => Config::new("my-app").store(Store::encrypted_file(Portal::new())),
///     false => Config::new("my-app"),
/// };
/// let source = Portal::new()
///     .deadline(Duration::from_secs(2))
///     .prompting(Prompting::allowed())
///     .on_bus("unix:path=/tmp/no-bus-is-here"); // default: the session's own
/// ```
#[derive(Debug)]
pub struct Portal {
    bus: Option<String>,
    deadline: Duration,
    prompting: Prompting,
    known: Mutex<Option<Key>>,
}

impl Default for Portal {
    fn default() -> Self {
        Self::new()
    }
}

impl Portal {
    /// The secret of this program in the portal on the session bus.
    pub fn new() -> Self {
        Self { bus: None, deadline: DEADLINE, prompting: Prompting::Never, known: Mutex::new(None) }
    }

    /// Returns the same source with a time limit for the portal. Default: 5 s.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Returns the same source with time for a person whom the portal asks to unlock the keyring. Default: none, and the
    /// portal's question is withdrawn after the deadline.
    #[must_use]
    pub fn prompting(mut self, prompting: Prompting) -> Self {
        self.prompting = prompting;
        self
    }

    /// Returns the same source on another bus, by its D-Bus address.
    #[must_use]
    pub fn on_bus(mut self, address: impl Into<String>) -> Self {
        self.bus = Some(address.into());
        self
    }

    fn ask(&self) -> Result<Key> {
        let secret = portal::secret(self.bus.as_deref(), self.deadline, self.prompting)?;
        let mut bytes = Zeroizing::new([0; 32]);
        let long_enough = Hkdf::<Sha256>::new(None, &secret).expand(b"tokenkeep portal", &mut *bytes).is_ok();
        debug_assert!(long_enough);
        let key = Key::new(&mut bytes);
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(key.clone());
        Ok(key)
    }
}

impl KeySource for Portal {
    fn kind(&self) -> Kind {
        Kind::Portal
    }

    fn fresh(&self) -> Result<(Key, Vec<u8>)> {
        Ok((self.ask()?, Vec::new()))
    }

    fn recall(&self, _parameters: &[u8], id: &KeyId) -> Result<Key> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match known.filter(|key| key.id() == *id) {
            Some(key) => Ok(key),
            None => self.ask(),
        }
    }

    fn protection(&self) -> Protection {
        Protection::OsUser
    }

    fn describe(&self) -> String {
        "the secret of the desktop's portal".to_owned()
    }
}
