//! The native addon inside the npm package tokenkeep.
//!
//! Everything that decides anything is in the core; this crate moves calls and answers between JavaScript and threads
//! of its own. Three rules hold throughout:
//!
//! - JavaScript's thread does no more than a single look at a file ([`cache::Cache::is_current`]) and the arithmetic
//!   of a [`record`]. All else runs on the threads of the core's pool, never on Node's, and answers over the [`link`].
//! - Everything that JavaScript or a thread enters by passes [`guard`]: a panic becomes an error, never a dead host.
//! - Bytes are copied across the border, in both directions, as Electron's memory cage demands.

// Without unwinding a panic could not become an error of JavaScript's: it would end the host process.
#[cfg(not(panic = "unwind"))]
compile_error!("the addon must be compiled with panic = \"unwind\"");

mod cache;
mod channel;
mod events;
mod failure;
mod guard;
mod holds;
mod key;
mod link;
mod lock;
mod merge;
mod migrate;
mod options;
mod proposal;
mod record;
mod reply;

use napi_derive::napi;

// What JavaScript sees, beside `version`.
pub use cache::Cache;
pub use channel::Channel;
#[cfg(feature = "panic-test")]
pub use guard::tripping::{panic_at, panicked};
pub use key::KeyOptions;
pub use lock::Lock;
pub use merge::{keys, merge};
pub use migrate::migrate;
pub use options::{CacheOptions, StoreOptions};
pub use record::{Partition, merge_caches, open_record, record_key_id, reseal_record};

/// The version of this addon, which has to be the package's. JavaScript asks for it before all else.
#[napi]
pub fn version() -> String {
    #[cfg(feature = "stand-in-keychain")]
    tokenkeep_stand_in_keychain::install();
    env!("CARGO_PKG_VERSION").to_owned()
}
