//! The command `tokenkeep`: what this machine offers to keep sign-ins safe, what its token caches hold, and how to put
//! them right.
//!
//! This file goes from the arguments to an exit code. One file per command does the work over the library; the words
//! for it are `output.rs`, which store is meant `stores.rs`, and where caches of other programs stand `known.rs`.
#![expect(clippy::print_stderr, reason = "telling a person what failed is what a command does")]

mod arguments;
mod clear;
mod consent;
mod doctor;
mod end;
mod exit;
mod generate;
mod interrupt;
mod known;
mod list;
mod lock;
mod migrate;
mod output;
mod platform;
mod progress;
mod sign_out;
mod stores;
mod words;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};
use exit::{Code, Failure};
use output::Output;

fn main() -> ExitCode {
    // Prints help, the version and errors of usage, and ends with 0 or 2.
    let arguments = Arguments::parse();
    let output = Output::new(arguments.common.color.into(), arguments.common.json);
    let interrupt = interrupt::Interrupt::install();
    let limit = arguments.common.timeout;
    let outcome = match arguments.command {
        Command::Doctor(wanted) => doctor::run(&wanted, limit, &output),
        Command::List(wanted) => list::run(&wanted, limit, &interrupt, &output),
        Command::SignOut(wanted) => sign_out::run(&wanted, limit, &interrupt, &output),
        Command::Clear(wanted) => clear::run(&wanted, limit, &interrupt, &output),
        Command::Migrate(wanted) => migrate::run(&wanted, limit, &interrupt, &output),
        Command::Lock(wanted) => lock::run(&wanted, limit, &interrupt, &output),
        Command::Completions { shell } => generate::completions(shell, &output),
        Command::Man => generate::man(&output),
    };
    match outcome {
        Ok(code) => code.into(),
        Err(failure) => report(&failure, &output),
    }
}

/// Says what failed: as an object on standard output where the output is for programs, else as a sentence.
fn report(failure: &Failure, output: &Output) -> ExitCode {
    if output.is_json() {
        // Standard output that cannot be written leaves the sentence below.
        if output.json(&failure.to_json()).is_ok() {
            return failure.code().into();
        }
    }
    eprintln!("tokenkeep: {failure}");
    if failure.code() == Code::Usage {
        eprintln!("For the options, see tokenkeep --help");
    }
    failure.code().into()
}
