//! `cargo xtask pack`: the npm tarballs, as they would be published, in `target/npm`.
//!
//! The main package holds TypeScript's output only; the addon is in a package per platform, of which npm installs the
//! one that fits (`optionalDependencies` with `os`, `cpu` and `libc`). Neither has an install script. The optional
//! dependency is written at pack time: in the repository it would make `npm ci` look for packages not yet published.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::addon::{self, Profile};
use crate::job::{Failure, Job, Outcome, at};
use crate::npm;
use crate::platform::Platform;
use crate::workspace::{self, VERSION, Workspace};

/// The goal for the one binary a user downloads.
const LARGEST_ADDON: u64 = 2_000_000;

/// What every package holds besides what it is for.
const ALWAYS: &[&str] = &["LICENSE", "README.md", "package.json"];

/// The code in `dist`; `bindings/node/bundle.mjs` says what each is for.
const CODE: &[&str] = &["index.js", "index.mjs", "index.node.mjs", "embed.js", "embed.mjs"];

/// Written into the platform package, whose page on npm is all that anybody reads of it.
const PLATFORM_README: &str = "# PACKAGE\n\nThe native part of [tokenkeep](https://www.npmjs.com/package/tokenkeep) for one platform. \
    npm installs it with `tokenkeep`; there is nothing in it to use directly.\n";

/// Both ways to load the package, and one write through the addon, in a folder that holds nothing but the two tarballs.
const SMOKE: &str = r"
const assert = require('node:assert');
const { FilePersistence, PersistenceCachePlugin } = require('tokenkeep');
(async () => {
  const esm = await import('tokenkeep');
  assert.strictEqual(esm.FilePersistence, FilePersistence, 'one class in ESM and CommonJS');
  const persistence = await FilePersistence.create(process.argv[1]);
  await persistence.save('{}');
  assert.strictEqual(await persistence.load(), '{}');
  new PersistenceCachePlugin(persistence);
  assert.ok(process.report.getReport().sharedObjects.some((path) => path.endsWith('.node')), 'the addon was loaded');
})().catch((error) => { console.error(error); process.exit(1); });
";

pub(crate) fn command(workspace: &Workspace, (): ()) -> Outcome<()> {
    let mut job = Job::start(workspace, "pack", Duration::from_secs(20 * 60), true)?;
    npm::install(&mut job, "bindings/node")?;
    addon::build(&mut job, Profile::Release)?;
    stage(&mut job)
}

/// Packs what has been built, then checks the tarballs as a user would meet them.
pub(crate) fn stage(job: &mut Job<'_>) -> Outcome<()> {
    let platform = Platform::current()?;
    let out = fresh(&job.workspace.products.join("npm"))?;
    let main = pack_main(job, &out, platform)?;
    let native = pack_platform(job, &out, platform)?;
    fs::remove_dir_all(out.join("stage")).map_err(at(&out))?;

    check_contents(job, &main, &compiled(&job.workspace.path("bindings/node/dist"))?)?;
    check_contents(job, &native, &[platform.addon_file()])?;
    check_addon(job, platform)?;
    check_installed(job, &[&main, &native])?;
    for tarball in [&main, &native] {
        let size = fs::metadata(tarball).map_err(at(tarball))?.len();
        job.note(&format!("{} {size} bytes", tarball.display()))?;
    }
    Ok(())
}

/// npm itself chooses the files, by the package's own list; then they are packed again beside the optional dependency.
fn pack_main(job: &mut Job<'_>, out: &Path, platform: Platform) -> Outcome<PathBuf> {
    let stage = fresh(&out.join("stage/tokenkeep"))?;
    let selected = npm_pack(job, &job.workspace.path("bindings/node"), &stage, "tokenkeep")?;
    let mut tar = job.command("tar");
    job.run(tar.arg("-xzf").arg(&selected).arg("-C").arg(&stage))?;
    let package = stage.join("package");
    copy(&job.workspace.path("LICENSE"), &package.join("LICENSE"))?;
    let mut set = npm::command(job, &package);
    set.args(["pkg", "set"]).arg(format!("optionalDependencies.{}={VERSION}", platform.package()));
    job.run(&mut set)?;
    // They serve the checkout, not the user.
    let mut delete = npm::command(job, &package);
    job.run(delete.args(["pkg", "delete", "devDependencies", "scripts"]))?;
    npm_pack(job, &package, out, "tokenkeep")
}

fn pack_platform(job: &mut Job<'_>, out: &Path, platform: Platform) -> Outcome<PathBuf> {
    let name = platform.package();
    let file = platform.addon_file();
    let package = fresh(&out.join("stage").join(&name))?;
    let libc = platform.libc.map(|libc| format!(",\n  \"libc\": [\"{libc}\"]")).unwrap_or_default();
    let manifest = format!(
        r#"{{
  "name": "{name}",
  "version": "{VERSION}",
  "description": "The native addon of tokenkeep for {}.",
  "license": "MIT",
  "main": "{file}",
  "files": ["{file}"],
  "engines": {{ "node": ">=20" }},
  "os": ["{}"],
  "cpu": ["{}"]{libc}
}}
"#,
        platform.name, platform.os, platform.cpu
    );
    write(&package.join("package.json"), &manifest)?;
    write(&package.join("README.md"), &PLATFORM_README.replace("PACKAGE", &name))?;
    copy(&job.workspace.path("LICENSE"), &package.join("LICENSE"))?;
    copy(&job.workspace.path("bindings/node").join(&file), &package.join(&file))?;
    npm_pack(job, &package, out, &name)
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

