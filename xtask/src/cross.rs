//! `cargo xtask cross windows | macos | linux [PLATFORM]... | other | oldest`: tests of other systems, as far as Debian can
//! run them.
//!
//! Windows programs run under Wine, those of other processors under qemu. macOS is type-checked and linted, and so is
//! one system without code of its own. The runs and docs/platforms.md say what each of them shows; CI runs the tests
//! on the real systems.
//!
//! All downloads go into `cross` in cargo's target folder: two gigabytes (the compiler, Wine's Windows, a Node for
//! each platform), and up to ten more for the builds, one to two for each target. Remove that folder to start again.

mod debian;
mod linux;
mod linux_command;
mod linux_node;
mod macos;
mod musl;
mod node;
mod oldest;
mod other;
mod toolchain;
mod windows;
mod wine;

use std::time::Duration;

use crate::job::{Failure, Job, Outcome};
use crate::workspace::Workspace;

/// The first `cross linux` builds three standard libraries and as many releases: more than an hour on two busy
/// processors.
const LONGEST: Duration = Duration::from_secs(2 * 60 * 60);

/// A function that tries one system, with the words after its name.
type Try = fn(&mut Job<'_>, &[String]) -> Outcome<String>;

pub(crate) fn command(workspace: &Workspace, arguments: &[String]) -> Outcome<()> {
    let (name, run): (_, Try) = match arguments {
        [system] if system == "windows" => ("cross-windows", |job, _| windows::run(job)),
        [system] if system == "macos" => ("cross-macos", |job, _| macos::run(job)),
        [system, ..] if system == "linux" => ("cross-linux", linux::run),
        [system] if system == "other" => ("cross-other", |job, _| other::run(job)),
        [system] if system == "oldest" => ("cross-oldest", |job, _| oldest::run(job)),
        _ => {
            return Err(Failure::new(
                "cross wants one of windows, macos, linux [PLATFORM]..., other, oldest",
            ));
        }
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
