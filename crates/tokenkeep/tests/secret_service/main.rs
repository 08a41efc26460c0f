//! The Linux Secret Service through the public API: with a real gnome-keyring on a private bus, and with buses and
//! services that misbehave.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, reason = "a test arranges files by path")]
#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]

#[path = "../support/clock.rs"]
mod clock;
#[path = "../support/keyring.rs"]
mod keyring;
#[path = "../support/scripted.rs"]
mod scripted;
#[path = "../support/user.rs"]
#[allow(dead_code, reason = "a part of it is used here")]
mod user;

mod content;
mod duplicates;
mod habits;
mod locked;
mod persistence;
mod prompts;
mod restarts;
mod shapes;
mod sharing;
mod unavailable;
mod verify;
mod whereabouts;

use clock::{Took, timed};
use keyring::Bus;
use tokenkeep::{Error, ErrorKind, storage::SecretServiceItem};

/// Returns the item of the tests, in the keyring on `bus`.
fn item(bus: &Bus) -> SecretServiceItem {
    SecretServiceItem::new("Some Service", "an account").expect("a valid name").on_bus(bus.address())
}

/// The attributes of the item, as keytar writes them.
const ATTRIBUTES: [(&str, &str); 3] =
    [("xdg:schema", keyring::SCHEMA), ("service", "Some Service"), ("account", "an account")];

/// The error of an operation that fails, and how long it took.
fn failure<T: std::fmt::Debug>(work: impl FnOnce() -> Result<T, Error>) -> (Error, Took) {
    let (outcome, took) = timed(work);
    (outcome.expect_err("a failure"), took)
}

#[track_caller]
fn assert_kind(error: &Error, kind: ErrorKind, words: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(words), "{error}");
}
