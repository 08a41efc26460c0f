//! tokenkeep keeps a sign-in token cache safe on disk.
#![deny(missing_docs)]

mod error;
mod event;
mod lock;
mod persistence;
mod secret;
mod stamp;

pub use error::{Error, ErrorKind, Result};
pub use event::Event;
pub use lock::LockGuard;
pub use persistence::keystore::Keystore;
pub use persistence::{Backend, Info, Loaded, Persistence, Protection};
pub use secret::Secret;
pub use stamp::Stamp;
