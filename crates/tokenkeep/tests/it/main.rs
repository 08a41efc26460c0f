//! The promises of the core, one module per behaviour, through the public face and from other processes.
//!
//! The quick form runs with `cargo test`; `cargo xtask torture` runs the same tests for longer (`support::scale`).
//!
//! On Linux: processes are traced, judged by `/proc` and stopped at single system calls. What every system has to promise
//! is in the conformance suite.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails, and numbers are worth seeing"
)]

#[path = "../support/mod.rs"]
mod support;

#[cfg(target_os = "linux")]
#[path = "../support/keyring.rs"]
mod keyring;

mod ahead;
mod cache;
mod crash;
#[cfg(target_os = "linux")]
mod crash_keyring;
mod damage;
mod displaced;
mod examples;
mod faults;
mod hostile_content;
mod hostile_files;
mod lock;
mod lock_files;
mod lock_state;
mod nonblocking;
mod processes;
#[cfg(target_os = "linux")]
mod remote;
#[cfg(target_os = "linux")]
mod residue;
mod security;
mod siblings;
mod update;
#[cfg(feature = "watch")]
mod watch;
