//! Tests with the real libraries that one cache works for all languages: keyring items, plaintext caches, locks.
//!
//! `cargo xtask test --only siblings` builds the programs and runs the short form. `cargo xtask torture --only
//! siblings` holds locks for twenty seconds and takes them a thousand times.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test says what it expects by unwrapping it")]

#[path = "../../../crates/tokenkeep/tests/support/keyring.rs"]
mod keyring;

mod accounts;
mod items;
mod locks;
mod put;

use std::process::Command;

/// The environment of a program that needs no session bus.
fn no_session() -> Command {
    let mut command = Command::new("env");
    command.env_remove("DBUS_SESSION_BUS_ADDRESS");
    command
}
