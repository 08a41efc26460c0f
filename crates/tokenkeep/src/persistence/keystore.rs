//! A keystore item and its marker file.
//!
//! The item (macOS Keychain, Linux Secret Service) holds the content; the marker file's modification tells other
//! processes that the item changed, and its path is where the lock stands.

use std::fmt;
use std::time::Duration;

use crate::{Result, Secret};

/// One item of the operating system's keystore.
pub trait Keystore: Send + Sync + fmt::Debug {
    /// The item's content; `None` when there is no such item.
    ///
    /// # Errors
    /// `StoreUnavailable`, `StoreLocked`, `StoreTimeout`, `StoreFailed`, `Ambiguous`.
    fn load(&self) -> Result<Option<Secret>>;

    /// Creates the item, or replaces its content in place keeping its attributes.
    ///
    /// # Errors
    /// As `load`; after `StoreTimeout` the outcome is unknown.
    fn save(&self, content: &[u8]) -> Result<()>;

    /// Removes the item; `false` when there was none.
    ///
    /// # Errors
    /// As `load`.
    fn delete(&self) -> Result<bool>;

    /// Writes, reads back over a new connection and removes a probe item under a random name, without a prompt.
    ///
    /// # Errors
    /// As `save`, and `NotVerified` when the probe came back different.
    fn verify(&self) -> Result<()>;

    /// The item in the form `service/account`.
    fn location(&self) -> String;

    /// Whether the item is still there after a restart of the machine, as far as the calls so far have shown.
    fn survives_reboot(&self) -> bool {
        true
    }
}

/// Whether an operation on a keystore may ask a person for a password.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Prompting {
    /// A locked keystore is `StoreLocked`, at once. The default: a library does not know whether anybody is there.
    #[default]
    Never,
    /// The keystore may show a prompt.
    Allowed {
        /// The prompt is taken away after this long, and the operation is `StoreLocked`.
        limit: Duration,
    },
}

impl Prompting {
    /// Prompts with the time that a person needs to notice one, find the password and type it: two minutes.
    pub fn allowed() -> Self {
        Self::Allowed { limit: Duration::from_secs(120) }
    }
}
