//! Another process, for tests: it uses a cache as it is told, and can be stopped, killed or traced meanwhile.
//!
//! ```text
//! torture serve PATH           obeys commands on standard input, one per line, one line of answer each
//! torture once PATH DURABILITY TEXT
//!                              one transaction between two marks that a trace shows; @N is a text of N bytes
//! torture count PATH NAME COUNT DURABILITY
//!                              COUNT transactions that leave a number, checked for loss, overlap and tearing
//! torture watch PATH           reads until its standard input closes, checking for tearing and time running back
//! torture people PATH NAME COUNT
//!                              signs COUNT people in, one by one, and every other one out again
//! torture crowd PATH COUNT      COUNT writes at once, and how many threads they take while they wait
//! torture crowds FOLDER COUNT   writes of COUNT caches at once, and how many threads they take
//! torture fork PATH COUNT       forks COUNT times while its threads use the library
//! torture residue PATH SEED    has a secret made from SEED, and lets go of it
//! torture serve-item MARKER BUS LOCKS
//! torture once-item MARKER BUS LOCKS TEXT
//!                              as serve and once, on an item of the Secret Service
//! torture open PATH SERVICE FALLBACKS VERB [TEXT]
//!                              what a configuration finds: read, info, or add the entries of TEXT
//! torture migrate FROM TO      moves one store into another, between two marks that a trace shows
//! ```
//! `serve` lives in `serve.rs`, the content that betrays every fault in `ledger.rs`, the Secret Service in `item.rs`, the
//! stores of the last two in `stores.rs`.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the tests read what it prints")]

#[cfg(target_os = "linux")]
mod crowd;
#[cfg(unix)]
mod forking;
#[cfg(target_os = "linux")]
mod item;
mod ledger;
mod people;
mod residue;
mod serve;
#[cfg(target_os = "linux")]
mod stores;

use std::error::Error;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use tokenkeep::{TokenCache, options::Durability, storage::FilePersistence};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("torture: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[OsString]) -> Outcome<()> {
    let [verb, path, rest @ ..] = arguments else { return Err("usage: torture VERB PATH ...".into()) };
    let path = Path::new(path);
    let rest: Vec<&str> =
        rest.iter().map(|word| word.to_str().ok_or("not UTF-8")).collect::<Result<_, _>>()?;
    match (verb.to_str(), &rest[..]) {
        (Some("serve"), []) => serve::serve(path),
        (Some("once"), [durability, text]) => once(path, parse(durability)?, text),
        (Some("count"), [name, count, durability]) => {
            ledger::count(path, name, count.parse()?, parse(durability)?)
        }
        (Some("watch"), []) => ledger::watch(path),
        (Some("people"), [name, count]) => people::come_and_go(path, name, count.parse()?),
        #[cfg(target_os = "linux")]
        (Some("crowd"), [count]) => crowd::on_one_path(path, count.parse()?),
        #[cfg(target_os = "linux")]
        (Some("crowds"), [count]) => crowd::on_many_paths(path, count.parse()?),
        #[cfg(unix)]
        (Some("fork"), [count]) => forking::fork_often(path, count.parse()?),
        (Some("residue"), [seed]) => residue::leave(path, seed.parse()?),
        #[cfg(target_os = "linux")]
        (Some("serve-item"), [bus, locks]) => item::obey(&item::Whereabouts { marker: path, bus, locks }),
        #[cfg(target_os = "linux")]
        (Some("once-item"), [bus, locks, text]) => {
            item::once(&item::Whereabouts { marker: path, bus, locks }, text)
        }
        #[cfg(target_os = "linux")]
        (Some("open"), [service, fallbacks, verb, text @ ..]) => {
            let text = text.first().copied().unwrap_or_default();
            conclude(stores::open(path, service, fallbacks, verb, text))
        }
        #[cfg(target_os = "linux")]
        (Some("migrate"), [to]) => conclude(stores::migrate(path.to_str().ok_or("not UTF-8")?, to)),
        _ => Err("unknown verb or wrong number of arguments".into()),
    }
}

/// Prints one line and succeeds with any answer: only a crash is a failure.
#[cfg(target_os = "linux")]
fn conclude(outcome: tokenkeep::Result<String>) -> Outcome<()> {
    println!("{}", serve::answer(&outcome));
    Ok(())
}

fn parse(durability: &str) -> Outcome<Durability> {
    match durability {
        "synced" => Ok(Durability::Synced),
        "cached" => Ok(Durability::Cached),
        other => Err(format!("no durability {other:?}").into()),
    }
}

/// Makes one lock, write and release, between two accesses to nonexistent paths, which mark it in a trace.
fn once(path: &Path, durability: Durability, text: &str) -> Outcome<()> {
    let cache = TokenCache::new(FilePersistence::new(path)?.durability(durability));
    let long = text.strip_prefix('@').map(str::parse).transpose()?.map(|length| "x".repeat(length));
    let text = long.as_deref().unwrap_or(text);
    mark("begin");
    let outcome = cache.begin_write().and_then(|access| access.commit(text));
    mark("end");
    println!("{}", serve::answer(&outcome.map(|_| String::new())));
    Ok(())
}

fn mark(name: &str) {
    // Only the access matters, not its result.
    drop(std::fs::symlink_metadata(Path::new("/tokenkeep-torture").join(name)));
}