/// The files a tarball must hold, no more and no less: no test, no source map, nothing left over from an older build.
fn check_contents(job: &mut Job<'_>, tarball: &Path, own: &[String]) -> Outcome<()> {
    let mut tar = job.command("tar");
    let listing = job.output(tar.arg("-tzf").arg(tarball))?;
    let found: Vec<&str> = listing.lines().filter_map(|line| line.strip_prefix("package/")).collect();
    let expected: Vec<&str> = ALWAYS.iter().copied().chain(own.iter().map(String::as_str)).collect();
    let extra = found.iter().filter(|file| !expected.contains(file)).map(|file| format!("+ {file}"));
    let absent = expected.iter().filter(|file| !found.contains(file)).map(|file| format!("- {file}"));
    let differences: Vec<String> = extra.chain(absent).collect();
    if differences.is_empty() {
        return job.note(&format!("{}: {} files, as they should be", tarball.display(), found.len()));
    }
    Err(Failure::new(format!(
        "{} has (+) or lacks (-)\n      {}",
        tarball.display(),
        differences.join("\n      ")
    )))
}

/// One JavaScript file for every entry and module kind, and the types that the compiler left beside them.
fn compiled(dist: &Path) -> Outcome<Vec<String>> {
    let mut files: Vec<String> = CODE.iter().map(|name| format!("dist/{name}")).collect();
    let mut folders = vec![dist.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).map_err(at(&folder))? {
            let path = entry.map_err(at(&folder))?.path();
            let name = path.strip_prefix(dist).unwrap_or(&path).to_string_lossy().replace('\\', "/");
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".d.ts") || name.ends_with(".d.mts") {
                files.push(format!("dist/{name}"));
            }
        }
    }
    Ok(files)
}

/// Size, the system library it asks for, and no path of this machine inside.
fn check_addon(job: &mut Job<'_>, platform: Platform) -> Outcome<()> {
    let path = job.workspace.path("bindings/node").join(platform.addon_file());
    let binary = fs::read(&path).map_err(at(&path))?;
    let size = binary.len() as u64;
    job.note(&format!("{}: {size} bytes, needs glibc {}", platform.addon_file(), newest_glibc(&binary)))?;
    if size > LARGEST_ADDON {
        return Err(Failure::new(format!("the addon has {size} bytes, the most is {LARGEST_ADDON}")));
    }
    let home = std::env::home_dir().map(|home| home.join(".cargo")).unwrap_or_default();
    for place in [&job.workspace.root, &job.workspace.cargo_target, &home] {
        let place = place.to_string_lossy();
        if !place.is_empty() && contains(&binary, place.as_bytes()) {
            return Err(Failure::new(format!("the addon contains the path {place} of this machine")));
        }
    }
    Ok(())
}

/// The highest `GLIBC_2.x` among the symbol versions, or "none".
fn newest_glibc(binary: &[u8]) -> String {
    const PREFIX: &[u8] = b"GLIBC_2.";
    let minor = |after: &[u8]| -> Option<u32> {
        let digits: Vec<u8> = after.iter().copied().take_while(u8::is_ascii_digit).collect();
        std::str::from_utf8(&digits).ok()?.parse().ok()
    };
    let versions = (0..binary.len().saturating_sub(PREFIX.len()))
        .filter(|at| binary[*at..].starts_with(PREFIX))
        .filter_map(|at| minor(&binary[at + PREFIX.len()..]));
    versions.max().map_or_else(|| "none".to_owned(), |minor| format!("2.{minor}"))
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// Installs the tarballs into an empty folder, without scripts and without a network, and uses them.
fn check_installed(job: &mut Job<'_>, tarballs: &[&Path]) -> Outcome<()> {
    let place = fresh(&job.workspace.products.join("npm-installed"))?;
    write(&place.join("package.json"), "{ \"private\": true }\n")?;
    let mut install = npm::command(job, &place);
    install.args(["install", "--ignore-scripts", "--offline"]).args(tarballs);
    job.run(&mut install)?;
    let mut node = job.command("node");
    node.current_dir(&place).args(["-e", SMOKE]).arg(place.join("smoke/cache.json"));
    job.run(&mut node)?;
    fs::remove_dir_all(&place).map_err(at(&place))
}

/// An empty folder, whatever was there.
fn fresh(path: &Path) -> Outcome<PathBuf> {
    workspace::remove(path)?;
    fs::create_dir_all(path).map_err(at(path))?;
    Ok(path.to_path_buf())
}

fn write(path: &Path, text: &str) -> Outcome<()> {
    fs::write(path, text).map_err(at(path))
}

fn copy(from: &Path, to: &Path) -> Outcome<()> {
    fs::copy(from, to).map(|_bytes| ()).map_err(at(from))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_glibc_is_the_highest_number_not_the_last() {
        assert_eq!(newest_glibc(b"\0GLIBC_2.34\0GLIBC_2.2.5\0GLIBC_2.9\0"), "2.34");
        assert_eq!(newest_glibc(b"nothing"), "none");
    }
}
