//! One suite for everything that keeps a cache: whatever the backend, these are the promises.
//!
//! The suite is [`suite`]; `backends` says what exists on this system and how to look behind it. What only one backend
//! has to promise stands in a module of its own.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod backends;
#[cfg(windows)]
mod data_protection;
mod fake_keychain;
mod keychain;
#[cfg(windows)]
mod lock_windows;
mod processes;
mod suite;

#[cfg(target_os = "linux")]
#[path = "../support/keyring.rs"]
mod keyring;
