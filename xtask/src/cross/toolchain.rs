//! A compiler whose standard library can be built for every system.
//!
//! Debian's `rustc-web` has the sources of its standard library; cargo builds them for the target (`-Zbuild-std`).
//! The packages are unpacked into the target folder, not installed, because they would replace the machine's own
//! compiler.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use super::debian::{self, entries};
use crate::job::{Failure, Job, Outcome, at};
use crate::setup::{self, Tool, debian as package};

const TOOLS: &[Tool] = &[
    package("Debian's package fetcher", &["apt-get", "--version"], "apt"),
    package("Debian's package opener", &["dpkg-deb", "--version"], "dpkg"),
];

/// Debian packages that make the compiler. The library's soname is in the name of one of them.
const PACKAGES: &[&str] = &["rustc-web", "rust-web-src", "libstd-rust-web-dev", "rust-web-clippy"];

/// The compiler, unpacked.
#[derive(Debug)]
pub(super) struct Toolchain {
    pub(super) root: PathBuf,
}

impl Toolchain {
    /// Downloads and unpacks the compiler if it is missing.
    pub(super) fn ready(job: &mut Job<'_>, tools: &[Tool]) -> Outcome<Self> {
        setup::machine(job, TOOLS)?;
        setup::machine(job, tools)?;
        let root = job.workspace.cargo_target.join("cross");
        let toolchain = Self { root };
        if !toolchain.works(job) {
            toolchain.unpack(job)?;
            if !toolchain.works(job) {
                return Err(Failure::new(format!(
                    "the compiler in {} does not run; remove that folder and try again",
                    toolchain.root.display()
                )));
            }
        }
        Ok(toolchain)
    }

    fn works(&self, job: &mut Job<'_>) -> bool {
        let mut rustc = job.command(&self.program("rustc").to_string_lossy());
        job.ask(rustc.arg("-vV")).is_some()
    }

    fn program(&self, name: &str) -> PathBuf {
        self.root.join("bin").join(name)
    }

    fn unpack(&self, job: &mut Job<'_>) -> Outcome<()> {
        job.note("fetching a compiler that can build standard libraries")?;
        let rust = self.root.join("rust");
        let mut wanted: Vec<String> = PACKAGES.iter().map(|name| (*name).to_owned()).collect();
        // Their names contain versions, so they are found through the packages that need them.
        let library = depended_on(job, "libstd-rust-web-dev", "libstd-rust-web-")?;
        wanted.push(depended_on(job, &library, "libllvm")?);
        wanted.push(library);
        debian::download(job, &self.root.join("debs"), &wanted, &rust)?;
        // Only the libraries are needed; the compiler's own sources take half a gigabyte.
        for source in entries(&rust.join("usr/src"))? {
            for part in ["compiler", "src", "debian"] {
                crate::workspace::remove(&source.join(part))?;
            }
        }
        let bin = self.root.join("bin");
        fs::create_dir_all(&bin).map_err(at(&bin))?;
        for name in ["rustc", "rustdoc", "clippy-driver"] {
            let (libraries, program) =
                (rust.join("usr/lib/x86_64-linux-gnu"), rust.join("usr/bin").join(name));
            let script = format!(
                "#!/bin/sh\nexec env LD_LIBRARY_PATH='{}' '{}' \"$@\"\n",
                libraries.display(),
                program.display()
            );
            let path = self.program(name);
            fs::write(&path, script).map_err(at(&path))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).map_err(at(&path))?;
        }
        Ok(())
    }

    /// Returns cargo with this compiler, building for `target` with the standard library.
    pub(super) fn cargo(&self, job: &Job<'_>, verb: &str, target: &str) -> Command {
        let mut cargo = job.command("cargo");
        cargo.args([verb, "-Zbuild-std=std,panic_unwind", "--locked", "--target", target]);
        cargo.env("RUSTC", self.program("rustc")).env("RUSTDOC", self.program("rustdoc"));
        // Makes a release compiler accept `-Zbuild-std`, an option of nightly versions.
        cargo.env("RUSTC_BOOTSTRAP", "1");
        cargo.env("CARGO_TARGET_DIR", self.root.join("build").join(target));
        cargo
    }

    /// Keeps the path of the standard library's sources out of release builds.
    pub(super) fn remap(&self) -> String {
        let sources = self.root.join("rust/usr/lib/rustlib/src/rust");
        format!("--remap-path-prefix={}=rust", sources.display())
    }

    /// Like [`Toolchain::cargo`], with clippy in place of the compiler.
    pub(super) fn clippy(&self, job: &Job<'_>, target: &str) -> Command {
        let mut cargo = self.cargo(job, "check", target);
        cargo.env("RUSTC_WORKSPACE_WRAPPER", self.program("clippy-driver"));
        // The environment form of `-- -D warnings -A ...`. For Windows, clippy 1.96 calls a constant initializer one that
        // can be made constant.
        const ARGUMENTS: [&str; 3] = ["-Dwarnings", "-Aclippy::missing_const_for_thread_local", ""];
        cargo.env("CLIPPY_ARGS", ARGUMENTS.join("__CLIPPY_HACKERY__"));
        cargo
    }
}

/// Returns the dependency of `package` whose name begins with `beginning`.
fn depended_on(job: &mut Job<'_>, package: &str, beginning: &str) -> Outcome<String> {
    let mut show = job.command("apt-cache");
    let text = job.output(show.args(["depends", package]))?;
    dependency(&text, beginning).map(str::to_owned).ok_or_else(|| {
        Failure::new(format!(
            "apt knows no {package} that needs a package {beginning}...: Debian 12 with its security updates has it; \
             run apt-get update"
        ))
    })
}

/// Parses the output of `apt-cache depends`. Names in angle brackets are virtual packages.
fn dependency<'t>(text: &'t str, beginning: &str) -> Option<&'t str> {
    text.lines()
        .filter_map(|line| line.trim().strip_prefix("Depends: "))
        .find(|name| name.starts_with(beginning))
}

#[cfg(test)]
mod tests {
    use super::dependency;

    #[test]
    fn a_package_with_a_version_in_its_name_is_found_among_what_another_needs() {
        let text = "libstd-rust-web-dev\n  Depends: libstd-rust-web-1.96\n  Conflicts: <libstd-rust-dev>\n    \
            libstd-rust-web-dev\n";
        assert_eq!(dependency(text, "libstd-rust-web-"), Some("libstd-rust-web-1.96"));
        let text = "libstd-rust-web-1.96\n  Depends: libc6\n  Depends: libllvm22\n  Replaces: <libllvm21>\n";
        assert_eq!(dependency(text, "libllvm"), Some("libllvm22"));
        assert_eq!(dependency(text, "libstd-rust-web-"), None, "its own name is no dependency");
    }
}
