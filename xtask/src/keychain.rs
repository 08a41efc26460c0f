//! The stage `keychain`: the command and the Node package as on macOS, over a stand-in for the Keychain.

use crate::job::{Job, Outcome};
use crate::npm;

pub(crate) fn stage(job: &mut Job<'_>) -> Outcome<()> {
    let mut cargo = job.command("cargo");
    cargo.args(["test", "--locked", "--package", "tokenkeep-cli"]);
    job.run(cargo.args(["--features", "stand-in-keychain", "--test", "keychain"]))?;
    npm::run_script(job, "bindings/node/test", "test keychain", &[])
}
