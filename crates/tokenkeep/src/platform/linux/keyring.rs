//! Keys in the kernel's memory: the persistent keyring of this user, see persistent-keyring(7).
//!
//! The persistent keyring belongs to the user, not to a session, and outlives all of the user's processes. A process
//! must link it to one of its own keyrings before use. This code links it to the process keyring, as Kerberos does,
//! because a session keyring may have been revoked while a program of that session still runs.

use linux_keyutils::{Key, KeyError, KeyPermissionsBuilder, KeyRing, KeyRingIdentifier, Permission};
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::{Error, ErrorKind, Result};

/// The keyring with this user's keys.
#[derive(Debug)]
pub(crate) struct Keyring {
    ring: KeyRing,
    /// `false` for the user keyring, which replaces the persistent one on kernels without it.
    pub(crate) persistent: bool,
}

impl Keyring {
    /// Opens the keyring. This restarts the time after which the kernel removes an unused one.
    ///
    /// # Errors
    /// `StoreUnavailable` if the kernel has no key service, or blocks it for this process.
    pub(crate) fn open() -> Result<Self> {
        match KeyRing::get_persistent(KeyRingIdentifier::Process) {
            Ok(ring) => Ok(Self { ring, persistent: true }),
            Err(KeyError::OperationNotSupported) => Self::user().map_err(failed),
            Err(error) => Err(failed(error)),
        }
    }

    fn user() -> Result<Self, KeyError> {
        let ring = KeyRing::from_special_id(KeyRingIdentifier::User, true)?;
        let own = KeyRing::from_special_id(KeyRingIdentifier::Process, true)?;
        own.link_keyring(ring)?;
        Ok(Self { ring, persistent: false })
    }

    /// Returns the key stored under `name`; `None` if there is none, or no longer.
    ///
    /// # Errors
    /// `StoreFailed`, and as [`Keyring::open`].
    pub(crate) fn read(&self, name: &str) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let key = match self.ring.search(name) {
            Ok(key) => key,
            Err(error) if is_absent(error) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        // Longer than a key; the kernel returns the needed length if the content does not fit.
        let mut bytes = Zeroizing::new(vec![0; 256]);
        match key.read(&mut *bytes) {
            Ok(length) => {
                bytes.truncate(length);
                Ok(Some(bytes))
            }
            // It expired or was removed after the search.
            Err(error) if is_absent(error) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    /// Stores `bytes` under `name`, readable only by processes that can open this keyring.
    ///
    /// # Errors
    /// `StoreUnavailable` if the user's quota is exhausted, and as [`Keyring::read`].
    pub(crate) fn add(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let key: Key = self.ring.add_key(name, bytes).map_err(failed)?;
        // Otherwise the user's other processes could see, though not read, the key without opening the keyring.
        let possessor = KeyPermissionsBuilder::builder().posessor(Permission::ALL).build();
        key.set_perms(possessor).map_err(failed)
    }
}

fn is_absent(error: KeyError) -> bool {
    matches!(
        error,
        KeyError::KeyDoesNotExist
            | KeyError::KeyringDoesNotExist
            | KeyError::KeyExpired
            | KeyError::KeyRevoked
            | KeyError::KeyRejected
    )
}

fn failed(error: KeyError) -> Error {
    const OTHERS: &str = "choose a passphrase or a key file instead";
    let unavailable = |what: &str, remedy: &str| {
        Error::new(ErrorKind::StoreUnavailable, what).remedy(format!("{remedy}, or {OTHERS}"))
    };
    let not_there = || unavailable("The kernel has no key service", "Use a kernel with CONFIG_KEYS");
    let (error, number) = match error {
        KeyError::PermissionDenied => (
            unavailable(
                "The kernel's key service is blocked for this process, as container runtimes do",
                "Allow keyctl and add_key in the seccomp profile",
            ),
            Errno::PERM,
        ),
        KeyError::QuotaExceeded => (
            unavailable(
                "The kernel keeps no more keys for this user: the quota is used up",
                "Remove keys (keyctl show @u), raise the sysctl kernel.keys.maxkeys or maxbytes",
            ),
            Errno::DQUOT,
        ),
        KeyError::OperationNotSupported => (not_there(), Errno::OPNOTSUPP),
        KeyError::Unknown(number) if number == Errno::NOSYS.raw_os_error() => (not_there(), Errno::NOSYS),
        KeyError::InvalidDescription => {
            return Error::new(ErrorKind::InvalidInput, "The name of the key contains a NUL byte");
        }
        KeyError::AccessDenied => (
            Error::new(ErrorKind::StoreFailed, "The kernel refuses access to the key").remedy(
                "Another program changed its permissions; remove it with keyctl unlink and sign in again",
            ),
            Errno::ACCESS,
        ),
        KeyError::OutOfMemory => {
            (Error::new(ErrorKind::StoreFailed, "The kernel has no memory for the key"), Errno::NOMEM)
        }
        other => {
            return Error::new(ErrorKind::StoreFailed, "The kernel's key service failed")
                .because(format!("{other:?}"));
        }
    };
    error.because(std::io::Error::from(number))
}
