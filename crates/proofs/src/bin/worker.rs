//! One process of a recorded run; `tests/linearizability.rs` starts several.
//!
//! `tokenkeep-proofs-worker PATH LOG NUMBER THREADS ACCOUNTS STORE FAULT PACE` does random operations in THREADS
//! threads until its standard input closes, up to a limit.
#![expect(clippy::print_stderr, reason = "the test shows it when something fails")]

use std::error::Error;
use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::{io, thread};

use tokenkeep::{TokenCache, options::Durability, storage::FilePersistence};
use tokenkeep_proofs::Dice;
use tokenkeep_proofs::clocked::Clocked;
use tokenkeep_proofs::workload::{Fault, Worker};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("worker: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [path, log, number, threads, accounts, store, fault, pace] = arguments else {
        return Err("wrong number of arguments".into());
    };
    let path = PathBuf::from(path);
    // One write a line, in append mode: lines written before a kill stay, and threads do not mix their lines.
    let log = File::options().append(true).create(true).open(log)?;
    let number: u64 = number.parse()?;
    let durability = if store == "synced" { Durability::Synced } else { Durability::Cached };
    let fault = Fault::ALL.into_iter().find(|known| known.word() == fault).ok_or("unknown fault")?;
    let open = || -> tokenkeep::Result<TokenCache> {
        Ok(match &**store {
            "clocked" => TokenCache::new(Clocked::new(&path)),
            _ => TokenCache::new(FilePersistence::new(&path)?.durability(durability)),
        })
    };
    let hasty = pace == "hasty";
    let shared = open()?;
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    // The process does not join this thread when its work is done first.
    thread::Builder::new().name("stdin".into()).spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        told.store(true, Ordering::Relaxed);
    })?;
    let tokens = AtomicU64::new(number * 1_000_000 + 1);
    let accounts = accounts.parse()?;
    thread::scope(|scope| {
        let (path, log, tokens, stop) = (&path, &log, &tokens, &stop);
        let mut running = Vec::new();
        for thread in 0..threads.parse()? {
            // Every third thread has its own `TokenCache`; the others share one.
            let cache = if thread % 3 == 2 { open()? } else { shared.clone() };
            let worker = Worker { cache, path, thread, log, tokens, stop, accounts, fault, hasty };
            let dice = Dice::new(number * 1000 + thread as u64);
            running.push(scope.spawn(move || worker.run(dice)));
        }
        for thread in running {
            thread.join().map_err(|_| "a thread panicked")??;
        }
        Ok(())
    })
}
