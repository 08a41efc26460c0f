//! The executable of the command `tokenkeep`, which a platform's npm package has beside the addon: built, copied to
//! the path where `dist` packs it, and checked before publication. docs/adr/0013 says why it is not a part of the
//! addon.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::addon::{self, Options};
use crate::job::{Failure, Job, Outcome, at};
use crate::platform::{self, Platform};
use crate::tarball;
use crate::workspace::{VERSION, Workspace};

/// The profile in `Cargo.toml` that builds it, and the folder it is built in.
pub(crate) const PROFILE: &str = "command";

/// The arguments of cargo that build it, for any platform.
pub(crate) const WORDS: &[&str] = &["--package", "tokenkeep-cli", "--profile", PROFILE];

/// Larger than it is, to detect a dependency that doubles the package.
const LARGEST: u64 = 6_000_000;

/// Returns its path in a checkout, with a name for each platform, like the addons.
pub(crate) fn path(workspace: &Workspace, platform: Platform) -> PathBuf {
    workspace.path("bindings/node").join(format!("tokenkeep.{}.command", platform.name))
}

/// Its name in the package.
pub(crate) fn file(platform: Platform) -> &'static str {
    if platform.os == "win32" { "tokenkeep.exe" } else { "tokenkeep" }
}

/// Compiles a release for this machine, with its own linker.
pub(crate) fn build(job: &mut Job<'_>) -> Outcome<()> {
    build_for(job, Options::RELEASE)
}

/// Compiles it and puts it where the package's script and `dist` look for it.
pub(crate) fn build_for(job: &mut Job<'_>, options: Options) -> Outcome<()> {
    let platform = options.platform()?;
    let mut cargo = options.cargo(job);
    cargo.args(WORDS);
    // A static program, which runs with every musl and without.
    let flags: Vec<String> = platform.crt_flag(true).into_iter().collect();
    job.run(cargo.env("CARGO_ENCODED_RUSTFLAGS", addon::release_flags(job.workspace, &flags)))?;

    install(job, platform, &options.folder(job, PROFILE))?;
    if options.is_auditable() {
        addon::check_auditable(&path(job.workspace, platform))?;
    }
    Ok(())
}

/// Copies the executable from its build folder to the path where the package's script and `dist` look for it.
pub(crate) fn install(job: &Job<'_>, platform: Platform, folder: &Path) -> Outcome<()> {
    let built = folder.join(file(platform));
    let wanted = path(job.workspace, platform);
    // Renamed, so that a running command keeps its file.
    let fresh = wanted.with_extension("command.new");
    fs::copy(&built, &fresh).map_err(at(&built))?;
    fs::rename(&fresh, &wanted).map_err(at(&wanted))
}

/// Adds it to the package if it exists for that platform; returns whether it does.
pub(crate) fn add(job: &mut Job<'_>, platform: Platform, package: &Path) -> Outcome<bool> {
    let built = path(job.workspace, platform);
    if !built.is_file() {
        job.note(&format!("{}: packed without the command, which has not been built for it", platform.name))?;
        return Ok(false);
    }
    let inside = package.join(file(platform));
    fs::copy(&built, &inside).map_err(at(&built))?;
    make_executable(&inside)?;
    Ok(true)
}

/// npm packs the mode bits unchanged, and CI's artifacts lose them.
#[cfg(unix)]
fn make_executable(path: &Path) -> Outcome<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(at(path))
}

/// Windows has no such bit; npm sets it for packages packed there.
#[cfg(not(unix))]
fn make_executable(_path: &Path) -> Outcome<()> {
    Ok(())
}

/// Checks the size, the system, and that no path of this machine is inside.
pub(crate) fn check(job: &mut Job<'_>, platform: Platform) -> Outcome<()> {
    let path = path(job.workspace, platform);
    let binary = fs::read(&path).map_err(at(&path))?;
    let size = binary.len() as u64;
    let name = format!("the command for {}", platform.name);
    job.note(&format!("{name}: {size} bytes"))?;
    if size > LARGEST {
        return Err(Failure::new(format!("{name}: {size} bytes, the most is {LARGEST}")));
    }
    // A program that needs a loader names it, and Alpine's loader fits no other system.
    if platform.libc == Some("musl") && tarball::contains(&binary, b"/ld-musl-") {
        return Err(Failure::new(format!("{name}: it wants musl's loader, instead of standing alone")));
    }
    tarball::check_binary(job, &binary, platform, &name)
}

/// The tarball itself must have the executable bit.
pub(crate) fn check_mode(job: &mut Job<'_>, tarball: &Path, platform: Platform) -> Outcome<()> {
    let mut tar = job.command("tar");
    let entry = format!("package/{}", file(platform));
    let listing = job.output(tar.arg("-tvzf").arg(tarball).arg(&entry))?;
    if platform.os == "win32" || listing.starts_with("-rwxr-xr-x") {
        return Ok(());
    }
    Err(Failure::new(format!("{}: {entry} is not executable: {listing}", tarball.display())))
}

/// Starts the installed executable, directly and through the package's `bin`.
pub(crate) fn check_installed(
    job: &mut Job<'_>,
    place: &Path,
    platform: Platform,
    node: &str,
) -> Outcome<()> {
    let modules = place.join("node_modules");
    let current = Platform::current()?;
    if platform != current {
        let mut itself = job.command(&platform::starter(job.workspace, platform).to_string_lossy());
        itself.arg(modules.join(platform.package()).join(file(platform))).arg("--version");
        says_its_version(job, &mut itself)?;
    }
    if platform.cpu != current.cpu {
        return job.note("the script is not tried: under an emulator it could not start the executable");
    }
    let mut script = job.command(node);
    script.arg(modules.join("tokenkeep/dist/command.js")).arg("--version");
    says_its_version(job, &mut script)
}

fn says_its_version(job: &mut Job<'_>, command: &mut Command) -> Outcome<()> {
    let said = job.output(command)?;
    if said.trim() == format!("tokenkeep {VERSION}") {
        return Ok(());
    }
    Err(Failure::new(format!("tokenkeep --version said {said:?}, not {VERSION}")))
}
