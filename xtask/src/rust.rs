//! The stage `rust`: every test of the workspace except those of the sibling libraries and of the pages.

use crate::job::{Job, Outcome};

/// The smallest number of tests at a time. Most wait for processes, locks and timers: with two at a time on two
/// processors, half of the time was idle.
const SIDE_BY_SIDE: usize = 4;

/// The stage.
pub(crate) fn stage(job: &mut Job<'_>) -> Outcome<()> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).max(SIDE_BY_SIDE);
    let mut cargo = job.command("cargo");
    cargo.args(["test", "--locked", "--workspace", "--exclude", "tokenkeep-interop"]);
    cargo.args(["--exclude", "tokenkeep-pages", "--no-fail-fast"]);
    cargo.args(["--", "--test-threads", &threads.to_string()]);
    job.run(&mut cargo)
}
