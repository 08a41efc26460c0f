//! One suite for all stores: every backend keeps these promises.
//!
//! [`suite`] has the promises; `backends` lists the backends of this system and how to read their raw content. The
//! promises of a single backend have their own modules.
#![allow(clippy::disallowed_methods, reason = "a test arranges files by path")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod backends;
#[path = "../support/clock.rs"]
mod clock;
#[cfg(windows)]
mod data_protection;
mod fixed_key;
mod keychain;
mod keychain_programs;
#[cfg(windows)]
mod lock_windows;
mod opening;
mod processes;
mod suite;

#[cfg(target_os = "linux")]
#[path = "../support/keyring.rs"]
mod keyring;
