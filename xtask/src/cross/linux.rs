//! `cargo xtask cross linux`: the core's tests, the addon and the command on another processor, under qemu, and with another C
//! library.
//!
//! Addons and executables are built like a release and copied to `bindings/node`, where `dist` packs them.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::musl::{Musl, Processor};
use super::toolchain::Toolchain;
use super::{linux_command, linux_node};
use crate::addon;
use crate::executable;
use crate::job::{Failure, Job, Outcome, at};
use crate::npm;
use crate::platform::Platform;
use crate::setup::{self, Tool, debian};
use crate::tally::{self, Tally};

const TOOLS: &[Tool] = &[
    debian("a linker for arm64", &["aarch64-linux-gnu-gcc", "--version"], "gcc-aarch64-linux-gnu"),
    debian(
        "the C library of arm64",
        &["test", "-e", "/usr/aarch64-linux-gnu/lib/libc.so.6"],
        "libc6-dev-arm64-cross",
    ),
    debian(
        "the C++ library of arm64, which Node wants",
        &["test", "-e", "/usr/aarch64-linux-gnu/lib/libstdc++.so.6"],
        "libstdc++6-arm64-cross",
    ),
    debian("qemu for programs", &["qemu-aarch64", "--version"], "qemu-user"),
    // The loader, which a static program does not need, and by which the package recognises musl.
    debian("the musl C library", &["sh", "-c", "command -v musl-gcc"], "musl-tools"),
];

/// Where Debian has the libraries of arm64.
pub(super) const ARM_ROOT: &str = "/usr/aarch64-linux-gnu";
const ARM_COMPILER: &str = "aarch64-linux-gnu-gcc";

const X64: Processor = Processor {
    name: "x86_64",
    debian: "amd64",
    compiler: "gcc",
    unwinder: "/lib/x86_64-linux-gnu/libgcc_s.so.1",
};
const ARM: Processor = Processor {
    name: "aarch64",
    debian: "arm64",
    compiler: ARM_COMPILER,
    unwinder: "/usr/aarch64-linux-gnu/lib/libgcc_s.so.1",
};

/// A kind of Linux other than this machine's.
#[derive(Debug)]
pub(super) struct Kind {
    pub(super) platform: Platform,
    pub(super) processor: &'static str,
    /// Whether the processor is another one.
    pub(super) emulated: bool,
    pub(super) musl: Option<Musl>,
}

/// Tests without other programs. Those that trace, or use a keyring, run on the machine's own processor.
const QUICK: &[&str] =
    &["--package", "tokenkeep", "--lib", "--test", "schema", "--test", "conformance", "--"];

/// The command's tests on files alone.
const COMMAND: &[&str] = &["--package", "tokenkeep-cli", "--bins", "--test", "everywhere", "--"];

/// Left out: tests with a keyring daemon, which is a program of this machine and tested natively.
const OWN: &[&str] = &["--skip", "suite::secret_service"];
/// Also left out under qemu: tests that start themselves, because this machine's kernel cannot run the program; and
/// the random caches, which do not depend on the processor and take a quarter of an hour.
const FOREIGN: &[&str] = &[
    "--skip",
    "processes::",
    "--skip",
    "properties::",
    // qemu invents a program's own state and start time in /proc, which differ from those that other processes see.
    "--skip",
    "our_own_record_is_of_this_boot_and_of_a_living_process",
    "--skip",
    // It searches /proc for a tenth of a second of processor time, which qemu slows down many times: alone it passes,
    // but beside other tests it does not reach its own process.
    "a_file_open_for_writing_is_distinguished_from_one_that_is_read_or_closed",
];

/// Runs all kinds, or those named.
pub(super) fn run(job: &mut Job<'_>, wanted: &[String]) -> Outcome<String> {
    let toolchain = Toolchain::ready(job, TOOLS)?;
    setup::machine(job, linux_node::TOOLS)?;
    let x64 = Musl::ready(job, &toolchain, X64)?;
    let arm = Musl::ready(job, &toolchain, ARM)?;
    let kind = |name, processor: Processor, musl| -> Outcome<Kind> {
        let (platform, emulated) = (Platform::named(name)?, processor.name != X64.name);
        Ok(Kind { platform, processor: processor.name, emulated, musl })
    };
    let kinds = [
        kind("linux-x64-musl", X64, Some(x64))?,
        kind("linux-arm64-gnu", ARM, None)?,
        kind("linux-arm64-musl", ARM, Some(arm))?,
    ];
    let is_known = |name: &&String| kinds.iter().any(|kind| kind.platform.name == name.as_str());
    if let Some(unknown) = wanted.iter().find(|name| !is_known(name)) {
        return Err(Failure::new(format!("cross linux does not build {unknown}")));
    }
    for folder in ["bindings/node", "bindings/node/test"] {
        npm::install(job, folder)?;
    }
    npm::run_script(job, "bindings/node", "build", &[])?;
    let mut report = "Linux\n".to_owned();
    let is_wanted = |kind: &&Kind| wanted.is_empty() || wanted.iter().any(|name| name == kind.platform.name);
    for kind in kinds.iter().filter(is_wanted) {
        let addon = kind.addon(job, &toolchain).and_then(|()| linux_node::run(job, &toolchain, kind))?;
        kind.executable(job, &toolchain).and_then(|()| linux_command::run(job, kind))?;
        let core = kind.tests(job, &toolchain, QUICK)?;
        let how = if kind.emulated { " under qemu" } else { "" };
        report += &format!(
            "  {}{how}: {} tests of the core passed, {} of the package in its Node, the command ran{}; addon and command lie in bindings/node\n",
            kind.platform.name,
            core.passed,
            addon.passed,
            kind.own_tests_of_the_command(job, &toolchain)?
        );
    }
    Ok(report)
}

