//! Moving between stores: by itself from weaker to better ones, by hand between any two, killed wherever it may be.
#![cfg(target_os = "linux")]
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
