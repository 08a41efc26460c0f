//! The promises of the core, one module for each behaviour, through the public API and from other processes.
//!
//! `cargo test` runs the short form; `cargo xtask torture` runs the same tests for longer (`support::scale`).
//!
//! For Linux: the tests trace processes, read `/proc`, and stop processes at single system calls. The conformance
//! suite has the promises of every system.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, reason = "a test arranges files by path")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails, and numbers are worth seeing"
)]

#[path = "../support/clock.rs"]
mod clock;
#[path = "../support/mod.rs"]
mod support;

#[cfg(target_os = "linux")]
#[path = "../support/keyring.rs"]
mod keyring;

mod cache;
mod calls;
mod crash;
#[cfg(target_os = "linux")]
mod crash_keyring;
mod crowd;
mod damage;
mod examples;
mod exchanged;
mod faults;
mod fork;
mod hostile_content;
mod hostile_files;
mod lock;
mod lock_files;
mod lock_names;
mod lock_state;
mod nonblocking;
mod processes;
#[cfg(target_os = "linux")]
mod remote;
mod replaced_file;
#[cfg(target_os = "linux")]
mod residue;
mod security;
mod siblings;
mod unchanged;
mod update;
#[cfg(feature = "watch")]
mod watch;
