//! Moves between stores: at opening from a weaker to a better store, by `migrate` between any two, and with kills.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, reason = "a test arranges files by path")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails, and numbers are worth seeing"
)]

#[path = "../support/keyring.rs"]
mod keyring;
#[allow(dead_code, reason = "each test binary uses a part of it")]
#[path = "../support/mod.rs"]
mod support;

mod by_hand;
mod killed;
mod sequences;
mod stores;
mod unasked;
mod unions;
