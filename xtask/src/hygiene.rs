//! Checks that the repository has no build products, big files, names of a particular machine, or differing versions.

use std::fs;

use crate::job::{Failure, Job, Outcome, at};
use crate::workspace::VERSION;

/// A megabyte: more than any source file or drawing here needs.
const LARGEST: u64 = 1024 * 1024;

/// Files of compilers and packers.
const PRODUCTS: &[&str] = &["node", "so", "dylib", "dll", "exe", "a", "o", "rlib", "tgz", "wasm"];

/// Files of a lock while a program runs.
const LOCKS: &[&str] = &["lockfile", "tk-lock", "tk-old"];

/// Characters that Windows allows in no name, so that a checkout would fail there.
const NOT_ON_WINDOWS: &[char] = &['<', '>', ':', '"', '\\', '|', '?', '*'];

/// The file in which the npm package has its own version.
const VERSION_CONSTANT: &str = "bindings/node/ts/version.ts";

/// The top folders of any Unix system; others name a particular machine.
const COMMON_ROOTS: &[&str] =
    &["home", "root", "Users", "usr", "tmp", "var", "opt", "srv", "mnt", "src", "build", "private"];

pub(crate) fn stage(job: &mut Job<'_>) -> Outcome<()> {
    let files = tracked(job)?;
    let machine = machine_paths(job)?;
    let mut problems = Vec::new();
    for name in &files {
        let path = job.workspace.path(name);
        let metadata = match fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            // Deleted in the work tree and not yet in git.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(at(&path)(error)),
        };
        if metadata.len() > LARGEST {
            problems.push(format!("{name}: {} bytes, the most is {LARGEST}", metadata.len()));
        }
        if is_product(name) {
            problems.push(format!("{name}: a build product"));
        }
        if is_lock(name) {
            problems.push(format!("{name}: the lock of a program that ran here"));
        }
        if name.contains(NOT_ON_WINDOWS) {
            problems.push(format!("{name}: Windows has no such name"));
        }
        if metadata.is_file() {
            let text = fs::read(&path).map_err(at(&path))?;
            problems.extend(content_problems(name, &String::from_utf8_lossy(&text), &machine));
        }
    }
    problems.extend(version_problems(job, &files)?);
    problems.extend(lock_problems(job, &files)?);
    job.note(&format!("{} tracked files", files.len()))?;
    if problems.is_empty() { Ok(()) } else { Err(Failure::new(problems.join("\n    "))) }
}

fn tracked(job: &mut Job<'_>) -> Outcome<Vec<String>> {
    let mut git = job.command("git");
    // CI may run as another user than the checkout's owner; listing files needs no trust.
    git.args(["-c", "safe.directory=*", "-c", "core.quotePath=false", "ls-files", "-z"]);
    let listing = job.output(&mut git)?;
    let files: Vec<String> = listing.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if files.is_empty() { Err(Failure::new("git lists no files")) } else { Ok(files) }
}

/// Returns this machine's own names: the checkout, cargo's home, and their top folder, unless every machine has it.
fn machine_paths(job: &Job<'_>) -> Outcome<Vec<String>> {
    let root =
        job.workspace.root.to_str().ok_or_else(|| Failure::new("the checkout's path is not Unicode"))?;
    let mut paths = vec![root.to_owned()];
    if let Some(home) = std::env::var_os("CARGO_HOME").and_then(|home| home.into_string().ok()) {
        paths.push(home);
    }
    let top = root.split('/').nth(1).unwrap_or_default();
    if !top.is_empty() && !COMMON_ROOTS.contains(&top) {
        paths.push(format!("/{top}/"));
    }
    Ok(paths)
}

fn extension(name: &str) -> &str {
    name.rsplit_once('.').map(|(_, extension)| extension).unwrap_or_default()
}

fn is_lock(name: &str) -> bool {
    LOCKS.contains(&extension(name))
}

fn is_product(name: &str) -> bool {
    PRODUCTS.contains(&extension(name))
        || name.split('/').any(|part| part == "node_modules" || part == "target")
}

