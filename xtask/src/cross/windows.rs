//! `cargo xtask cross windows`: the tests of the core, the command and the addon, as Windows programs under Wine.

use std::fs;

use super::node;
use super::toolchain::Toolchain;
use super::wine::{DEVIATIONS, NOT_SHOWN, TOOLS, Wine};
use crate::job::{Failure, Job, Outcome, at};
use crate::tally::{self, Tally};
use crate::tarball;

/// The target that runs under Wine: linked by Debian's mingw.
pub(super) const GNU: &str = "x86_64-pc-windows-gnu";
/// The published target. Without Microsoft's linker it can only be type-checked.
const MSVC: &str = "x86_64-pc-windows-msvc";

/// The crates that are type-checked for it.
const CRATES: &[&str] =
    &["--package", "tokenkeep", "--package", "tokenkeep-cli", "--package", "tokenkeep-node"];

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
    // The tests of the cache's format do not depend on the system, and the random caches take minutes here.
    cargo.args(["--package", "tokenkeep", "--lib", "--test", "conformance", "--"]);
    for deviation in DEVIATIONS {
        cargo.args(["--skip", deviation.test]);
    }
    job.run(&mut cargo)?;
    let core = passed(job, 0)?;
    let command = command(job, toolchain, wine)?;
    let node = node::run(job, toolchain, wine)?;
    let mut clippy = toolchain.clippy(job, GNU);
    job.run(clippy.args(CRATES).arg("--all-targets").env("LIBNODE_PATH", toolchain.root.join("libnode")))?;
    let mut check = toolchain.cargo(job, "check", MSVC);
    job.run(check.args(CRATES))?;
    let mut report = format!(
        "Windows under Wine\n  core: {} tests passed\n  command: {} tests passed, Ctrl-C ends it\n{node}  checked for {MSVC} as well\n\nLeft out, because Wine is not Windows there:\n",
        core.passed, command.passed
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

/// The command's own tests, which start the executable beside a process that holds a lock.
fn command(job: &mut Job<'_>, toolchain: &Toolchain, wine: &Wine) -> Outcome<Tally> {
    let before = fs::read(job.log_path()).map_err(at(job.log_path()))?.len();
    let mut cargo = toolchain.cargo(job, "test", GNU);
    wine.run_tests_of(&mut cargo);
    job.run(cargo.args(["--package", "tokenkeep-cli", "--bins", "--test", "everywhere"]))?;
    let tally = passed(job, before)?;
    let built = toolchain.root.join("build").join(GNU).join(GNU).join("debug/tokenkeep.exe");
    tarball::check_imports(&fs::read(&built).map_err(at(&built))?, "the command for Windows")?;
    press(job, toolchain, wine)?;
    Ok(tally)
}

/// Ctrl-C, for which the program needs a terminal and another process that holds the lock.
fn press(job: &mut Job<'_>, toolchain: &Toolchain, wine: &Wine) -> Outcome<()> {
    let mut cargo = toolchain.cargo(job, "test", GNU);
    let script = job.workspace.path("xtask/src/cross/press.sh");
    wine.run_with(&mut cargo, &format!("sh {}", script.display()));
    job.run(cargo.args(["--package", "tokenkeep-cli", "--test", "everywhere"]))
}

/// Counts the tests that passed since the log had this length.
fn passed(job: &Job<'_>, before: usize) -> Outcome<Tally> {
    let log = fs::read(job.log_path()).map_err(at(job.log_path()))?;
    let tally = tally::read(&String::from_utf8_lossy(&log[before..]));
    match tally.complaint() {
        None => Ok(tally),
        Some(complaint) => Err(Failure::new(complaint)),
    }
}
