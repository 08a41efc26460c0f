//! Python environments, each with the packages of one list.

use std::fs;

use crate::job::{Failure, Job, Outcome, at};

/// Returns the interpreter of the environment `name`. It is created again when the `list` of its packages (a path in
/// the checkout) changes.
pub(crate) fn environment(job: &mut Job<'_>, name: &str, list: &str) -> Outcome<String> {
    environment_of(job, &["python3", "-m", "venv", "--clear"], name, list)
}

/// The same, created by the command `venv` with the folder as its last argument.
pub(crate) fn environment_of(job: &mut Job<'_>, venv: &[&str], name: &str, list: &str) -> Outcome<String> {
    let folder = job.workspace.products.join(name);
    let list = job.workspace.path(list);
    let wanted = fs::read(&list).map_err(at(&list))?;
    let stamp = folder.join("requirements.txt");
    let python = folder.join("bin/python").to_string_lossy().into_owned();
    if fs::read(&stamp).is_ok_and(|have| have == wanted) {
        return Ok(python);
    }
    let (program, arguments) = venv.split_first().ok_or_else(|| Failure::new("no command"))?;
    let mut make = job.command(program);
    job.run(make.args(arguments).arg(&folder))?;
    let mut install = job.command(&python);
    install
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
        .arg(&list);
    job.run(&mut install)?;
    fs::copy(&list, &stamp).map_err(at(&stamp))?;
    Ok(python)
}
