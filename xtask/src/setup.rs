//! `cargo xtask setup`: brings the machine into the state that the tests need. It installs Debian packages if it can
//! without a password; otherwise it prints one line that says what to install. No test is skipped because of a
//! missing tool.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use crate::job::{Failure, Job, Outcome, at};
use crate::npm;
use crate::workspace::Workspace;

/// A tool that the machine must have.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tool {
    what: &'static str,
    probe: Probe,
    remedy: Remedy,
}

#[derive(Debug, Clone, Copy)]
enum Probe {
    /// A command that succeeds.
    Succeeds(&'static [&'static str]),
    /// `PROGRAM --version` prints at least this major version.
    Major(&'static str, u32),
}

#[derive(Debug, Clone, Copy)]
enum Remedy {
    Debian(&'static str),
    /// A Debian package, but only if Debian's version is new enough; else an instruction.
    DebianFrom(&'static str, u32, &'static str),
    /// A component of the Rust toolchain.
    Rustup(&'static str),
}

const fn tool(what: &'static str, probe: Probe, remedy: Remedy) -> Tool {
    Tool { what, probe, remedy }
}

/// A tool of a Debian package.
pub(crate) const fn debian(
    what: &'static str,
    probe: &'static [&'static str],
    package: &'static str,
) -> Tool {
    tool(what, Succeeds(probe), Debian(package))
}

use Probe::{Major, Succeeds};
use Remedy::{Debian, DebianFrom, Rustup};

const NODE: Tool =
    tool("Node.js 20 or newer", Major("node", 20), DebianFrom("nodejs", 20, "https://nodejs.org"));
const NPM: Tool = tool("npm 9 or newer", Major("npm", 9), DebianFrom("npm", 9, "https://nodejs.org"));
const BUS: Tool = tool("a private message bus", Succeeds(&["dbus-run-session", "--version"]), Debian("dbus"));
const KEYRING: Tool =
    tool("a Secret Service", Succeeds(&["gnome-keyring-daemon", "--version"]), Debian("gnome-keyring"));
const COMPILER: Tool = tool("a C compiler", Succeeds(&["cc", "--version"]), Debian("gcc"));

/// The tools of the demo: Node, a linker for Rust, and a private keyring.
pub(crate) const FOR_DEMO: &[Tool] = &[NODE, NPM, COMPILER, BUS, KEYRING];

/// The tools of the tests.
const FOR_TESTS: &[Tool] = &[
    NODE,
    NPM,
    tool("git", Succeeds(&["git", "--version"]), Debian("git")),
    BUS,
    tool("a message bus daemon", Succeeds(&["dbus-daemon", "--version"]), Debian("dbus")),
    KEYRING,
    // secret-tool has no option without effect.
    tool("secret-tool", Succeeds(&["sh", "-c", "command -v secret-tool"]), Debian("libsecret-tools")),
    tool("strace", Succeeds(&["strace", "-V"]), Debian("strace")),
    tool("a file system outside of the kernel", Succeeds(&["bindfs", "--version"]), Debian("bindfs")),
    // The original package, which the tests compare with, compiles keytar.
    COMPILER,
    tool("a C++ compiler", Succeeds(&["c++", "--version"]), Debian("g++")),
    tool("make", Succeeds(&["make", "--version"]), Debian("make")),
    tool("Python 3", Succeeds(&["python3", "--version"]), Debian("python3")),
    tool("Python's venv", Succeeds(&["python3", "-c", "import venv, ensurepip"]), Debian("python3-venv")),
    tool("pkg-config", Succeeds(&["pkg-config", "--version"]), Debian("pkg-config")),
    tool(
        "libsecret headers",
        Succeeds(&["pkg-config", "--exists", "libsecret-1"]),
        Debian("libsecret-1-dev"),
    ),
    tool("rustfmt", Succeeds(&["cargo", "fmt", "--version"]), Rustup("rustfmt")),
    tool("clippy", Succeeds(&["cargo", "clippy", "--version"]), Rustup("clippy")),
];

/// Pinned, so that a new release cannot turn a green checkout red.
const DENY_VERSION: &str = "0.20.2";
const MDBOOK_VERSION: &str = "0.5.4";

pub(crate) fn command(workspace: &Workspace, (): ()) -> Outcome<()> {
    let mut job = Job::start(workspace, "setup", Duration::from_secs(20 * 60), true)?;
    stage(&mut job)?;
    packages(&mut job)?;
    println!("ready in {:.1} s", job.elapsed().as_secs_f64());
    Ok(())
}

/// Checks all tools of the tests.
pub(crate) fn tools(job: &mut Job<'_>) -> Outcome<()> {
    machine(job, FOR_TESTS)
}

pub(crate) fn stage(job: &mut Job<'_>) -> Outcome<()> {
    tools(job)?;
    cargo_deny(job).map(|_program| ())
}

/// Installs the npm packages of every folder.
pub(crate) fn packages(job: &mut Job<'_>) -> Outcome<()> {
    npm::FOLDERS.iter().try_for_each(|folder| npm::install(job, folder))
}

/// Checks licences, bans and sources; advisories need the network and a database that changes daily.
pub(crate) fn deny(job: &mut Job<'_>) -> Outcome<()> {
    let program = cargo_deny(job)?;
    let mut deny = job.command(&program);
    job.run(deny.args(["--locked", "--workspace", "check", "licenses", "bans", "sources"]))
}

/// Checks every tool, installs the missing ones if allowed, checks again, and prints in one line what is still
/// missing.
pub(crate) fn machine(job: &mut Job<'_>, tools: &[Tool]) -> Outcome<()> {
    let missing = missing(job, tools)?;
    if missing.is_empty() {
        return job.note("every tool is here");
    }
    let attempt = install(job, &missing);
    let still = self::missing(job, tools)?;
    if still.is_empty() {
        return Ok(());
    }
    let names: Vec<_> = still.iter().map(|tool| tool.what).collect();
    let tried = attempt.err().map(|failure| format!(" (tried here: {failure})")).unwrap_or_default();
    Err(Failure::new(format!(
        "missing: {}; install with: {}{tried}",
        names.join(", "),
        remedies(job, &still)?.join(" && ")
    )))
}

fn missing(job: &mut Job<'_>, tools: &[Tool]) -> Outcome<Vec<Tool>> {
    let mut missing = Vec::new();
    for tool in tools {
        if !present(job, tool.probe) {
            job.note(&format!("missing: {}", tool.what))?;
            missing.push(*tool);
        }
    }
    Ok(missing)
}

fn present(job: &mut Job<'_>, probe: Probe) -> bool {
    match probe {
        Succeeds(words) => succeeds(job, words),
        Major(program, wanted) => {
            let mut command =
                job.command(if cfg!(windows) && program == "npm" { "npm.cmd" } else { program });
            job.ask(command.arg("--version"))
                .and_then(|text| major(&text))
                .is_some_and(|found| found >= wanted)
        }
    }
}

fn succeeds(job: &mut Job<'_>, words: &[&str]) -> bool {
    words.split_first().is_some_and(|(program, arguments)| {
        let mut command = job.command(program);
        job.ask(command.args(arguments)).is_some()
    })
}

/// The first number of "v20.20.2", "11.19.1" or Debian's "1:20.19.2+dfsg".
fn major(version: &str) -> Option<u32> {
    let version = version.trim();
    let version = version.split_once(':').map_or(version, |(_epoch, rest)| rest);
    let digits: String = version.trim_start_matches('v').chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// Installs the tools that need no password.
fn install(job: &mut Job<'_>, missing: &[Tool]) -> Outcome<()> {
    let components: Vec<_> = missing.iter().filter_map(Tool::component).collect();
    if !components.is_empty() {
        let mut rustup = job.command("rustup");
        job.run(rustup.args(["component", "add"]).args(components))?;
    }
    if missing.iter().all(|tool| matches!(tool.remedy, Rustup(_)))
        || !succeeds(job, &["apt-get", "--version"])
    {
        return Ok(());
    }
    let Some(root) = become_root(job) else { return Ok(()) };
    apt(job, root, &["update"])?;
    let packages = debian_packages(job, missing)?;
    if packages.is_empty() {
        return Ok(());
    }
    let mut arguments = vec!["install", "-y", "--no-install-recommends"];
    arguments.extend(&packages);
    apt(job, root, &arguments)
}

/// Returns the words before a command that make it run as root; `None` if that needs a password.
fn become_root(job: &mut Job<'_>) -> Option<&'static [&'static str]> {
    let mut id = job.command("id");
    if job.ask(id.arg("-u")).is_some_and(|user| user.trim() == "0") {
        return Some(&[]);
    }
    succeeds(job, &["sudo", "-n", "true"]).then_some(&["sudo", "-n"])
}

fn apt(job: &mut Job<'_>, root: &[&str], arguments: &[&str]) -> Outcome<()> {
    let mut words = root.to_vec();
    // Waits for another apt on the same machine, with a limit.
    words.extend(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-o", "DPkg::Lock::Timeout=120"]);
    words.extend(arguments);
    let (program, rest) = words.split_first().ok_or_else(|| Failure::new("no command"))?;
    let mut command = job.command(program);
    job.run(command.args(rest))
}

/// Returns the Debian packages of these tools, without those that Debian has only in an older version.
fn debian_packages(job: &mut Job<'_>, tools: &[Tool]) -> Outcome<Vec<&'static str>> {
    let mut packages = Vec::new();
    for tool in tools {
        let package = match tool.remedy {
            Debian(package) => package,
            DebianFrom(package, wanted, _) => {
                let mut policy = job.command("apt-cache");
                let policy = job.output(policy.args(["policy", package]))?;
                let candidate =
                    policy.lines().find_map(|line| line.trim().strip_prefix("Candidate:")).and_then(major);
                if candidate.is_none_or(|found| found < wanted) {
                    continue;
                }
                package
            }
            Rustup(_) => continue,
        };
        if !packages.contains(&package) {
            packages.push(package);
        }
    }
    Ok(packages)
}

/// Returns the remaining steps as commands that can be pasted.
fn remedies(job: &mut Job<'_>, tools: &[Tool]) -> Outcome<Vec<String>> {
    let has_apt = succeeds(job, &["apt-get", "--version"]);
    let packages = if has_apt {
        debian_packages(job, tools)?
    } else {
        tools.iter().filter_map(Tool::debian_name).collect()
    };
    let components: Vec<_> = tools.iter().filter_map(Tool::component).collect();
    let mut steps = Vec::new();
    if !packages.is_empty() {
        let packages = packages.join(" ");
        steps.push(if has_apt {
            format!("sudo apt-get install -y {packages}")
        } else {
            format!("(your package manager, for what Debian calls {packages})")
        });
    }
    if !components.is_empty() {
        steps.push(format!("rustup component add {}", components.join(" ")));
    }
    for tool in tools {
        if let DebianFrom(package, _, url) = tool.remedy
            && !packages.contains(&package)
        {
            steps.push(format!("({}, from {url})", tool.what));
        }
    }
    Ok(steps)
}

impl Tool {
    fn debian_name(&self) -> Option<&'static str> {
        match self.remedy {
            Debian(package) => Some(package),
            DebianFrom(..) | Rustup(_) => None,
        }
    }

    fn component(&self) -> Option<&'static str> {
        match self.remedy {
            Rustup(component) => Some(component),
            Debian(_) | DebianFrom(..) => None,
        }
    }
}

/// Returns the path of cargo-deny, compiled once per target folder if the machine has none.
fn cargo_deny(job: &mut Job<'_>) -> Outcome<String> {
    from_crates(job, "cargo-deny", DENY_VERSION)
}

/// Returns the path of mdBook, compiled once per target folder if the machine has none.
pub(crate) fn mdbook(job: &mut Job<'_>) -> Outcome<String> {
    from_crates(job, "mdbook", MDBOOK_VERSION)
}

/// Returns the path of the program of a crate, in this version.
fn from_crates(job: &mut Job<'_>, name: &str, version: &str) -> Outcome<String> {
    let tools = job.workspace.cargo_target.join("tools");
    let program = tools.join("bin").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let candidates = [PathBuf::from(name), program.clone()];
    for candidate in candidates.iter().map(|path| path.to_string_lossy().into_owned()) {
        let mut asked = job.command(&candidate);
        if job.ask(asked.arg("--version")).is_some_and(|text| text.trim().ends_with(version)) {
            return Ok(candidate);
        }
    }
    fs::create_dir_all(&tools).map_err(at(&tools))?;
    job.note(&format!("compiling {name}, once for this target folder"))?;
    let mut cargo = job.command("cargo");
    // Unoptimised it compiles in half the time and is still fast enough.
    cargo.args(["install", "--locked", "--debug", "--config", "profile.dev.debug=false"]);
    cargo.args(["--version", version, name, "--root"]).arg(&tools);
    cargo.env("CARGO_TARGET_DIR", tools.join("build"));
    job.run(&mut cargo)?;
    // Half a gigabyte of intermediate files that are not needed again.
    fs::remove_dir_all(tools.join("build")).map_err(at(&tools))?;
    Ok(program.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn the_major_version_is_found_in_every_notation() {
        for (text, expected) in [
            ("v20.20.2\n", Some(20)),
            ("11.19.1", Some(11)),
            (" 1:20.19.2+dfsg-1", Some(20)),
            ("(none)", None),
        ] {
            assert_eq!(major(text), expected, "{text}");
        }
    }
}
