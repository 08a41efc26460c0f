//! The Linux Secret Service through the public face of the crate: against a real gnome-keyring on a private bus, and
//! against buses and services that misbehave.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]

#[path = "../support/keyring.rs"]
mod keyring;

mod content;
mod duplicates;
mod locked;
mod persistence;
mod prompts;
mod restarts;
mod shapes;
mod sharing;
mod unavailable;
mod verify;
mod whereabouts;

use std::time::{Duration, Instant};

use keyring::Bus;
use tokenkeep::{Error, ErrorKind, storage::SecretServiceItem};

/// The item that tests are about, in the keyring on `bus`.
fn item(bus: &Bus) -> SecretServiceItem {
    SecretServiceItem::new("Some Service", "an account").expect("a valid name").on_bus(bus.address())
}

/// Its attributes, as keytar writes them.
const ATTRIBUTES: [(&str, &str); 3] =
    [("xdg:schema", keyring::SCHEMA), ("service", "Some Service"), ("account", "an account")];

/// What failed and how long that took.
fn failure<T: std::fmt::Debug>(work: impl FnOnce() -> Result<T, Error>) -> (Error, Duration) {
    let start = Instant::now();
    let error = work().expect_err("a failure");
    (error, start.elapsed())
}

#[track_caller]
fn assert_kind(error: &Error, kind: ErrorKind, words: &str) {
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(words), "{error}");
}
