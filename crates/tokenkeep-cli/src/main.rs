//! The command `tokenkeep`: shows which stores this machine has and what its token caches hold, and repairs them.
//!
//! This file leads from the arguments to an exit code. Each command has a file that calls the library. `output.rs`
//! prints, `stores.rs` finds the store that the arguments name, `known.rs` has the paths of other programs' caches.
#![expect(clippy::print_stderr, reason = "telling a person what failed is what a command does")]

mod arguments;
mod clear;
mod consent;
mod doctor;
mod endpoint;
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
    // Prints help, the version and usage errors, and exits with 0 or 2.
    #[cfg(feature = "stand-in-keychain")]
    tokenkeep_stand_in_keychain::install();
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

/// Reports a failure: as an object on standard output with `--json`, else as a sentence.
fn report(failure: &Failure, output: &Output) -> ExitCode {
    if output.is_json() {
        // If standard output fails, print the sentence below.
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
