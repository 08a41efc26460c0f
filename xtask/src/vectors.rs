//! The stage `vectors`: the encrypted file against an implementation in Python that knows only `docs/format.md`.

use crate::job::{Failure, Job, Outcome};
use crate::python;

/// Where the vectors, the Python program and the list of its packages are.
const FOLDER: &str = "crates/tokenkeep/tests/vectors/sealed";

/// Checks the vectors of the repository, and the files that the Rust tests wrote a moment ago.
pub(crate) fn stage(job: &mut Job<'_>) -> Outcome<()> {
    // Where cargo lets integration tests put files.
    let written = job.workspace.cargo_target.join("tmp/sealed");
    if !written.is_dir() {
        return Err(Failure::new(format!("{} is missing: run the stage rust first", written.display())));
    }
    let python = python::environment(job, "python", &format!("{FOLDER}/requirements.txt"))?;
    let program = job.workspace.path(FOLDER).join("independent.py");
    let mut check = job.command(&python);
    job.run(check.arg(program).arg("check").arg(written))
}
