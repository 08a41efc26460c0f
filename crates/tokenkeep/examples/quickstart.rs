//! Opens a cache in the best-protected store of this machine, adds a line to it and prints where it is.
//!
//! `cargo run --example quickstart -- [PATH] [--allow-plaintext]`

use std::process::ExitCode;

use tokenkeep::{Config, Result, event::Event, options::Store};

fn main() -> ExitCode {
    match run() {
        Ok(said) => {
            say(&said);
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&format!("failed: {}: {error}", error.kind()));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<String> {
    let mut config = Config::new("tokenkeep-quickstart").on_event(|event| {
        if let Event::Warning(_) | Event::FellBack { .. } = event {
            say(&format!("warning: {event}"));
        }
    });
    for argument in std::env::args().skip(1) {
        config = match argument.as_str() {
            "--allow-plaintext" => config.fallback([Store::PlaintextFile]),
            path => config.path(path),
        };
    }
    let cache = config.open()?;

    let write = cache.begin_write()?; // waits for the lock, then sees what others wrote
    let mut next = write.content().unwrap_or_default().to_vec();
    next.extend_from_slice(b"a secret\n");
    write.commit(next)?;

    let lines = cache.read()?.map_or(0, |content| content.expose().split(|byte| *byte == b'\n').count() - 1);
    let info = cache.info();
    Ok(format!("{lines} in {} ({}, {})", info.location, info.backend.code(), info.protection.code()))
}

/// Examples may print; the library may not.
#[allow(clippy::print_stdout)]
fn say(text: &str) {
    println!("{text}");
}
