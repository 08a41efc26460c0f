//! The stage `mixed`: our processes beside those of the sibling libraries, on one cache file. The tests are in Node; this
//! file builds the Rust process and the Python environment that they start.

use crate::job::{Job, Outcome};
use crate::{npm, python};

/// Where the tests and the list of the Python packages are.
const TESTS: &str = "bindings/node/test";

/// Our process in Rust.
const SIGNER: &str = "tokenkeep-proofs-signer";

/// Builds the process in Rust and the Python environment, then runs the tests. `target/records` keeps the journals of
/// runs that lost a sign-in or failed otherwise.
pub(crate) fn stage(job: &mut Job<'_>) -> Outcome<()> {
    let mut cargo = job.command("cargo");
    job.run(cargo.args(["build", "--locked", "--package", "tokenkeep-proofs", "--bin", SIGNER]))?;
    let signer = job.workspace.cargo_target.join("debug").join(SIGNER);
    let signer = signer.with_extension(std::env::consts::EXE_EXTENSION).to_string_lossy().into_owned();
    let python = python::environment(job, "python-siblings", &format!("{TESTS}/mixed/requirements.txt"))?;
    let records = job.workspace.products.join("records").to_string_lossy().into_owned();
    let variables = [
        ("TOKENKEEP_SIGNER", signer.as_str()),
        ("TOKENKEEP_PYTHON", python.as_str()),
        ("TOKENKEEP_RECORDS", records.as_str()),
    ];
    npm::run_script(job, TESTS, "test mixed", &variables)
}
