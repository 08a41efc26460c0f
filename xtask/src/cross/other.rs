//! `cargo xtask cross other`: checks that the core compiles on systems without a keystore of ours.
//!
//! FreeBSD stands for every Unix that is neither Linux nor macOS. Linted, with all tests; nothing is linked or run.

use super::toolchain::Toolchain;
use crate::job::{Job, Outcome};

const TARGET: &str = "x86_64-unknown-freebsd";

pub(super) fn run(job: &mut Job<'_>) -> Outcome<String> {
    let toolchain = Toolchain::ready(job, &[])?;
    let mut clippy = toolchain.clippy(job, TARGET);
    job.run(clippy.args(["--package", "tokenkeep", "--lib", "--test", "conformance"]))?;
    Ok("FreeBSD, for every other Unix: the core and its conformance tests type-checked and linted; nothing was run"
        .to_owned())
}
