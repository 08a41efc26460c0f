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

mod store;

pub(crate) use self::store::listed;
pub use self::store::{Attempt, DataProtectionScope, Store};
pub use crate::atomic_file::Durability;
pub use crate::cache::OnDamage;
pub use crate::cancel::Cancel;
pub use crate::config::{Choice, Refused};
pub use crate::lock::WaitOptions;
pub use crate::persistence::keystore::Prompting;
