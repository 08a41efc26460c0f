//! `cargo xtask dist` and `cargo xtask pack`: the npm tarballs as for publication, in `target/npm`.
//!
//! The main package holds TypeScript's output only; the addon is in a package per platform, of which npm installs the
//! one that fits (`optionalDependencies` with `os`, `cpu` and `libc`). Neither has an install script. The optional
//! dependencies are written at pack time: in the repository they would make `npm ci` look for packages not yet published.
//!
//! The executable of the command `tokenkeep` (`executable.rs`) is beside the addon, if it has been built.
//!
//! `pack` is for this platform alone. `dist` takes every addon in `bindings/node`, where cross compilers and the
//! release workflow put them, and with `--complete` demands every platform. `tarball.rs` checks the tarballs.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::addon::{self, Profile};
use crate::executable;
use crate::job::{Failure, Job, Outcome, at};
use crate::npm;
use crate::platform::{self, Platform};
use crate::tarball;
use crate::workspace::{self, VERSION, Workspace};

/// Written into the platform package: the whole text of its page on npm.
const PLATFORM_README: &str = "# PACKAGE\n\nThe native part of [tokenkeep](https://www.npmjs.com/package/tokenkeep) for one platform. \
    npm installs it with `tokenkeep`; there is nothing in it to use directly.\n";

pub(crate) fn command(workspace: &Workspace, (): ()) -> Outcome<()> {
    let mut job = Job::start(workspace, "pack", Duration::from_secs(20 * 60), true)?;
    npm::install(&mut job, "bindings/node")?;
    addon::build(&mut job, Profile::Release)?;
    stage(&mut job)
}

/// Builds the command, packs what has been built for this platform, then checks the tarballs as a user would meet them.
pub(crate) fn stage(job: &mut Job<'_>) -> Outcome<()> {
    executable::build(job)?;
    pack(job, &[Platform::current()?])
}

/// `cargo xtask dist [--complete] [--prebuilt]`.
pub(crate) fn dist_command(workspace: &Workspace, arguments: &[String]) -> Outcome<()> {
    let (mut complete, mut prebuilt) = (false, false);
    for argument in arguments {
        match argument.as_str() {
            "--complete" => complete = true,
            "--prebuilt" => prebuilt = true,
            unknown => {
                return Err(Failure::new(format!("dist knows --complete and --prebuilt, not {unknown:?}")));
            }
        }
    }
    let mut job = Job::start(workspace, "dist", Duration::from_secs(30 * 60), true)?;
    npm::install(&mut job, "bindings/node")?;
    if prebuilt {
        npm::run_script(&mut job, "bindings/node", "build", &[])?;
    } else {
        addon::build(&mut job, Profile::Release)?;
        executable::build(&mut job)?;
    }
    let (built, missing): (Vec<Platform>, Vec<Platform>) =
        platform::ALL.iter().partition(|one| addon_path(workspace, **one).is_file());
    let names: Vec<&str> = missing.iter().map(|one| one.name).collect();
    let mut defects = Vec::new();
    for platform in platform::ALL.iter().filter(|one| one.is_run) {
        for (what, path) in
            [("addon", addon_path(workspace, *platform)), ("command", executable::path(workspace, *platform))]
        {
            if !path.is_file() {
                defects.push(format!("no {what} for {}", platform.name));
            }
        }
    }
    for platform in &built {
        for path in [addon_path(workspace, *platform), executable::path(workspace, *platform)] {
            let newest =
                if path.is_file() { tarball::newest_glibc(&fs::read(&path).map_err(at(&path))?) } else { 0 };
            if newest > platform.oldest_glibc() {
                defects.push(format!("{} asks for glibc 2.{newest}", path.display()));
            }
        }
    }
    if complete && !defects.is_empty() {
        return Err(Failure::new(format!("not for publishing: {}", defects.join("; "))));
    }
    pack(&mut job, &built)?;
    if !names.is_empty() {
        job.note(&format!("packed without {}", names.join(", ")))?;
    }
    if !defects.is_empty() {
        job.note(&format!("NOT FOR PUBLISHING: {}", defects.join("; ")))?;
    }
    Ok(())
}

