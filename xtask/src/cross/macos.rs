//! `cargo xtask cross macos`: type-checked and linted, with all tests, for both kinds of Mac. Nothing is linked or run.

use super::toolchain::Toolchain;
use crate::job::{Job, Outcome};

pub(super) fn run(job: &mut Job<'_>) -> Outcome<String> {
    let toolchain = Toolchain::ready(job, &[])?;
    for target in ["aarch64-apple-darwin", "x86_64-apple-darwin"] {
        let mut clippy = toolchain.clippy(job, target);
        let crates = ["--package", "tokenkeep", "--package", "tokenkeep-cli", "--package", "tokenkeep-node"];
        job.run(clippy.args(crates).arg("--all-targets"))?;
    }
    Ok("macOS: type-checked and linted, the core and the command with all their tests and the addon; nothing was run"
        .to_owned())
}
