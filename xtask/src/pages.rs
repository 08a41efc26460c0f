//! The stage `pages`: the code blocks of the README files and the guide, run as their readers would run them.
//!
//! The Rust programs are documentation tests of `crates/pages`, which need a keyring of their own; its other test follows the
//! links between the pages. All other blocks are tests of `bindings/node/test/pages`.

use crate::job::{Job, Outcome};
use crate::keyring::Session;
use crate::{npm, pypackage};

/// The folder of the tests of the npm package.
const TESTS: &str = "bindings/node/test";

pub(crate) fn stage(job: &mut Job<'_>) -> Outcome<()> {
    let session = Session::create()?;
    let mut cargo = session.command(job, "cargo");
    // The session has another home folder than cargo and rustup.
    for (variable, folder) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
        if let (None, Some(home)) = (std::env::var_os(variable), std::env::home_dir()) {
            cargo.env(variable, home.join(folder));
        }
    }
    cargo.args(["test", "--locked", "--package", "tokenkeep-pages", "--no-fail-fast"]);
    job.run(&mut cargo)?;
    drop(session);
    let python = pypackage::interpreter(job)?;
    let package = pypackage::package(job).to_string_lossy().into_owned();
    let programs = [("TOKENKEEP_PYTHON", python.as_str()), ("TOKENKEEP_PYTHON_PACKAGE", package.as_str())];
    npm::run_script(job, TESTS, "test pages", &programs)
}
