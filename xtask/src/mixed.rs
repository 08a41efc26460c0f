//! The stage `mixed`: our processes beside those of the sibling libraries. The Node tests play it; what they start
//! beside Node is made here.

use crate::job::{Job, Outcome};
use crate::{npm, python};

/// Where the tests and the list of the Python packages are.
const TESTS: &str = "bindings/node/test";

/// One of ours in Rust.
const SIGNER: &str = "tokenkeep-proofs-signer";

/// Builds the one in Rust and the Python environment, then runs the set.
pub(crate) fn stage(job: &mut Job<'_>) -> Outcome<()> {
    let mut cargo = job.command("cargo");
    job.run(cargo.args(["build", "--locked", "--package", "tokenkeep-proofs", "--bin", SIGNER]))?;
    let signer = job.workspace.cargo_target.join("debug").join(SIGNER);
    let signer = signer.with_extension(std::env::consts::EXE_EXTENSION).to_string_lossy().into_owned();
    let python = python::environment(job, "python-siblings", &format!("{TESTS}/mixed/requirements.txt"))?;
    let programs = [("TOKENKEEP_SIGNER", signer.as_str()), ("TOKENKEEP_PYTHON", python.as_str())];
    npm::run_script(job, TESTS, "test mixed", &programs)
}
