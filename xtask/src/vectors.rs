//! The stage `vectors`: the encrypted file against an implementation in Python that knows only `docs/format.md`.

use std::fs;
use std::path::PathBuf;

use crate::job::{Failure, Job, Outcome, at};

/// Where the vectors, the Python program and the list of its packages are.
const FOLDER: &str = "crates/tokenkeep/tests/vectors/sealed";

/// Checks the vectors of the repository, and the files that the Rust tests wrote a moment ago.
pub(crate) fn stage(job: &mut Job<'_>) -> Outcome<()> {
    // Where cargo lets integration tests put files.
    let written = job.workspace.cargo_target.join("tmp/sealed");
    if !written.is_dir() {
        return Err(Failure::new(format!("{} is missing: run the stage rust first", written.display())));
    }
    let python = environment(job)?;
    let program = job.workspace.path(FOLDER).join("independent.py");
    let mut check = job.command(&python);
    job.run(check.arg(program).arg("check").arg(written))
}

/// A Python with the packages of the list in an environment of its own, made anew when the list changes.
fn environment(job: &mut Job<'_>) -> Outcome<String> {
    let folder = job.workspace.products.join("python");
    let list = job.workspace.path(FOLDER).join("requirements.txt");
    let wanted = fs::read(&list).map_err(at(&list))?;
    let stamp = folder.join("requirements.txt");
    let python: PathBuf = folder.join("bin/python");
    if fs::read(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(python.to_string_lossy().into_owned());
    }
    let mut make = job.command("python3");
    job.run(make.args(["-m", "venv", "--clear"]).arg(&folder))?;
    let mut install = job.command(&python.to_string_lossy());
    install
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
        .arg(&list);
    job.run(&mut install)?;
    fs::copy(&list, &stamp).map_err(at(&stamp))?;
    Ok(python.to_string_lossy().into_owned())
}
