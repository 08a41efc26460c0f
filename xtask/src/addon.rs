//! `cargo xtask build`: the native addon beside the TypeScript that loads it; with `--release` also the command.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::executable;
use crate::job::{Failure, Job, Outcome, at};
use crate::npm;
use crate::platform::Platform;
use crate::workspace::{self, Workspace};

/// How the addon is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    Debug,
    Release,
    /// A release that lists its crates inside the binary, where `cargo audit bin` finds them. Needs cargo-auditable.
    Auditable,
}

/// The options of `build`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Options {
    profile: Profile,
    /// The platform that zig links for: also this machine's, then for the oldest glibc. `None`: this machine's own linker.
    zig: Option<Platform>,
}

impl Options {
    /// A release for this machine, with its own linker.
    pub(crate) const RELEASE: Self = Self { profile: Profile::Release, zig: None };

    pub(crate) fn parse(arguments: &[String]) -> Outcome<Self> {
        let mut words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let zig = match words.as_slice() {
            [.., "--for", name] => Some(Platform::named(name)?),
            _ => None,
        };
        words.truncate(words.len() - if zig.is_some() { 2 } else { 0 });
        let profile = match words.as_slice() {
            [] if zig.is_none() => Profile::Debug,
            ["--release"] => Profile::Release,
            ["--release", "--auditable"] => Profile::Auditable,
            _ => {
                let given = arguments.join(" ");
                return Err(Failure::new(format!(
                    "build takes --release, then --auditable, then --for PLATFORM, not {given}"
                )));
            }
        };
        Ok(Self { profile, zig })
    }
}

pub(crate) fn command(workspace: &Workspace, options: Options) -> Outcome<()> {
    let mut job = Job::start(workspace, "build", Duration::from_secs(30 * 60), true)?;
    npm::install(&mut job, "bindings/node")?;
    build_for(&mut job, options)?;
    if options.profile != Profile::Debug {
        executable::build_for(&mut job, options)?;
    }
    println!("built in {:.1} s", job.elapsed().as_secs_f64());
    Ok(())
}

/// The tests run the release build, which is shipped.
pub(crate) fn stage(job: &mut Job<'_>) -> Outcome<()> {
    build(job, Profile::Release)
}

/// Builds for this machine, with its own linker.
pub(crate) fn build(job: &mut Job<'_>, profile: Profile) -> Outcome<()> {
    build_for(job, Options { profile, zig: None })
}

impl Options {
    /// The platform that is built for.
    pub(crate) fn platform(self) -> Outcome<Platform> {
        self.zig.map_or_else(Platform::current, Ok)
    }

    pub(crate) fn is_auditable(self) -> bool {
        self.profile == Profile::Auditable
    }

    /// `cargo build`, or `cargo zigbuild` for its target; more arguments follow.
    pub(crate) fn cargo(self, job: &Job<'_>) -> Command {
        let mut cargo = job.command("cargo");
        if self.is_auditable() {
            cargo.arg("auditable");
        }
        match self.zig {
            Some(platform) => cargo.args(["zigbuild", "--target", &platform.zig_target()]),
            None => cargo.arg("build"),
        };
        cargo.arg("--locked");
        cargo
    }

    /// The folder in which cargo puts the binaries of a profile.
    pub(crate) fn folder(self, job: &Job<'_>, profile: &str) -> PathBuf {
        let target = self.zig.map_or("", |platform| platform.target);
        job.workspace.cargo_target.join(target).join(profile)
    }
}

/// Compiles the addon, puts it where the TypeScript looks for it, and compiles the TypeScript.
fn build_for(job: &mut Job<'_>, options: Options) -> Outcome<()> {
    let platform = options.platform()?;
    let mut cargo = options.cargo(job);
    cargo.args(["--package", "tokenkeep-node"]);
    let folder = match options.profile {
        Profile::Debug => "debug",
        Profile::Release | Profile::Auditable => {
            // A library: the Node that loads it has musl.
            let flags: Vec<String> = platform.crt_flag(false).into_iter().collect();
            cargo.arg("--release").env("CARGO_ENCODED_RUSTFLAGS", release_flags(job.workspace, &flags));
            "release"
        }
    };
    job.run(&mut cargo)?;

    install(job, platform, &options.folder(job, folder))?;
    if options.is_auditable() {
        check_auditable(&job.workspace.path("bindings/node").join(platform.addon_file()))?;
    }
    // The compiler keeps the output of a removed source.
    workspace::remove(&job.workspace.path("bindings/node/dist"))?;
    npm::run_script(job, "bindings/node", "build", &[])
}

/// Checks that the binary has the list of crates: its section has the same name on every system, and stripping keeps
/// it.
pub(crate) fn check_auditable(binary: &Path) -> Outcome<()> {
    let content = fs::read(binary).map_err(at(binary))?;
    match content.windows(SECTION.len()).any(|bytes| bytes == SECTION) {
        true => Ok(()),
        false => {
            Err(Failure::new(format!("{}: cargo auditable left no list of its crates", binary.display())))
        }
    }
}

/// The section of cargo-auditable.
const SECTION: &[u8] = b".dep-v0";

/// Copies the addon from its build folder to the path where the TypeScript and `dist` look for it.
pub(crate) fn install(job: &Job<'_>, platform: Platform, folder: &Path) -> Outcome<()> {
    let built = folder.join(platform.library());
    let wanted = job.workspace.path("bindings/node").join(platform.addon_file());
    // Renamed, so that a running Node process keeps the addon that it has mapped.
    let fresh = wanted.with_extension("node.new");
    fs::copy(&built, &fresh).map_err(at(&built))?;
    fs::rename(&fresh, &wanted).map_err(at(&wanted))
}

/// Flags that keep the names of this machine's folders, which panic messages would contain, out of the shipped
/// binary. Cargo reads no other flags if it gets these: `more` has those that the target needs.
pub(crate) fn release_flags(workspace: &Workspace, more: &[String]) -> OsString {
    let mut flags: Vec<OsString> = more.iter().map(OsString::from).collect();
    if let Some(own) = std::env::var_os("RUSTFLAGS") {
        flags.extend(own.to_string_lossy().split_whitespace().map(OsString::from));
    }
    let mut remap = |from: OsString, to: &str| {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(from);
        flag.push(format!("={to}"));
        flags.push(flag);
    };
    let cargo_home = std::env::var_os("CARGO_HOME")
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo").into_os_string()));
    if let Some(home) = cargo_home {
        remap(home, "cargo");
    }
    remap(workspace.root.clone().into_os_string(), "tokenkeep");
    flags.join(&OsString::from("\u{1f}"))
}
