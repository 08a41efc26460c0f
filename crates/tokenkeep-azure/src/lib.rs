#![doc = include_str!("../README.md")]
#![deny(missing_docs)]
// Numbers and times come from caches of other programs, and from answers of a service.
#![deny(clippy::arithmetic_side_effects)]

mod detached;
mod flight;
mod limit;
mod moment;
mod msal;
mod persistent;
mod record;
mod warning;

pub use msal::{DeviceCode, MsalCacheCredential, MsalCacheCredentialOptions, Prompt};
pub use persistent::{Partition, PersistentTokenCredential, PersistentTokenCredentialOptions};
pub use record::AuthenticationRecord;
