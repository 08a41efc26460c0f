//! `cargo xtask errors`: writes anew the files that come from the table of errors in the core.
//!
//! The table is Rust code, so that the tests that compare the files also write them.

use std::time::Duration;

use crate::job::{Job, Outcome};
use crate::workspace::Workspace;

pub(crate) fn command(workspace: &Workspace, (): ()) -> Outcome<()> {
    let mut job = Job::start(workspace, "errors", Duration::from_secs(15 * 60), true)?;
    let mut cargo = job.command("cargo");
    cargo.args(["test", "--locked", "--package", "tokenkeep", "--lib", "error::page"]);
    job.run(cargo.env("TOKENKEEP_WRITE", "1"))
}
