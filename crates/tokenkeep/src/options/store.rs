//! The stores that a configuration can name.

use std::fmt;
use std::sync::Arc;

use crate::Secret;
use crate::key_source::KeySource;
use crate::persistence::keystore::Keystore;
use crate::platform::OwnStore;

/// A store for a cache. [`Config::store`](crate::Config::store) names the one to try first,
/// [`Config::fallback`](crate::Config::fallback) those to try after it.
///
/// Every store can be named on every platform. A store that the platform does not have fails with `NotSupported` at
/// opening, and the next fallback is tried.
///
/// ```
/// use tokenkeep::{Config, key_source::{KernelKeyring, KeyFile}, options::Store};
///
/// # fn fallbacks() -> tokenkeep::Result<Config> {
/// let config = Config::new("my-app").store(Store::Platform).fallback([
///     Store::item(Config::new("my-app-2").keystore_item()?), // or a keystore of the program's own
///     Store::encrypted_file(KeyFile::at("/run/secrets/cache-key")),
///     Store::encrypted_file(KernelKeyring::new("my-app")),
///     Store::Memory,
/// ]);
/// # Ok(config)
/// # }
/// assert_eq!(Store::PlaintextFile.to_string(), "a plaintext file");
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Store {
    /// The store that the platform protects best: on Linux the Secret Service, on macOS the Keychain, on Windows a file
    /// encrypted by the Data Protection API.
    #[default]
    Platform,
    /// A file encrypted by Windows' Data Protection API.
    DataProtection {
        /// Which users can decrypt it.
        scope: DataProtectionScope,
        /// A second secret that decryption needs.
        entropy: Option<Secret>,
    },
    /// An item of the macOS Keychain.
    Keychain,
    /// An item of the Linux Secret Service.
    SecretService,
    /// An item of a keystore that the program provides.
    Item(Arc<dyn Keystore>),
    /// A file encrypted with a key from this source; see [`crate::key_source`].
    EncryptedFile(Arc<dyn KeySource>),
    /// A plaintext file (0600).
    PlaintextFile,
    /// The memory of this process: all sign-ins are lost at its end. No file is written.
    Memory,
}

impl Store {
    /// An encrypted file with a key from `source`.
    pub fn encrypted_file(source: impl KeySource + 'static) -> Self {
        Self::EncryptedFile(Arc::new(source))
    }

    /// An item of `keystore`, with a marker file at the cache's path.
    pub fn item(keystore: impl Keystore + 'static) -> Self {
        Self::Item(Arc::new(keystore))
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Platform => OwnStore::of_platform().fmt(f),
            Self::DataProtection { .. } => f.write_str("a file encrypted by Windows"),
            Self::Keychain => f.write_str("the Keychain"),
            Self::SecretService => f.write_str("the Secret Service"),
            Self::Item(keystore) => write!(f, "the keystore item {:?}", keystore.location()),
            Self::EncryptedFile(source) => write!(f, "an encrypted file, with {}", source.describe()),
            Self::PlaintextFile => f.write_str("a plaintext file"),
            Self::Memory => f.write_str("the memory of this process, with which it will be gone"),
        }
    }
}

/// Which users can decrypt a file that Windows encrypted. See [`Store::DataProtection`].
///
/// ```
/// use tokenkeep::options::{DataProtectionScope, Store};
///
/// let for_every_user_of_this_machine =
///     Store::DataProtection { scope: DataProtectionScope::LocalMachine, entropy: None };
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DataProtectionScope {
    /// The user who encrypted it. The default.
    #[default]
    CurrentUser,
    /// Every user of this machine who can read the file.
    LocalMachine,
}

/// A store that failed.
///
/// ```
/// use tokenkeep::{Config, options::Store};
/// # let home = tempfile::tempdir()?;
///
/// // A path that names a folder is of use to no store.
/// let refused = Config::new("my-app").path(home.path()).store(Store::PlaintextFile).choose().unwrap_err();
/// let attempt = &refused.attempts[0];
/// assert!(!attempt.prepared, "{}: {}", attempt.store, attempt.error);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// The store.
    pub store: Store,
    /// Its position in the configuration: 0 for the first one tried.
    pub number: usize,
    /// Whether its file could be prepared, so that the error is about the store.
    pub prepared: bool,
    /// The reason of the failure.
    pub error: crate::Error,
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.store, self.error)
    }
}

/// Formats `attempts` as one sentence.
pub(crate) fn listed(attempts: &[Attempt]) -> String {
    attempts.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
