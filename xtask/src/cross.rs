//! `cargo xtask cross windows | macos | linux [PLATFORM]... | other`: as much of the other systems as can be had on Debian.
//!
//! Windows programs run under Wine, those of other processors under qemu, macOS is type-checked and linted, and so is one
//! system that nothing was written for. What each of that shows, and what it does not, is said where it is run and in
//! docs/platforms.md; CI runs the tests on the real systems.
//!
//! Everything that is needed is fetched once into `cross` in cargo's target folder: two gigabytes (the compiler, Wine's
//! Windows, a Node for each platform), and up to ten more of what is built there, one to two for each target. Remove that
//! folder to begin anew.

mod debian;
mod linux;
mod linux_command;
mod linux_node;
mod macos;
mod musl;
mod node;
mod other;
mod toolchain;
mod windows;
mod wine;

use std::time::Duration;

use crate::job::{Failure, Job, Outcome};
use crate::workspace::Workspace;

/// Three standard libraries, and as many releases, are built anew by the first `cross linux`: more than an hour on two
/// processors that do other things too.
const LONGEST: Duration = Duration::from_secs(2 * 60 * 60);

/// What tries one system, given the words behind its name.
type Try = fn(&mut Job<'_>, &[String]) -> Outcome<String>;

pub(crate) fn command(workspace: &Workspace, arguments: &[String]) -> Outcome<()> {
    let (name, run): (_, Try) = match arguments {
        [system] if system == "windows" => ("cross-windows", |job, _| windows::run(job)),
        [system] if system == "macos" => ("cross-macos", |job, _| macos::run(job)),
        [system, ..] if system == "linux" => ("cross-linux", linux::run),
        [system] if system == "other" => ("cross-other", |job, _| other::run(job)),
        _ => return Err(Failure::new("cross wants one of windows, macos, linux [PLATFORM]..., other")),
    };
    let mut job = Job::start(workspace, name, LONGEST, true)?;
    let outcome = run(&mut job, &arguments[1..]);
    let left = job.left_behind();
    let report = outcome?;
    if !left.is_empty() {
        return Err(Failure::new(format!("left processes behind: {}", left.join("; "))));
    }
    println!("\n{report}\n{name} done in {:.0} s", job.elapsed().as_secs_f64());
    Ok(())
}
