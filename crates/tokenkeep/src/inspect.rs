//! Read-only inspection, for tools that explain why a sign-in is not kept or which process holds a lock.
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
