//! The stage `mixed`: our processes beside those of the sibling libraries. The Node tests play it; what they start
//! beside Node is made here.

use crate::job::{Job, Outcome};
use crate::{npm, python};

/// Where the tests and the list of the Python packages are.
const TESTS: &str = "bindings/node/test";

/// One of ours in Rust.
const SIGNER: &str = "tokenkeep-proofs-signer";

/// The stage: the quick form.
pub(crate) fn stage(job: &mut Job<'_>) -> Outcome<()> {
    play(job, &[])
}

/// Builds the one in Rust and the Python environment, then runs the set. The journals of runs in which something was
/// lost, or went wrong, stay in `target/records`.
pub(crate) fn play(job: &mut Job<'_>, environment: &[(&str, &str)]) -> Outcome<()> {
    let mut cargo = job.command("cargo");
    job.run(cargo.args(["build", "--locked", "--package", "tokenkeep-proofs", "--bin", SIGNER]))?;
    let signer = job.workspace.cargo_target.join("debug").join(SIGNER);
    let signer = signer.with_extension(std::env::consts::EXE_EXTENSION).to_string_lossy().into_owned();
    let python = python::environment(job, "python-siblings", &format!("{TESTS}/mixed/requirements.txt"))?;
    let records = job.workspace.products.join("records").to_string_lossy().into_owned();
    let mut variables = environment.to_vec();
    variables.extend([
        ("TOKENKEEP_SIGNER", signer.as_str()),
        ("TOKENKEEP_PYTHON", python.as_str()),
        ("TOKENKEEP_RECORDS", records.as_str()),
    ]);
    npm::run_script(job, TESTS, "test mixed", &variables)
}
