//! The stage `vectors`: the encrypted file and the record against implementations in Python that know only
//! `docs/format.md`.

use crate::job::{Failure, Job, Outcome};
use crate::python;

/// Where the vectors and a Python program are for each format; the first has the list of packages.
const FOLDER: &str = "crates/tokenkeep/tests/vectors";
const FORMATS: [&str; 2] = ["sealed", "record"];

/// Checks the vectors of the repository, and the files that the Rust tests wrote a moment ago.
pub(crate) fn stage(job: &mut Job<'_>) -> Outcome<()> {
    let python = python::environment(job, "python", &format!("{FOLDER}/sealed/requirements.txt"))?;
    for format in FORMATS {
        // Where cargo lets integration tests put files.
        let written = job.workspace.cargo_target.join("tmp").join(format);
        if !written.is_dir() {
            return Err(Failure::new(format!("{} is missing: run the stage rust first", written.display())));
        }
        let program = job.workspace.path(FOLDER).join(format).join("independent.py");
        let mut check = job.command(&python);
        job.run(check.arg(program).arg("check").arg(written))?;
    }
    Ok(())
}
