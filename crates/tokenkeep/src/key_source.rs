//! Sources of an encrypted file's key.
//!
//! A [`Sealed`](crate::storage::Sealed) file needs 32 secret bytes, the same ones each time. Five sources have them:
//!
//! | source | the key is | after a restart |
//! | --- | --- | --- |
//! | [`KeystoreItem`] | random, in one small item of the operating system's keystore | kept |
//! | [`KernelKeyring`] | random, in the kernel's memory (Linux) | lost, and the cache starts empty |
//! | [`Passphrase`] | derived from a passphrase with Argon2id | derived again |
//! | [`Portal`] | that of a sandboxed program, kept by its desktop (Linux) | kept |
//! | [`KeyFile`] | in a file or environment variable that an operator provides | kept |
//!
//! This file owns the trait and the [`Key`]; each source has its own file.

mod kernel_keyring;
mod key_file;
mod keystore_item;
mod passphrase;
mod portal;
mod text;

use std::fmt;
use std::time::Duration;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::{Zeroize, Zeroizing};

use crate::{Error, ErrorKind, Protection, Result, options::WaitOptions};

pub use kernel_keyring::KernelKeyring;
pub use key_file::KeyFile;
pub use keystore_item::KeystoreItem;
pub use passphrase::{Cost, Passphrase};
pub use portal::Portal;

/// A source of keys for encrypted files.
///
/// ```
/// use tokenkeep::key_source::{Key, KeyId, KeySource, Kind};
/// use tokenkeep::{Error, ErrorKind, Protection, Result};
///
/// /// A key that a server provides.
/// #[derive(Debug)]
/// struct KeyServer;
///
/// impl KeyServer {
///     fn ask(&self) -> Result<Key> {
///         Ok(Key::new(&mut [1; 32]))
///     }
/// }
///
/// impl KeySource for KeyServer {
///     fn kind(&self) -> Kind {
///         Kind::Custom
///     }
///
///     fn fresh(&self) -> Result<(Key, Vec<u8>)> {
///         Ok((self.ask()?, Vec::new())) // no parameters are needed to find it again
///     }
///
///     fn recall(&self, _parameters: &[u8], id: &KeyId) -> Result<Key> {
///         let key = self.ask()?;
///         let wrong = || Error::new(ErrorKind::WrongKey, "The server has another key by now");
///         (key.id() == *id).then_some(key).ok_or_else(wrong)
///     }
///
///     fn protection(&self) -> Protection {
///         Protection::Unknown
///     }
///
///     fn describe(&self) -> String {
///         "the key server".to_owned()
///     }
/// }
///
/// let (key, parameters) = KeyServer.fresh()?;
/// assert!(KeyServer.recall(&parameters, &key.id()).is_ok());
/// # Ok::<(), tokenkeep::Error>(())
/// ```
pub trait KeySource: Send + Sync + fmt::Debug {
    /// Returns the kind of this source, which is written into the file.
    fn kind(&self) -> Kind;

    /// Returns the key for a new file, and creates it if there is none, with up to 900 bytes of parameters from which
    /// [`recall`](KeySource::recall) finds the key again. The parameters are stored in plaintext.
    ///
    /// Two processes that call it at the same time get the same key, or parameters that distinguish their keys.
    ///
    /// # Errors
    /// `MissingKey` if there is no key and none can be created; `StoreUnavailable`, `StoreLocked`, `StoreTimeout`,
    /// `StoreFailed` if the key's store does not answer; `InvalidInput` if the content cannot be a key.
    fn fresh(&self) -> Result<(Key, Vec<u8>)>;

    /// Returns the key of an existing file from the `parameters` in it. A source with several keys returns the one
    /// with this `id`, or else the key it has: the caller compares.
    ///
    /// # Errors
    /// Like [`fresh`](KeySource::fresh); `KeyGone` if the key is certainly lost; `UnknownFormat` for parameters that
    /// this release refuses.
    fn recall(&self, parameters: &[u8], id: &KeyId) -> Result<Key>;

    /// Returns who can read content that is encrypted with its keys.
    fn protection(&self) -> Protection;

    /// Returns whether the key survives a restart of the machine.
    fn survives_reboot(&self) -> bool {
        true
    }

    /// Returns sentences about a state that works but is weaker than it should be.
    ///
    /// # Errors
    /// Like [`fresh`](KeySource::fresh).
    fn remarks(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// Returns the source's name for messages: "the key file /run/secrets/key". It contains nothing of the key.
    fn describe(&self) -> String;
}

/// The kind of a key source.
///
/// ```
/// use tokenkeep::key_source::{KeyFile, KeySource, Kind};
///
/// assert_eq!(KeyFile::at("/run/secrets/cache-key").kind(), Kind::KeyFile);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// [`KeystoreItem`].
    KeystoreItem,
    /// [`KernelKeyring`].
    KernelKeyring,
    /// [`Passphrase`].
    Passphrase,
    /// [`KeyFile`].
    KeyFile,
    /// [`Portal`].
    Portal,
    /// A source of the program itself.
    Custom,
}

