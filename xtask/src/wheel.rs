//! `cargo xtask wheel`: the Python package as one wheel for every Python from 3.9 on, in `target/wheels`. It is checked, and
//! tried in each Python of this machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::job::{Failure, Job, Outcome, at};
use crate::python;
use crate::workspace::{self, Workspace};

/// The Python versions that the wheel is for.
const VERSIONS: [&str; 7] = ["3.9", "3.10", "3.11", "3.12", "3.13", "3.14", "3.15"];

/// The most bytes of a wheel: the native module and the Python files, compressed.
const MOST: u64 = 1_300_000;

pub(crate) fn command(workspace: &Workspace, (): ()) -> Outcome<()> {
    let mut job = Job::start(workspace, "wheel", Duration::from_secs(30 * 60), true)?;
    let wheel = build(&mut job)?;
    let size = fs::metadata(&wheel).map_err(at(&wheel))?.len();
    job.note(&format!("{}: {size} bytes", wheel.display()))?;
    if size > MOST {
        return Err(Failure::new(format!("the wheel has {size} bytes, more than {MOST}")));
    }
    let (mut tried, mut missing) = (Vec::new(), Vec::new());
    for version in VERSIONS {
        match interpreter(&mut job, version) {
            Some(python) => {
                attempt(&mut job, &python, version, &wheel)?;
                tried.push(version);
            }
            None => missing.push(version),
        }
    }
    if tried.is_empty() {
        return Err(Failure::new(
            "no Python from 3.9 on is here to try the wheel: install one, as with pyenv",
        ));
    }
    job.note(&format!("tried in Python {}; not on this machine: {}", tried.join(", "), missing.join(", ")))
}

/// Builds the wheel, on Linux for glibc 2.17 and newer with zig, and checks that it uses the stable ABI alone.
fn build(job: &mut Job<'_>) -> Outcome<PathBuf> {
    let tools = python::environment(job, "python-build", "bindings/python/requirements-build.txt")?;
    let folder = job.workspace.cargo_target.join("wheels");
    workspace::remove(&folder)?;
    let mut maturin = job.command(&tools);
    maturin.args(["-m", "maturin", "build", "--release", "--locked", "--out"]).arg(&folder);
    maturin.args(["--manifest-path", "bindings/python/Cargo.toml"]);
    if cfg!(target_os = "linux") {
        maturin.args(["--zig", "--compatibility", "manylinux_2_17"]);
        maturin.env("CARGO_ZIGBUILD_PYTHON_PATH", &tools);
    }
    job.run(&mut maturin)?;
    let wheel = only_file(&folder)?;
    let mut audit = job.command(&tools);
    job.run(audit.args(["-m", "abi3audit", "--strict", "--verbose"]).arg(&wheel))?;
    Ok(wheel)
}

fn only_file(folder: &Path) -> Outcome<PathBuf> {
    let mut entries = fs::read_dir(folder).map_err(at(folder))?;
    match (entries.next(), entries.next()) {
        (Some(entry), None) => Ok(entry.map_err(at(folder))?.path()),
        _ => Err(Failure::new(format!("{} does not hold one wheel", folder.display()))),
    }
}

/// Returns the path of a Python of this version: of the system, or of pyenv.
fn interpreter(job: &mut Job<'_>, version: &str) -> Option<String> {
    let pyenv = format!("ls -d \"${{PYENV_ROOT:-$HOME/.pyenv}}/versions/{version}.\"*/bin/python");
    let listed = job.ask(job.command("sh").args(["-c", &pyenv]));
    let candidates = listed.unwrap_or_default();
    let system = format!("python{version}");
    candidates.lines().map(str::to_owned).chain([system]).find(|python| {
        let mut ask = job.command(python);
        let asked = job.ask(ask.args(["-c", "import sys, venv; print('%d.%d' % sys.version_info[:2])"]));
        asked.is_some_and(|answer| answer.trim() == version)
    })
}

/// Installs the wheel into a new environment, as a user does, and runs the tests of the package's promises there.
fn attempt(job: &mut Job<'_>, python: &str, version: &str, wheel: &Path) -> Outcome<()> {
    let folder = job.workspace.products.join(format!("python-{version}"));
    let mut venv = job.command(python);
    job.run(venv.args(["-m", "venv", "--clear"]).arg(&folder))?;
    let python = folder.join("bin/python").to_string_lossy().into_owned();
    let mut install = job.command(&python);
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]).arg(wheel);
    job.run(install.args(["pytest==8.4.2", "msal==1.39.0", "msal-extensions==1.3.1"]))?;
    let mut pytest = job.command(&python);
    pytest.args(["-m", "pytest", "--quiet", "--no-header", "-p", "no:cacheprovider"]);
    pytest.args(["test_promises.py", "test_process.py", "test_errors.py"]);
    pytest.current_dir(job.workspace.path("bindings/python/tests"));
    job.run(pytest.env("PYTHONDONTWRITEBYTECODE", "1"))
}
