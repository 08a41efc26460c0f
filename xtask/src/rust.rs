//! The stage `rust`: every test of the workspace but those of the sibling libraries.

use crate::job::{Job, Outcome};

/// How many tests of a program run at a time, at least. Most wait for processes, locks and timers: with two at a time on
/// two processors, half of the time went by with nothing to do.
const SIDE_BY_SIDE: usize = 4;

/// The stage.
pub(crate) fn stage(job: &mut Job<'_>) -> Outcome<()> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).max(SIDE_BY_SIDE);
    let mut cargo = job.command("cargo");
    cargo.args(["test", "--locked", "--workspace", "--exclude", "tokenkeep-interop", "--no-fail-fast"]);
    cargo.args(["--", "--test-threads", &threads.to_string()]);
    job.run(&mut cargo)
}