impl Kind {
    /// Returns cargo for this kind, without its flags.
    fn cargo(&self, job: &Job<'_>, toolchain: &Toolchain, verb: &str) -> Command {
        let target = self.platform.target;
        let mut cargo = toolchain.cargo(job, verb, target);
        let linker = self.musl.as_ref().map_or(Path::new(ARM_COMPILER), |musl| &musl.linker);
        cargo.env(setting(target, "LINKER"), linker);
        if self.emulated {
            let root = if self.musl.is_none() { format!(" -L {ARM_ROOT}") } else { String::new() };
            cargo.env(setting(target, "RUNNER"), format!("qemu-aarch64{root}"));
        }
        cargo
    }

    /// Runs the core's tests; with musl as static programs.
    fn tests(&self, job: &mut Job<'_>, toolchain: &Toolchain, which: &[&str]) -> Outcome<Tally> {
        let mut cargo = self.cargo(job, toolchain, "test");
        cargo.env(setting(self.platform.target, "RUSTFLAGS"), self.alone().join(" "));
        let before = fs::read(job.log_path()).map_err(at(job.log_path()))?.len();
        let without = if self.emulated { FOREIGN } else { &[] };
        job.run(cargo.args(which).args(OWN).args(without))?;
        let log = fs::read(job.log_path()).map_err(at(job.log_path()))?;
        let tally = tally::read(&String::from_utf8_lossy(&log[before..]));
        match tally.complaint() {
            None => Ok(tally),
            Some(complaint) => Err(Failure::new(complaint)),
        }
    }

    /// Runs the command's tests, if this machine's kernel can run the built program.
    fn own_tests_of_the_command(&self, job: &mut Job<'_>, toolchain: &Toolchain) -> Outcome<String> {
        if self.emulated {
            return Ok(String::new());
        }
        let tally = self.tests(job, toolchain, COMMAND)?;
        Ok(format!(", {} tests of it passed", tally.passed))
    }

    /// The linker's flags for a program with its own C library.
    fn alone(&self) -> Vec<String> {
        let Some(musl) = &self.musl else { return Vec::new() };
        let words = ["-Clink-self-contained=no", "-Crelocation-model=static"].map(str::to_owned);
        words.into_iter().chain([format!("-L{}", musl.alone.display())]).collect()
    }

    /// Returns the emulator for another processor, as shell words with a space at the end; empty for this machine's.
    pub(super) fn emulator(&self) -> String {
        match (&self.musl, self.emulated) {
            (_, false) => String::new(),
            (None, true) => format!("qemu-aarch64 -L {ARM_ROOT} "),
            (Some(musl), true) => format!("qemu-aarch64 -L '{}' ", musl.root.display()),
        }
    }

    /// Builds the command like a release, with musl as a static program, and copies it to the path where it is
    /// packed.
    fn executable(&self, job: &mut Job<'_>, toolchain: &Toolchain) -> Outcome<()> {
        let mut flags = vec![toolchain.remap()];
        flags.extend(self.alone());
        let mut cargo = self.cargo(job, toolchain, "build");
        cargo.env("CARGO_ENCODED_RUSTFLAGS", addon::release_flags(job.workspace, &flags));
        job.run(cargo.args(executable::WORDS))?;
        let target = self.platform.target;
        let folder = toolchain.root.join("build").join(target).join(target).join(executable::PROFILE);
        executable::install(job, self.platform, &folder)
    }

    /// Builds the addon like a release and copies it to the path where it is packed.
    fn addon(&self, job: &mut Job<'_>, toolchain: &Toolchain) -> Outcome<()> {
        let mut flags = vec![toolchain.remap()];
        if let Some(musl) = &self.musl {
            // A library: the Node that loads it has musl.
            flags.extend(self.platform.crt_flag(false));
            flags.extend(["-Clink-self-contained=no".to_owned(), format!("-L{}", musl.shared.display())]);
        }
        let mut cargo = self.cargo(job, toolchain, "build");
        cargo.env("CARGO_ENCODED_RUSTFLAGS", addon::release_flags(job.workspace, &flags));
        job.run(cargo.args(["--package", "tokenkeep-node", "--release"]))?;
        let platform = self.platform;
        let folder = toolchain.root.join("build").join(platform.target).join(platform.target).join("release");
        addon::install(job, platform, &folder)
    }
}

/// Returns the environment variable of a cargo setting for one target.
fn setting(target: &str, name: &str) -> String {
    format!("CARGO_TARGET_{}_{name}", target.to_uppercase().replace('-', "_"))
}

#[cfg(test)]
mod tests {
    #[test]
    fn cargo_spells_targets_in_capitals_with_underscores() {
        let expected = "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER";
        assert_eq!(super::setting("aarch64-unknown-linux-musl", "LINKER"), expected);
    }
}
