//! The project's own commands, started as `cargo xtask <command>`.
//!
//! This file owns the command line. What the commands do lives next door: the list of test stages in `stages.rs`, how a
//! stage runs and is reported in `suite.rs`, how a child process is bounded in `job.rs`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what a command-line tool does")]

mod addon;
mod api;
mod bench;
mod book;
#[cfg(unix)]
mod cross;
mod cycles;
mod demo;
mod digest;
mod errors;
mod executable;
mod features;
mod hygiene;
mod job;
mod keychain;
mod keyring;
mod keyrings;
mod lanes;
mod languages;
mod mixed;
mod npm;
mod pack;
mod pages;
mod pe;
mod platform;
mod pypackage;
mod python;
mod rust;
mod screenshots;
mod servers;
mod setup;
mod siblings;
mod stages;
mod suite;
mod tally;
mod tarball;
mod vectors;
mod wheel;
mod workspace;

use std::process::ExitCode;

use job::Outcome;
use workspace::Workspace;

const USAGE: &str = "\
Usage: cargo xtask <command>

  demo [--server | -- ARGS]
                      build everything, then run the sign-in demo in a private keyring session; --server: two web servers,
                      one Redis, which is stopped and comes back
                      (ARGS go to the demo: --client-id ID --tenant TENANT sign in for real)
  test [-v] [--list] [--lanes N] [--only STAGE]...
                      run every check and test; --only runs the named stages and what they need;
                      --lanes says how many run side by side (2)
  torture [-v] [--list] [--times N] [--only STAGE]...
                      the tests of crashes and crowds, N times longer (20); goes on after a stage that fails
  bench [--quick] [--rounds N] [--only GROUP]
                      measures ours beside what people would otherwise run; --quick takes two minutes and keeps nothing
  cross windows|macos|other|oldest|linux [PLATFORM]...
                      what can be built, checked and run here of the other systems, with Wine and qemu; of Linux all
                      that is not this machine's, or PLATFORM, as in linux-arm64-musl; oldest runs this machine's
                      packages on Debian 11
  api                 writes the lists of the public items in docs/api anew
  errors              writes docs/errors.md and the codes of the Node package anew, from the table in the core
  docs                builds the guide as a site in target/book, and the reference of the Rust crates
  screenshots         draws the pictures of the command in docs anew, from its transcripts
  setup               bring this machine to the state the tests need
  build [--release [--auditable] [--for PLATFORM]]
                      build the addon and the TypeScript of the npm package, with --release the command as well;
                      --auditable lists the crates in the binaries; --for links with zig for PLATFORM, also this
                      machine's, on Linux for glibc 2.28 and newer
  pack                write the npm tarballs for this platform to target/npm
  dist [--complete] [--prebuilt]
                      the same for every platform whose addon lies in bindings/node; --complete demands all that a
                      release runs, for glibc 2.28; --prebuilt takes this platform's, too, as it is
  wheel               build the Python package for glibc 2.17 and newer, check it, and try it in each Python that is here
  test-packages       pack, then install and run the tarballs in every runtime, package manager and bundler
                      (downloads half a gigabyte of npm packages the first time; at most 40 minutes)
  lock                bring the npm lock files up to date with their package.json
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(code) => code,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(arguments: &[String]) -> Outcome<ExitCode> {
    let workspace = Workspace::locate()?;
    let (command, rest) =
        arguments.split_first().map_or(("help", &[][..]), |(first, rest)| (first.as_str(), rest));
    match command {
        "demo" => demo::command(&workspace, rest.strip_prefix(&["--".to_owned()]).unwrap_or(rest))?,
        "test" => return suite::command(&workspace, &stages::TEST, rest),
        "torture" => return suite::command(&workspace, &stages::TORTURE, rest),
        "bench" => bench::command(&workspace, rest)?,
        #[cfg(unix)]
        "cross" => cross::command(&workspace, rest)?,
        "api" => api::command(none(command, rest).map(|()| &workspace)?)?,
        "errors" => errors::command(&workspace, none(command, rest)?)?,
        "docs" => book::command(&workspace, none(command, rest)?)?,
        "screenshots" => screenshots::command(&workspace, none(command, rest)?)?,
        "setup" => setup::command(&workspace, none(command, rest)?)?,
        "build" => addon::command(&workspace, addon::Options::parse(rest)?)?,
        "lock" => npm::lock_command(&workspace, none(command, rest)?)?,
        "pack" => pack::command(&workspace, none(command, rest)?)?,
        "test-packages" => pack::test_command(&workspace, none(command, rest)?)?,
        "wheel" => wheel::command(&workspace, none(command, rest)?)?,
        "dist" => pack::dist_command(&workspace, rest)?,
        "help" | "-h" | "--help" => println!("{USAGE}"),
        unknown => return Err(job::Failure::new(format!("there is no command {unknown:?}\n\n{USAGE}"))),
    }
    Ok(ExitCode::SUCCESS)
}

/// Refuses arguments where a command takes none, instead of ignoring a misspelt option.
fn none(command: &str, rest: &[String]) -> Outcome<()> {
    match rest.first() {
        None => Ok(()),
        Some(argument) => {
            Err(job::Failure::new(format!("{command} takes no argument {argument:?}\n\n{USAGE}")))
        }
    }
}