impl Kind {
    /// Returns the byte that stands for the kind in a file.
    pub(crate) fn byte(self) -> u8 {
        match self {
            Self::KeystoreItem => 1,
            Self::KernelKeyring => 2,
            Self::Passphrase => 3,
            Self::KeyFile => 4,
            Self::Portal => 5,
            Self::Custom => 255,
        }
    }

    /// Names the source of a file with this byte, for messages.
    pub(crate) fn named(byte: u8) -> &'static str {
        match byte {
            1 => "a key from a keystore item",
            2 => "a key from the kernel keyring",
            3 => "a passphrase",
            4 => "a key file",
            5 => "the secret of a desktop's portal",
            255 => "a key of the program's own",
            _ => "a key from a source that this release does not know",
        }
    }
}

/// 32 secret bytes. Wiped when dropped, redacted in `Debug`.
///
/// ```
/// use tokenkeep::key_source::Key;
///
/// let mut bytes = [7; 32];
/// let key = Key::new(&mut bytes); // the caller's bytes are wiped
/// assert_eq!((key.expose(), bytes), (&[7; 32], [0; 32]));
/// assert_ne!(key.id(), Key::random()?.id());
/// # Ok::<(), tokenkeep::Error>(())
/// ```
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; 32]>);

impl Key {
    /// Takes `bytes`, which must come from a random source or a key derivation. The caller's copy is wiped.
    pub fn new(bytes: &mut [u8; 32]) -> Self {
        let key = Self(Zeroizing::new(*bytes));
        bytes.zeroize();
        key
    }

    /// Creates a key from the operating system's random source.
    ///
    /// # Errors
    /// `Io` if there is none.
    pub fn random() -> Result<Self> {
        let mut key = Self(Zeroizing::new([0; 32]));
        fill_random(&mut *key.0)?;
        Ok(key)
    }

    /// Returns `bytes` as a key if there are 32.
    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        Some(Self(Zeroizing::new(bytes.try_into().ok()?)))
    }

    /// Returns the bytes in plaintext. The name makes the disclosure visible in the caller's code.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the identifier of this key, which reveals nothing about it.
    pub fn id(&self) -> KeyId {
        let mut id = [0; 16];
        self.derive(b"tokenkeep sealed file, key id", &mut id);
        KeyId(id)
    }

    /// Fills `out` with bytes derived for one purpose, independent of those for other purposes.
    pub(crate) fn derive(&self, purpose: &[u8], out: &mut [u8]) {
        let expanded = Hkdf::<Sha256>::new(None, self.expose()).expand(purpose, out);
        // HKDF gives up to 255 hashes; every caller needs at most one.
        debug_assert!(expanded.is_ok());
    }
}

/// The error for a cache that is encrypted with an `other` key than the `described` one.
pub(crate) fn wrong_key(other: &str, described: &str) -> Error {
    let text = format!("The cache is encrypted with {other}, not with {described}");
    Error::new(ErrorKind::WrongKey, text).remedy(
        "Open it with the key it was made with; nothing was written. If that key is lost, remove the file and sign in again",
    )
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key")
    }
}

/// The identifier of a key: derived from the key by a one-way function, and stored beside the encrypted content.
///
/// ```
/// use tokenkeep::key_source::Key;
///
/// let key = Key::random()?;
/// assert_eq!(key.id(), key.clone().id(), "it identifies a key without revealing it");
/// assert_ne!(key.id().bytes()[..], key.expose()[..16]);
/// # Ok::<(), tokenkeep::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId(pub(crate) [u8; 16]);

impl KeyId {
    /// Returns the bytes, which are not secret.
    pub fn bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyId(")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// Fills `bytes` from the operating system's random source.
pub(crate) fn fill_random(bytes: &mut [u8]) -> Result<()> {
    getrandom::fill(bytes).map_err(|error| {
        Error::new(ErrorKind::Io, "The operating system gives no random bytes").because(error.to_string())
    })
}

/// Creating a key takes milliseconds; a slow keystore has its own deadline.
fn brief_wait() -> WaitOptions {
    WaitOptions::within(Duration::from_secs(15))
}

/// The remedy for a missing key.
const WITHOUT_KEY: &str =
    "Bring the key back, or remove the file and sign in again: it cannot be opened without its key";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_of_a_key_shows_nothing_of_it() {
        let key = Key::new(&mut [0xAB; 32]);
        assert_eq!(format!("{key:?}"), "Key");
        assert_ne!(key.id().0[..], key.expose()[..16]);
    }

    #[test]
    fn ids_and_purposes_differ() {
        let key = Key::random().unwrap();
        let mut cipher = [0; 16];
        key.derive(b"another purpose", &mut cipher);
        assert_ne!(cipher, key.id().0);
        assert_ne!(Key::random().unwrap().id(), key.id());
        assert_eq!(Key::from_slice(key.expose()).unwrap().id(), key.id());
    }
}
