//! `tokenkeep lock`: shows the holder of a cache's lock, and removes an abandoned lock.
//!
//! The command does not delete the lock of a dead process. It acquires the lock, like any program with tokenkeep, and
//! releases it, so that nothing can change between check and removal. Only `--force` removes files of a living
//! process.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tokenkeep::inspect::{LockHolder, LockState};
use tokenkeep::options::WaitOptions;
use tokenkeep::{CacheLock, ErrorKind};

use crate::arguments::Lock;
use crate::exit::{Code, Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::output::{Output, bad, good, odd, title};
use crate::stores;
use crate::words::{duration, rfc3339};
use tokenkeep::inspect::printable;

/// The lock file of another library must be unchanged for up to 20 seconds before its owner counts as dead.
const PATIENCE: Duration = Duration::from_secs(30);

/// The private lock of this library, and the common lock of all libraries.
const FILES: [&str; 2] = [".tk-lock", ".lockfile"];

/// The outcome of the command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// The arguments asked only for the state.
    Looked,
    /// It would have been broken, without `--dry-run`.
    WouldBreak,
    Broken,
    /// The holder lives, and there is no `--force`.
    Refused,
}

/// Prints the holder of the lock, and breaks the lock if the arguments ask for it and allow it.
pub(crate) fn run(wanted: &Lock, limit: Option<Duration>, interrupt: &Interrupt, output: &Output) -> Outcome {
    let path = stores::path(&wanted.store)?;
    let lock = CacheLock::new(&path)?;
    let state = lock.state()?;
    // Take the time before the break, so that the printed ages do not depend on its length.
    let now = SystemTime::now();
    let action = match (&state, wanted.break_it) {
        (LockState::Left(_) | LockState::Held(_), false) | (LockState::Free, _) => Action::Looked,
        (LockState::Held(_), true) if !wanted.force => Action::Refused,
        (_, true) if wanted.dry_run => Action::WouldBreak,
        (LockState::Left(_), true) => {
            let wait = WaitOptions { limit: limit.unwrap_or(PATIENCE), cancel: Some(interrupt.cancel()) };
            drop(lock.acquire(&wait)?);
            Action::Broken
        }
        (LockState::Held(holder), true) => force(&lock, &path, holder)?,
        // A newer library may have more states.
        (_, true) => return Err(Failure::usage("This state of a lock is not known to this version")),
        (_, false) => Action::Looked,
    };
    if output.is_json() {
        output.json(&to_json(&path, &state, action, now))?;
    } else {
        output.text(&to_text(&path, &state, action, now))?;
    }
    Ok(match (&state, action) {
        (LockState::Free, _) => Code::Nothing,
        (LockState::Held(_), Action::Looked | Action::Refused) => Code::Busy,
        _ => Code::Ok,
    })
}

/// Removes the lock files of a living process, unless another process has taken the lock since the check.
fn force(lock: &CacheLock, path: &Path, seen: &LockHolder) -> Outcome<Action> {
    match lock.state()? {
        LockState::Held(now) if now.pid != seen.pid => {
            return Err(Failure::nothing(
                "The process that had the lock has given it back, and another has it now; nothing was changed",
            ));
        }
        _ => {}
    }
    // The private file is beside the cache itself, the common one beside the path as given.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let mut files = vec![(target.as_path(), FILES[0]), (path, FILES[1])];
    if cfg!(windows) {
        // No open file can be removed there, and every process of this library that holds the lock, or waits for it, has
        // the private one open.
        if seen.ours {
            let holder = seen.pid.map_or_else(|| "the process".to_owned(), |pid| format!("process {pid}"));
            let what = "Windows removes no lock file of a program that is running";
            return Err(tokenkeep::Error::new(ErrorKind::Busy, what)
                .at(path)
                .remedy(format!("End {holder}: that frees the lock at once"))
                .into());
        }
        files.remove(0);
    }
    for (beside, suffix) in files {
        let file = with_suffix(beside, suffix);
        match fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(tokenkeep::Error::io("Cannot remove the lock file", &file, error).into());
            }
            _ => {}
        }
    }
    Ok(Action::Broken)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Returns the printed parts of a state: its code, its holder, and whether the holder lives.
