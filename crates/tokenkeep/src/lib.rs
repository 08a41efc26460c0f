//! tokenkeep keeps a sign-in token cache safe on disk: encrypted by the operating system, shared by many processes,
//! never torn, never lost.
#![deny(missing_docs)]

// The transaction
mod cache;
mod cancel;
mod config;
mod lock;

// Where content is kept
mod atomic_file;
mod persistence;
mod platform;
mod protector;

// What everything speaks in
mod error;
mod event;
mod secret;
mod stamp;

pub mod environment;
pub mod key_source;
pub mod keychain;
pub mod moving;
pub mod nonblocking;
pub mod schema;

pub use atomic_file::Durability;
pub use cache::{OnDamage, Snapshot, TokenCache, WriteAccess};
pub use cancel::Cancel;
pub use config::{Config, Fallback};
pub use error::{Error, ErrorKind, Result};
pub use event::Event;
pub use lock::{CacheLock, LockGuard, WaitOptions};
pub use persistence::file::FilePersistence;
pub use persistence::keystore::{Keystore, KeystorePersistence, Prompting};
pub use persistence::memory::MemoryPersistence;
pub use persistence::{Backend, Info, Loaded, Persistence, Protection, Retired};
#[cfg(target_os = "linux")]
pub use platform::SecretServiceItem;
#[cfg(windows)]
pub use platform::{DataProtection, DataProtectionScope};
pub use protector::sealed::Sealed;
pub use protector::{Plain, Protector};
pub use secret::Secret;
pub use stamp::Stamp;

/// The Rust example of the project's README, compiled as a documentation test.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct ReadmeExamples;

/// That of the crate's own README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct CrateReadmeExamples;
