//! The command as a user sees it: transcripts over real files, real keyrings, real processes.
//!
//! The transcripts are in `tests/transcripts`. `TOKENKEEP_BLESS=1 cargo test -p tokenkeep-cli` writes the current
//! output, to be reviewed in the diff.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails, and a process tells its parent that it is ready"
)]

#[path = "../common/caches.rs"]
mod caches;
#[path = "../../../tokenkeep/tests/support/clock.rs"]
mod clock;
#[path = "../common/holder.rs"]
mod holder;
#[path = "../../../tokenkeep/tests/support/keyring.rs"]
mod keyring;
mod support;

mod doctor;
mod edges;
mod list;
mod lock;
mod migrate;
mod preset;
mod remedies;
mod removal;
mod shown;
mod taint;
