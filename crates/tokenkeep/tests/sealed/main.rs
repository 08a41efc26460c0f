//! The encrypted file through the public API: content, keys, and tampering.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, reason = "a test arranges files by path")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails, and numbers are worth seeing"
)]

#[path = "../support/keyring.rs"]
mod keyring;
mod support;
#[path = "../support/user.rs"]
#[allow(dead_code, reason = "a part of it is used here")]
mod user;

mod content;
mod envelope;
mod fallback;
mod kernel_keyring;
mod key_file;
mod keystore_item;
mod passphrase;
mod secrets;
mod shared_lock;
mod takeover;
mod transaction;
mod vectors;