fn content_problems(name: &str, text: &str, machine: &[String]) -> Vec<String> {
    let mut problems = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if let Some(path) = machine.iter().find(|path| line.contains(path.as_str())) {
            problems.push(format!("{name}:{}: names a folder of this machine, {path}", number + 1));
        }
        // Without these, npm's lock files work with any registry.
        if name.ends_with("package-lock.json") && line.contains("\"resolved\": \"http") {
            problems
                .push(format!("{name}:{}: a download address; `cargo xtask lock` keeps it out", number + 1));
            break;
        }
    }
    problems
}

/// Checks that every package of the project has the workspace's version. (Private ones may have none.)
fn version_problems(job: &mut Job<'_>, files: &[String]) -> Outcome<Vec<String>> {
    let manifests = files.iter().filter(|name| *name == "package.json" || name.ends_with("/package.json"));
    let mut node = job.command("node");
    node.args(["-e", PRINT_VERSIONS]).args(manifests);
    let listing = job.output(&mut node)?;
    let mut problems: Vec<String> = listing
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .filter(|(_, version)| *version != VERSION)
        .map(|(name, version)| format!("{name}: version {version}, the workspace has {VERSION}"))
        .collect();
    // With another version there, the package would refuse the addon built with it.
    let constant = job.workspace.path(VERSION_CONSTANT);
    if !fs::read_to_string(&constant).map_err(at(&constant))?.contains(&format!("VERSION = \"{VERSION}\"")) {
        problems.push(format!("{VERSION_CONSTANT}: its VERSION is not the workspace's, {VERSION}"));
    }
    Ok(problems)
}

/// Lock files that `npm ci` would refuse: they lack a package for a platform other than the writer's.
fn lock_problems(job: &mut Job<'_>, files: &[String]) -> Outcome<Vec<String>> {
    let locks = files.iter().filter(|name| name.ends_with("package-lock.json"));
    let mut node = job.command("node");
    node.args(["-e", PRINT_MISSING]).args(locks);
    let listing = job.output(&mut node)?;
    Ok(listing.lines().map(|line| format!("{line} is missing; run `cargo xtask lock`")).collect())
}

const PRINT_MISSING: &str = "for (const f of process.argv.slice(1)) { const { packages } = JSON.parse(require('fs').readFileSync(f, 'utf8')); \
    for (const [place, p] of Object.entries(packages)) for (const name in p.optionalDependencies ?? {}) \
    if (!packages[place + '/node_modules/' + name] && !packages['node_modules/' + name]) console.log(f + ': ' + name) }";

const PRINT_VERSIONS: &str = "for (const f of process.argv.slice(1)) { const p = JSON.parse(require('fs').readFileSync(f, 'utf8')); \
    if (p.version !== undefined || !p.private) console.log(f + '\\t' + p.version) }";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_products_are_known_by_name_or_folder() {
        for name in
            ["bindings/node/tokenkeep.linux-x64-gnu.node", "a/node_modules/b/index.js", "target/x", "x.tgz"]
        {
            assert!(is_product(name), "{name}");
        }
        for name in ["bindings/node/package.json", "xtask/src/npm.rs", "LICENSE", "targets.md"] {
            assert!(!is_product(name), "{name}");
        }
    }

    #[test]
    fn machine_folders_and_download_addresses_are_found_with_their_line() {
        let machine = ["/somewhere/".to_owned()];
        assert_eq!(content_problems("a.md", "one\nsee /somewhere/else\n", &machine).len(), 1);
        let lock =
            "{\n\"resolved\": \"https://example.org/a.tgz\",\n\"resolved\": \"https://example.org/b.tgz\"\n}";
        let problems = content_problems("demo/package-lock.json", lock, &machine);
        assert!(problems.len() == 1 && problems[0].starts_with("demo/package-lock.json:2:"), "{problems:?}");
        assert!(content_problems("a.rs", "fn a() {}", &machine).is_empty());
    }
}