/// `cargo xtask test-packages`: tests the tarballs in every runtime, package manager and bundler that npm has.
pub(crate) fn test_command(workspace: &Workspace, (): ()) -> Outcome<()> {
    let mut job = Job::start(workspace, "test-packages", Duration::from_secs(40 * 60), true)?;
    for folder in ["bindings/node", "bindings/node/test"] {
        npm::install(&mut job, folder)?;
    }
    addon::build(&mut job, Profile::Release)?;
    stage(&mut job)?;
    npm::run_script(&mut job, "bindings/node/test", "test packages everywhere programs", &[])
}

/// Packs the main package and one for each platform, whose addons have been built.
fn pack(job: &mut Job<'_>, platforms: &[Platform]) -> Outcome<()> {
    let out = fresh(&job.workspace.products.join("npm"))?;
    let main = pack_main(job, &out, platforms)?;
    let code = tarball::compiled(&job.workspace.path("bindings/node/dist"))?;
    tarball::check_contents(job, &main, &code)?;
    let mut tarballs = vec![main];
    for platform in platforms {
        let (native, has_command) = pack_platform(job, &out, *platform)?;
        let mut own = vec![platform.addon_file()];
        if has_command {
            own.push(executable::file(*platform).to_owned());
            executable::check_mode(job, &native, *platform)?;
            executable::check(job, *platform)?;
        }
        tarball::check_contents(job, &native, &own)?;
        tarball::check_addon(job, &addon_path(job.workspace, *platform), *platform)?;
        let runner = platform::runner(job.workspace, *platform);
        let both = [tarballs[0].as_path(), &native];
        if *platform == Platform::current()? {
            tarball::check_installed(job, &both, *platform, "node", has_command)?;
        } else if runner.is_file() {
            tarball::check_installed(job, &both, *platform, &runner.to_string_lossy(), has_command)?;
        } else {
            job.note(&format!("{}: packed, not run: this machine is another platform", platform.name))?;
        }
        tarballs.push(native);
    }
    fs::remove_dir_all(out.join("stage")).map_err(at(&out))?;
    for tarball in &tarballs {
        let size = fs::metadata(tarball).map_err(at(tarball))?.len();
        job.note(&format!("{} {size} bytes", tarball.display()))?;
    }
    Ok(())
}

fn addon_path(workspace: &Workspace, platform: Platform) -> PathBuf {
    workspace.path("bindings/node").join(platform.addon_file())
}

/// npm chooses the files by the package's own list; then they are packed again with the optional dependencies.
fn pack_main(job: &mut Job<'_>, out: &Path, platforms: &[Platform]) -> Outcome<PathBuf> {
    let stage = fresh(&out.join("stage/tokenkeep"))?;
    let selected = npm_pack(job, &job.workspace.path("bindings/node"), &stage, "tokenkeep")?;
    let mut tar = job.command("tar");
    job.run(tar.arg("-xzf").arg(&selected).arg("-C").arg(&stage))?;
    let package = stage.join("package");
    copy(&job.workspace.path("LICENSE"), &package.join("LICENSE"))?;
    let mut set = npm::command(job, &package);
    set.args(["pkg", "set", "files[]=sbom.cdx.json", "files[]=THIRD-PARTY-NOTICES.txt"]);
    for platform in platforms {
        set.arg(format!("optionalDependencies.{}={VERSION}", platform.package()));
    }
    if let Some(place) = repository(|name| std::env::var(name).ok()) {
        set.args(["repository.type=git", &format!("repository.url={place}")]);
    }
    job.run(&mut set)?;
    // They serve the checkout, not the user.
    let mut delete = npm::command(job, &package);
    job.run(delete.args(["pkg", "delete", "devDependencies", "scripts"]))?;
    natives(job, &package, platforms)?;
    components(job, &package, None)?;
    npm_pack(job, &package, out, "tokenkeep")
}

/// Writes the hashes by which the package knows what it may load.
fn natives(job: &mut Job<'_>, package: &Path, platforms: &[Platform]) -> Outcome<()> {
    let mut node = job.command("node");
    node.arg(job.workspace.path("xtask/natives.mjs")).arg(package.join("dist/natives.js"));
    for platform in platforms {
        let mut word = OsString::from(format!("{}=", platform.name));
        word.push(addon_path(job.workspace, *platform));
        let command = executable::path(job.workspace, *platform);
        if command.is_file() {
            word.push(",");
            word.push(command);
        }
        node.arg(word);
    }
    job.run(&mut node)
}

