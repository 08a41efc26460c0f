//! The Secret Service of other daemons than gnome-keyring: KeePassXC, KWallet, and behind a sandbox's proxy.
//!
//! `cargo xtask test --only keyrings` installs the daemons and runs these tests.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout, reason = "a copy of this program in a sandbox tells its result")]
#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]

#[path = "../../../crates/tokenkeep/tests/support/keyring.rs"]
mod keyring;

mod daemons;
mod keepassxc;
mod kwallet;
mod portal;
mod proxy;

use keyring::Bus;
use tokenkeep::{Error, ErrorKind, storage::SecretServiceItem};

/// Returns the item of the tests, in the keyring on `bus`.
fn item(bus: &Bus) -> SecretServiceItem {
    SecretServiceItem::new("Some Service", "an account").expect("a valid name").on_bus(bus.address())
}

#[track_caller]
fn assert_kind(error: &Error, kind: ErrorKind, words: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(words), "{error}");
}
