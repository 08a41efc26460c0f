//! `cargo xtask cross linux`: the core's tests on another processor, under qemu, and with another C library.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::toolchain::{self, Toolchain};
use crate::job::{Failure, Job, Outcome, at};
use crate::setup::{Tool, debian};
use crate::tally::{self, Tally};

const TOOLS: &[Tool] = &[
    debian("a linker for arm64", &["aarch64-linux-gnu-gcc", "--version"], "gcc-aarch64-linux-gnu"),
    debian(
        "the C library of arm64",
        &["test", "-e", "/usr/aarch64-linux-gnu/lib/libc.so.6"],
        "libc6-dev-arm64-cross",
    ),
    debian("qemu for programs", &["qemu-aarch64", "--version"], "qemu-user"),
    debian("the musl C library", &["sh", "-c", "command -v musl-gcc"], "musl-tools"),
];

const ARM: &str = "aarch64-unknown-linux-gnu";
const ARM_LINKER: &str = "aarch64-linux-gnu-gcc";
const MUSL: &str = "x86_64-unknown-linux-musl";

/// The tests that need no other program. Those that trace, or that ask a keyring, test the machine's own processor.
const QUICK: &[&str] =
    &["--package", "tokenkeep", "--lib", "--test", "schema", "--test", "conformance", "--"];

/// Left out: what talks to a keyring daemon, which is a program of this machine, tested as such.
const OWN: &[&str] = &["--skip", "suite::secret_service"];
/// Left out under qemu too: a test that starts itself again starts what this machine's kernel cannot run.
const FOREIGN: &[&str] = &["--skip", "processes::"];

pub(super) fn run(job: &mut Job<'_>) -> Outcome<String> {
    let toolchain = Toolchain::ready(job, TOOLS)?;
    let unwinder = unwinder(job, &toolchain)?;
    let mut cargo = toolchain.cargo(job, "test", MUSL);
    cargo.env("CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER", "musl-gcc");
    cargo.env(
        "CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_RUSTFLAGS",
        format!("-Clink-self-contained=no -Crelocation-model=static -L{}", unwinder.display()),
    );
    let musl = test(job, cargo, &[])?;
    let mut cargo = toolchain.cargo(job, "test", ARM);
    cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", ARM_LINKER);
    cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", "qemu-aarch64 -L /usr/aarch64-linux-gnu");
    let arm = test(job, cargo, FOREIGN)?;
    let mut addon = toolchain.cargo(job, "build", ARM);
    addon.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", ARM_LINKER);
    job.run(addon.args(["--package", "tokenkeep-node"]))?;
    Ok(format!(
        "Linux\n  arm64 under qemu: {} tests passed; the addon is linked, not loaded\n  x64 with musl, static: {} tests passed",
        arm.passed, musl.passed
    ))
}

fn test(job: &mut Job<'_>, mut cargo: Command, without: &[&str]) -> Outcome<Tally> {
    let before = fs::read(job.log_path()).map_err(at(job.log_path()))?.len();
    job.run(cargo.args(QUICK).args(OWN).args(without))?;
    let log = fs::read(job.log_path()).map_err(at(job.log_path()))?;
    let tally = tally::read(&String::from_utf8_lossy(&log[before..]));
    match tally.complaint() {
        None => Ok(tally),
        Some(complaint) => Err(Failure::new(complaint)),
    }
}

/// A folder with an unwinder that does without glibc: that of gcc asks it for what musl has not.
fn unwinder(job: &mut Job<'_>, toolchain: &Toolchain) -> Outcome<PathBuf> {
    let folder = toolchain.root.join("musl");
    let library = folder.join("libunwind.a");
    if library.is_file() {
        return Ok(folder);
    }
    let package = folder.join("package");
    toolchain::download(job, &folder.join("debs"), &["libunwind-14-dev".to_owned()], &package)?;
    let mut find = job.command("find");
    let found = job.output(find.arg(&package).args(["-name", "libunwind.a"]))?;
    let found = found.lines().next().ok_or_else(|| Failure::new("libunwind-14-dev holds no libunwind.a"))?;
    let fresh = folder.join("libunwind.new");
    fs::copy(found, &fresh).map_err(at(&fresh))?;
    // Debian compiled it with checks that glibc has a function for.
    let source = job.workspace.path("xtask/src/cross/fprintf_chk.c");
    let object = folder.join("fprintf_chk.o");
    let mut compile = job.command("musl-gcc");
    job.run(compile.args(["-O2", "-c", "-o"]).arg(&object).arg(source))?;
    let mut archive = job.command("ar");
    job.run(archive.arg("r").arg(&fresh).arg(&object))?;
    fs::rename(&fresh, &library).map_err(at(&library))?;
    Ok(folder)
}
