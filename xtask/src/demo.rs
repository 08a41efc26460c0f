//! `cargo xtask demo`: from a fresh machine to a signed-in program in one command.

use std::time::Duration;

use crate::addon::{self, Profile};
use crate::job::{Failure, Job, Outcome};
use crate::keyring::Session;
use crate::setup::Tool;
use crate::workspace::Workspace;
use crate::{npm, servers, setup};

const SCRIPT: &str = "demo/demo.mjs";
/// The demo of several servers.
const SERVERS: &str = "demo/server/demo.mjs";

pub(crate) fn command(workspace: &Workspace, arguments: &[String]) -> Outcome<()> {
    // Long enough for a cold build and a sign-in by hand.
    let mut job = Job::start(workspace, "demo", Duration::from_secs(45 * 60), false)?;
    let servers = arguments == ["--server"];
    let tools = if servers { servers::REDIS } else { &[] };
    prepare(&mut job, tools).map_err(|failure| {
        Failure::new(format!("{failure}\n  the whole output is in {}", job.log_path().display()))
    })?;
    if servers {
        println!("running two web servers and a Redis on loopback\n");
        job.set_echo(true);
        return run_servers(&mut job);
    }
    println!("running the demo in a private keyring session\n");
    job.set_echo(true);
    run(&mut job, arguments)
}

fn prepare(job: &mut Job<'_>, more: &[Tool]) -> Outcome<()> {
    println!("[1/3] tools and npm packages");
    setup::machine(job, setup::FOR_DEMO)?;
    setup::machine(job, more)?;
    for folder in ["bindings/node", "demo"] {
        npm::install(job, folder)?;
    }
    println!("[2/3] the addon, release build (the first time takes a minute or two)");
    addon::build(job, Profile::Release)?;
    println!("[3/3] ready after {:.0} s", job.elapsed().as_secs_f64());
    Ok(())
}

pub(crate) fn stage(job: &mut Job<'_>) -> Outcome<()> {
    run(job, &[])?;
    setup::machine(job, servers::REDIS)?;
    run_servers(job)
}

fn run_servers(job: &mut Job<'_>) -> Outcome<()> {
    let mut node = job.command("node");
    job.run(node.arg(SERVERS))
}

fn run(job: &mut Job<'_>, arguments: &[String]) -> Outcome<()> {
    let script = job.workspace.path(SCRIPT);
    if !script.is_file() {
        return Err(Failure::new(format!("{SCRIPT} is missing")));
    }
    let session = Session::create()?;
    let mut node = session.command(job, "node");
    node.arg(&script).args(arguments);
    job.run(&mut node)
}
