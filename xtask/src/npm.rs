//! npm: installs exactly the packages of a lock file, and runs a package's scripts.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::bench;
use crate::job::{Failure, Job, Outcome, at};
use crate::workspace::Workspace;

/// The folders with a `package-lock.json` whose packages the tests and the demo need.
pub(crate) const FOLDERS: &[&str] =
    &["bindings/node", "bindings/node/test", "bindings/node/test/server", "demo"];

/// npm in a folder of the checkout. (On Windows npm is a script, which needs its full name.)
pub(crate) fn command(job: &Job<'_>, folder: &Path) -> Command {
    let mut npm = job.command(if cfg!(windows) { "npm.cmd" } else { "npm" });
    npm.current_dir(folder);
    npm.envs([
        ("npm_config_audit", "false"),
        ("npm_config_fund", "false"),
        ("npm_config_update_notifier", "false"),
    ]);
    npm
}

/// Runs `npm ci` in a folder unless its lock file is the one that was last installed there.
pub(crate) fn install(job: &mut Job<'_>, folder: &str) -> Outcome<()> {
    let place = job.workspace.path(folder);
    let lock_path = place.join("package-lock.json");
    let lock = fs::read(&lock_path).map_err(at(&lock_path))?;
    // The stamp is the installed lock file itself: nothing to compute, nothing to collide.
    let stamps = job.workspace.products.join("xtask-stamps");
    fs::create_dir_all(&stamps).map_err(at(&stamps))?;
    let stamp = stamps.join(format!("{}.lock", folder.replace('/', "-")));
    if place.join("node_modules").is_dir() && fs::read(&stamp).is_ok_and(|installed| installed == lock) {
        return job.note(&format!("{folder}: npm packages are those of its lock file"));
    }
    let mut npm = command(job, &place);
    job.run(npm.arg("ci"))?;
    fs::write(&stamp, lock).map_err(at(&stamp))
}

/// `cargo xtask lock`: updates the lock files to their package.json, with the registry in use.
pub(crate) fn lock_command(workspace: &Workspace, (): ()) -> Outcome<()> {
    let mut job = Job::start(workspace, "lock", Duration::from_secs(5 * 60), true)?;
    FOLDERS.iter().chain(&[bench::FOLDER]).try_for_each(|folder| lock(&mut job, folder))
}

fn lock(job: &mut Job<'_>, folder: &str) -> Outcome<()> {
    let place = job.workspace.path(folder);
    let mut npm = command(job, &place);
    // Without download addresses, which differ between registries.
    npm.env("npm_config_omit_lockfile_registry_resolved", "true");
    job.run(npm.args(["install", "--package-lock-only", "--ignore-scripts"]))?;
    let mut node = job.command("node");
    node.arg(job.workspace.path("xtask/complete-lock.mjs")).current_dir(&place);
    job.run(&mut node)
}

/// Runs a script of `folder/package.json`: its name, then its arguments, separated by spaces.
pub(crate) fn run_script(
    job: &mut Job<'_>,
    folder: &str,
    words: &str,
    environment: &[(&str, &str)],
) -> Outcome<()> {
    let place = job.workspace.path(folder);
    if !place.join("package.json").is_file() {
        return Err(Failure::new(format!("{folder}/package.json is missing")));
    }
    let (script, arguments) = words.split_once(' ').unwrap_or((words, ""));
    let mut npm = command(job, &place);
    npm.args(["run", script, "--"]).args(arguments.split_whitespace());
    job.run(npm.envs(environment.iter().copied()))
}
