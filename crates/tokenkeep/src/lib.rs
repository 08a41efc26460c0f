//! tokenkeep stores a sign-in token cache safely on disk: encrypted by the operating system, shared by many
//! processes, never half written, never lost.
#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::disallowed_methods, reason = "a test arranges files by path"))]

// The transaction
mod cache;
mod config;
mod lock;

// What belongs to the process
mod fork;
mod threads;

// Where content is kept
mod atomic_file;
mod item_shape;
mod names;
mod persistence;
mod platform;
mod protector;

// Types used by every part
mod error;
mod secret;
mod stamp;
mod text;

pub mod environment;
pub mod event;
pub mod inspect;
pub mod key_source;
#[cfg(any(target_os = "macos", feature = "stand-in-keychain"))]
pub mod keychain;
pub mod moving;
pub mod nonblocking;
pub mod options;
pub mod preset;
#[cfg(feature = "record")]
pub mod record;
pub mod schema;
pub mod storage;
#[cfg(feature = "watch")]
pub mod watch;

// The main items: what a program opens and uses, and what it implements for its own store. All other public items
// have one path each in a module.
pub use cache::{Snapshot, TokenCache, WriteAccess};
pub use config::Config;
pub use error::{Error, ErrorKind, Explanation, Result};
pub use fork::after_fork_in_child;
pub use lock::{CacheLock, LockGuard};
pub use persistence::{Backend, Info, Persistence, Protection};
pub use protector::Protector;
pub use secret::Secret;
pub use stamp::Stamp;
