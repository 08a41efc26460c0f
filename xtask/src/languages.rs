//! The stage `languages`: one cache for Rust, Node and Python. The Node tests run it; this file builds the programs
//! that they start.

use crate::job::{Job, Outcome};
use crate::{npm, pypackage, python};

/// The folder of the tests and of the list of Python packages.
const TESTS: &str = "bindings/node/test";

/// The program in Rust that signs in and gets tokens.
const PROGRAM: &str = "msal_token";

/// The program in Rust that watches, an example of the core.
const WATCHER: &str = "watch";

/// Builds the Rust programs and the Python environment, then runs the tests.
pub(crate) fn stage(job: &mut Job<'_>) -> Outcome<()> {
    let program = example(job, "tokenkeep-azure", PROGRAM)?;
    let watcher = example(job, "tokenkeep", WATCHER)?;
    let python = python::environment(job, "python-siblings", &format!("{TESTS}/mixed/requirements.txt"))?;
    let package = pypackage::package(job).to_string_lossy().into_owned();
    let programs = [
        ("TOKENKEEP_MSAL_TOKEN", program.as_str()),
        ("TOKENKEEP_WATCH", watcher.as_str()),
        ("TOKENKEEP_PYTHON", python.as_str()),
        ("TOKENKEEP_PYTHON_PACKAGE", package.as_str()),
    ];
    npm::run_script(job, TESTS, "test languages", &programs)
}

/// Builds an example and returns its path.
fn example(job: &mut Job<'_>, package: &str, name: &str) -> Outcome<String> {
    let mut cargo = job.command("cargo");
    job.run(cargo.args(["build", "--locked", "--package", package, "--example", name]))?;
    let program = job.workspace.cargo_target.join("debug/examples").join(name);
    Ok(program.with_extension(std::env::consts::EXE_EXTENSION).to_string_lossy().into_owned())
}