/// Returns the address of the sources from GitHub's variables. npm records a package's origin only if the package
/// names the same address. Packages built elsewhere stay on the machine and name none.
fn repository(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let (server, name) = (variable("GITHUB_SERVER_URL")?, variable("GITHUB_REPOSITORY")?);
    Some(format!("git+{server}/{name}.git"))
}

/// Also returns whether the command is in it.
fn pack_platform(job: &mut Job<'_>, out: &Path, platform: Platform) -> Outcome<(PathBuf, bool)> {
    let name = platform.package();
    let file = platform.addon_file();
    let package = fresh(&out.join("stage").join(&name))?;
    let command = executable::file(platform);
    let home = repository(|name| std::env::var(name).ok())
        .map(|place| format!(",\n  \"repository\": {{ \"type\": \"git\", \"url\": \"{place}\" }}"))
        .unwrap_or_default();
    let libc = platform.libc.map(|libc| format!(",\n  \"libc\": [\"{libc}\"]")).unwrap_or_default();
    let manifest = format!(
        r#"{{
  "name": "{name}",
  "version": "{VERSION}",
  "description": "The native addon and the command of tokenkeep for {}.",
  "license": "MIT",
  "main": "{file}",
  "files": ["{file}", "{command}", "sbom.cdx.json", "THIRD-PARTY-NOTICES.txt"],
  "engines": {{ "node": ">=20" }},
  "os": ["{}"],
  "cpu": ["{}"]{libc}{home}
}}
"#,
        platform.name, platform.os, platform.cpu
    );
    tarball::write(&package.join("package.json"), &manifest)?;
    tarball::write(&package.join("README.md"), &PLATFORM_README.replace("PACKAGE", &name))?;
    copy(&job.workspace.path("LICENSE"), &package.join("LICENSE"))?;
    copy(&addon_path(job.workspace, platform), &package.join(&file))?;
    let has_command = executable::add(job, platform, &package)?;
    components(job, &package, Some((platform.target, has_command)))?;
    Ok((npm_pack(job, &package, out, &name)?, has_command))
}

/// Lists the third-party components in the package.
fn components(job: &mut Job<'_>, package: &Path, native: Option<(&str, bool)>) -> Outcome<()> {
    let mut node = job.command("node");
    node.arg(job.workspace.path("xtask/components.mjs")).arg(package);
    if let Some((target, has_command)) = native {
        node.args([target, "tokenkeep-node"]);
        if has_command {
            node.arg("tokenkeep-cli");
        }
    }
    job.run(&mut node)
}

fn npm_pack(job: &mut Job<'_>, from: &Path, to: &Path, name: &str) -> Outcome<PathBuf> {
    let mut npm = npm::command(job, from);
    npm.args(["pack", "--ignore-scripts", "--pack-destination"]).arg(to);
    job.run(&mut npm)?;
    let tarball = to.join(format!("{name}-{VERSION}.tgz"));
    if tarball.is_file() {
        Ok(tarball)
    } else {
        Err(Failure::new(format!("npm pack did not write {}", tarball.display())))
    }
}

/// Creates an empty folder, and removes an existing one.
pub(crate) fn fresh(path: &Path) -> Outcome<PathBuf> {
    workspace::remove(path)?;
    fs::create_dir_all(path).map_err(at(path))?;
    Ok(path.to_path_buf())
}

fn copy(from: &Path, to: &Path) -> Outcome<()> {
    fs::copy(from, to).map(|_bytes| ()).map_err(at(from))
}

#[cfg(test)]
mod tests {
    use super::repository;

    #[test]
    fn a_package_names_the_repository_that_its_runner_works_for_and_no_other() {
        let runner = |name: &str| match name {
            "GITHUB_SERVER_URL" => Some("https://github.com".to_owned()),
            "GITHUB_REPOSITORY" => Some("contoso/tokenkeep".to_owned()),
            _ => None,
        };
        assert_eq!(repository(runner).as_deref(), Some("git+https://github.com/contoso/tokenkeep.git"));
        assert_eq!(repository(|_| None), None);
    }
}
