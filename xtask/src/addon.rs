//! `cargo xtask build`: the native addon beside the TypeScript that loads it; with `--release` also the command.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
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

impl Profile {
    /// From the arguments of `build`.
    pub(crate) fn parse(arguments: &[String]) -> Outcome<Self> {
        match arguments {
            [] => Ok(Self::Debug),
            [only] if only == "--release" => Ok(Self::Release),
            [first, second] if first == "--release" && second == "--auditable" => Ok(Self::Auditable),
            _ => Err(Failure::new(format!(
                "build takes --release, and after it --auditable, not {}",
                arguments.join(" ")
            ))),
        }
    }
}

pub(crate) fn command(workspace: &Workspace, profile: Profile) -> Outcome<()> {
    let mut job = Job::start(workspace, "build", Duration::from_secs(15 * 60), true)?;
    npm::install(&mut job, "bindings/node")?;
    build(&mut job, profile)?;
    if profile != Profile::Debug {
        executable::build(&mut job, profile)?;
    }
    println!("built in {:.1} s", job.elapsed().as_secs_f64());
    Ok(())
}

/// The tests run what is shipped: the release build.
pub(crate) fn stage(job: &mut Job<'_>) -> Outcome<()> {
    build(job, Profile::Release)
}

/// Compiles the addon, puts it where the TypeScript looks for it, and compiles the TypeScript.
pub(crate) fn build(job: &mut Job<'_>, profile: Profile) -> Outcome<()> {
    let platform = Platform::current()?;
    let mut cargo = job.command("cargo");
    if profile == Profile::Auditable {
        cargo.arg("auditable");
    }
    cargo.args(["build", "--locked", "--package", "tokenkeep-node"]);
    let folder = match profile {
        Profile::Debug => "debug",
        Profile::Release | Profile::Auditable => {
            // A library, which the Node that loads it brings musl for.
            let flags: Vec<String> = platform.musl_flag(false).into_iter().collect();
            cargo.arg("--release").env("CARGO_ENCODED_RUSTFLAGS", release_flags(job.workspace, &flags));
            "release"
        }
    };
    job.run(&mut cargo)?;

    install(job, platform, &job.workspace.cargo_target.join(folder))?;
    if profile == Profile::Auditable {
        check_auditable(&job.workspace.path("bindings/node").join(platform.addon_file()))?;
    }
    // The compiler leaves the output of a source that has gone.
    workspace::remove(&job.workspace.path("bindings/node/dist"))?;
    npm::run_script(job, "bindings/node", "build", &[])
}

/// The list of crates is in the binary: the name of its section is the same on every system, and stripping leaves it.
pub(crate) fn check_auditable(binary: &Path) -> Outcome<()> {
    let content = fs::read(binary).map_err(at(binary))?;
    match content.windows(SECTION.len()).any(|bytes| bytes == SECTION) {
        true => Ok(()),
        false => {
            Err(Failure::new(format!("{}: cargo auditable left no list of its crates", binary.display())))
        }
    }
}

/// Where cargo-auditable puts it.
const SECTION: &[u8] = b".dep-v0";

/// Puts the addon from the folder it was built in where the TypeScript and `dist` look for it.
pub(crate) fn install(job: &Job<'_>, platform: Platform, folder: &Path) -> Outcome<()> {
    let built = folder.join(platform.library());
    let wanted = job.workspace.path("bindings/node").join(platform.addon_file());
    // Renamed into place: a Node process that still runs keeps the addon it has mapped.
    let fresh = wanted.with_extension("node.new");
    fs::copy(&built, &fresh).map_err(at(&built))?;
    fs::rename(&fresh, &wanted).map_err(at(&wanted))
}

/// Keeps the names of this machine's folders, which panic messages would quote, out of the shipped binary. Cargo reads
/// no other flags where it is given these: `more` is what else a target needs.
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