fn told(state: &LockState) -> (&'static str, Option<&LockHolder>, Option<bool>) {
    match state {
        // Unless the kernel confirms the holder, its pid may belong to another process by now, or to another machine.
        LockState::Held(holder) => ("held", Some(holder), holder.certain.then_some(true)),
        LockState::Left(holder) => ("stale", Some(holder), Some(false)),
        _ => ("free", None, None),
    }
}

fn since(holder: &LockHolder, now: SystemTime) -> Option<SystemTime> {
    now.checked_sub(holder.age?)
}

fn to_json(path: &Path, state: &LockState, action: Action, now: SystemTime) -> Value {
    let (code, holder, alive) = told(state);
    let holder = holder.map(|holder| {
        json!({
            "pid": holder.pid,
            "program": holder.command.as_deref().map(printable),
            "since": since(holder, now).and_then(rfc3339),
            "ageSeconds": holder.age.map(|age| age.as_secs()),
            "alive": alive,
            "library": if holder.ours { "tokenkeep" } else { "other" },
        })
    });
    json!({
        "path": path.display().to_string(),
        "state": code,
        "holder": holder,
        "broken": action == Action::Broken,
        "wouldBreak": action == Action::WouldBreak,
    })
}

fn to_text(path: &Path, state: &LockState, action: Action, now: SystemTime) -> String {
    let place = printable(&path.display().to_string());
    let (_, holder, alive) = told(state);
    let Some(holder) = holder else {
        return format!("{}\n  {}: nobody has the lock\n", title(&place), good("free"));
    };
    let mut text = format!("{}\n", title(&place));
    let mut line = |name: &str, value: String| text.push_str(&format!("  {name:<10} {value}\n"));
    line(
        "lock",
        match alive {
            Some(false) => format!("{}: left by a process that is gone", odd("stale")),
            _ => format!("{} by another process", bad("held")),
        },
    );
    line("process", holder.pid.map_or_else(|| "not known".to_owned(), |pid| pid.to_string()));
    let program = holder.command.as_deref().map_or_else(|| "not known".to_owned(), printable);
    line("program", program);
    let since = holder.age.zip(since(holder, now).and_then(rfc3339));
    line(
        "since",
        since.map_or_else(|| "not known".to_owned(), |(age, at)| format!("{at}, {} ago", duration(age))),
    );
    let alive = match alive {
        Some(true) => "yes, the system knows its lock",
        Some(false) => "no",
        None => "as far as can be told",
    };
    line("alive", alive.to_owned());
    let through = if holder.ours { "tokenkeep" } else { "another library" };
    line("through", through.to_owned());
    text.push_str(&advice(state, action, holder));
    text
}

fn advice(state: &LockState, action: Action, holder: &LockHolder) -> String {
    let stale = matches!(state, LockState::Left(_));
    let process = holder.pid.map_or_else(|| "that process".to_owned(), |pid| format!("process {pid}"));
    let advice = match (action, stale) {
        (Action::Looked, true) => {
            "Programs with tokenkeep take it over by themselves; for others, add --break".to_owned()
        }
        (Action::Looked, false) => format!("A write takes milliseconds: wait for {process}, or end it"),
        (Action::WouldBreak, true) => "It would be broken; nothing was changed".to_owned(),
        (Action::WouldBreak, false) => {
            format!("It would be broken under {process}, which may still write; nothing was changed")
        }
        (Action::Broken, true) => "It was broken: the cache can be written again".to_owned(),
        (Action::Broken, false) => format!(
            "{} it was broken under {process}. Should that still write, what others write meanwhile can be lost: end \
             it, and look at the cache with tokenkeep list",
            bad("Warning:")
        ),
        (Action::Refused, _) => format!(
            "Not broken, as its holder lives. End {process}, which frees the lock at once; --break --force breaks it \
             all the same, at the risk of losing what one of two writers writes"
        ),
    };
    format!("  {advice}\n")
}
