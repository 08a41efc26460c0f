//! One cache for all languages, shown with the real libraries: keyring items, plaintext caches, locks.
//!
//! The programs beside this crate are made by `cargo xtask test --only siblings`, the quick form; `cargo xtask torture --only
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

/// The environment of a program that needs no session of its own.
fn no_session() -> Command {
    let mut command = Command::new("env");
    command.env_remove("DBUS_SESSION_BUS_ADDRESS");
    command
}
