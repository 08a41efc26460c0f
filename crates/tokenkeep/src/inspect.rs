//! Looking without touching: for tools that explain to a person why a sign-in is not kept, and who is in the way.
//!
//! ```no_run
//! use tokenkeep::{CacheLock, inspect::LockState};
//!
//! if let LockState::Held(holder) = CacheLock::new("/home/me/.my-app/cache.json")?.state()? {
//!     println!("process {:?} has the lock", holder.pid);
//! }
//! # Ok::<(), tokenkeep::Error>(())
//! ```

pub use crate::lock::{LockHolder, LockState};
#[cfg(target_os = "linux")]
pub use crate::platform::{SecretServiceCollection, SecretServiceProvider, SecretServiceSurvey};
