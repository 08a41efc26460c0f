//! The store over real databases: each started on loopback in a directory of its own, and ended by the test.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod contract;
mod failures;
mod servers;
