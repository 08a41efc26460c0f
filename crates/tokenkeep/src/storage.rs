//! Where content is kept, and what stands between it and the disk: the persistences, protectors and keystores that come
//! with the crate, and what those of a program's own speak in.
//!
//! [`Config::open`](crate::Config::open) chooses among them; a program that knows where its cache is puts one together:
//!
//! | content is in | persistence | protected by |
//! | --- | --- | --- |
//! | a file | [`FilePersistence`] | [`Sealed`] with a [`key_source`](crate::key_source), `DataProtection` on Windows, or nothing: [`Plain`] |
//! | the system's keystore | [`KeystorePersistence`] | a [`Keystore`]: `SecretServiceItem` on Linux, `keychain::KeychainItem` on macOS |
//! | this process | [`MemoryPersistence`] | its end |
//!
//! ```
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("cache.json");
//! use std::sync::Arc;
//! use tokenkeep::{TokenCache, storage::FilePersistence};
//!
//! let cache = TokenCache::new(FilePersistence::new(path)?);
//! assert_eq!(cache.read()?, None);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub use crate::item_shape::ItemShape;
pub use crate::persistence::file::FilePersistence;
pub use crate::persistence::keystore::{Keystore, KeystorePersistence};
pub use crate::persistence::memory::MemoryPersistence;
pub use crate::persistence::{Loaded, OldCopy, StoreKind};
#[cfg(windows)]
pub use crate::platform::DataProtection;
#[cfg(target_os = "linux")]
pub use crate::platform::SecretServiceItem;
pub use crate::protector::Plain;
pub use crate::protector::sealed::Sealed;
