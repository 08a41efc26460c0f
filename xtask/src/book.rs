//! `cargo xtask docs`: the guide as a site, built by mdBook, and the references of the packages.

use crate::job::{Job, Outcome};
use crate::workspace::Workspace;
use crate::{npm, setup};
use std::time::Duration;

pub(crate) fn command(workspace: &Workspace, (): ()) -> Outcome<()> {
    let mut job = Job::start(workspace, "docs", Duration::from_secs(30 * 60), true)?;
    let mdbook = setup::mdbook(&mut job)?;
    let mut build = job.command(&mdbook);
    job.run(build.args(["build"]).arg(workspace.path("docs")))?;
    let mut cargo = job.command("cargo");
    cargo.args(["doc", "--locked", "--workspace", "--exclude", "tokenkeep-stand-in-keychain", "--no-deps"]);
    cargo.args(["--features", "tokenkeep-server/redis,tokenkeep-server/postgres"]);
    job.run(cargo.env("RUSTDOCFLAGS", "-D warnings"))?;
    npm::run_script(&mut job, "bindings/node/test", "reference --out ../../../target/book/node", &[])?;
    job.note("guide: target/book/index.html; Node: target/book/node/index.html; Rust: target/doc/tokenkeep/index.html")
}
