//! `cargo xtask cross windows`: the core's tests and the addon's, as Windows programs under Wine.

use std::fs;

use super::node;
use super::toolchain::Toolchain;
use super::wine::{DEVIATIONS, NOT_SHOWN, TOOLS, Wine};
use crate::job::{Job, Outcome, at};
use crate::tally;

/// What runs under Wine: built for the linker that Debian has.
pub(super) const GNU: &str = "x86_64-pc-windows-gnu";
/// What is shipped. Without Microsoft's linker it can only be checked.
const MSVC: &str = "x86_64-pc-windows-msvc";

pub(super) fn run(job: &mut Job<'_>) -> Outcome<String> {
    let toolchain = Toolchain::ready(job, TOOLS)?;
    let wine = Wine::ready(job, &toolchain)?;
    let outcome = run_under(job, &toolchain, &wine);
    wine.end(job)?;
    outcome
}

fn run_under(job: &mut Job<'_>, toolchain: &Toolchain, wine: &Wine) -> Outcome<String> {
    let mut cargo = toolchain.cargo(job, "test", GNU);
    wine.run_tests_of(&mut cargo);
    // The tests of the cache's text know no system, and thousands of random caches take minutes here.
    cargo.args(["--package", "tokenkeep", "--lib", "--test", "conformance", "--"]);
    for deviation in DEVIATIONS {
        cargo.args(["--skip", deviation.test]);
    }
    job.run(&mut cargo)?;
    let log = fs::read_to_string(job.log_path()).map_err(at(job.log_path()))?;
    let core = tally::read(&log);
    if let Some(complaint) = core.complaint() {
        return Err(crate::job::Failure::new(complaint));
    }

    let node = node::run(job, toolchain, wine)?;
    let mut clippy = toolchain.clippy(job, GNU);
    job.run(
        clippy
            .args(["--package", "tokenkeep", "--package", "tokenkeep-node", "--all-targets"])
            .env("LIBNODE_PATH", toolchain.root.join("libnode")),
    )?;
    let mut check = toolchain.cargo(job, "check", MSVC);
    job.run(check.args(["--package", "tokenkeep", "--package", "tokenkeep-node"]))?;
    let mut report = format!(
        "Windows under Wine\n  core: {} tests passed\n{node}  checked for {MSVC} as well\n\nLeft out, because Wine is not Windows there:\n",
        core.passed
    );
    for deviation in DEVIATIONS {
        report += &format!("  {}\n    {}\n", deviation.test, deviation.reason);
    }
    report += "Not shown by any of it, for the first run on Windows:\n";
    for point in NOT_SHOWN {
        report += &format!("  - {point}\n");
    }
    Ok(report)
}
