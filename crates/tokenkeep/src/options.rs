//! What can be chosen when a cache is opened and used; every one of them has a default.
//!
//! ```no_run
//! use std::time::Duration;
//! use tokenkeep::options::{Durability, Fallback, OnDamage, Prompting};
//!
//! let cache = tokenkeep::Config::new("my-app")
//!     .prompting(Prompting::allowed()) // a locked keyring may ask the person for its password
//!     .fallback([Fallback::PlaintextFile]) // asked for and reported, never silent
//!     .lock_limit(Duration::from_secs(5))
//!     .on_damage(OnDamage::Fail)
//!     .durability(Durability::Cached)
//!     .open()?;
//! # Ok::<(), tokenkeep::Error>(())
//! ```

pub use crate::atomic_file::Durability;
pub use crate::cache::OnDamage;
pub use crate::cancel::Cancel;
pub use crate::config::Fallback;
pub use crate::lock::WaitOptions;
pub use crate::persistence::keystore::Prompting;
