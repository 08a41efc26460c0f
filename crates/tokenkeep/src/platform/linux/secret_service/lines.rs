//! The connections of this process: one for each bus, which all items share.
//!
//! KeePassXC asks a person about each connection, and gnome-keyring keeps a record of each. A connection is closed some time
//! after the last of its items.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::bus_error::BusError;
use super::deadline::Deadline;
use super::worker::Worker;
use crate::fork::PerProcess;

/// How long a bus that did not answer counts as silent. Programs open several caches one after another.
const SILENCE: Duration = Duration::from_secs(10);

static LINES: PerProcess<Mutex<Vec<Line>>> = PerProcess::new();

/// What this process has with one bus.
#[derive(Debug)]
struct Line {
    bus: String,
    worker: Option<Arc<Worker>>,
    /// When it did not answer in which time.
    silent: Option<(Instant, Duration)>,
}

impl Line {
    fn is_silent(&self) -> bool {
        self.silent.is_some_and(|(since, _)| since.elapsed() < SILENCE)
    }
}

/// Returns the connection to the bus at these addresses.
pub(super) fn to(bus: &str) -> Result<Arc<Worker>, BusError> {
    let mut lines = lines();
    // A forked child has none of its parent's threads.
    lines.retain(|line| line.worker.as_ref().map_or(line.is_silent(), |worker| worker.is_ours()));
    let line = entry(&mut lines, bus);
    if let Some(worker) = &line.worker {
        return Ok(Arc::clone(worker));
    }
    let worker = Arc::new(Worker::start(bus.to_owned(), close_unused)?);
    line.worker = Some(Arc::clone(&worker));
    Ok(worker)
}

/// Gives up a connection: its thread is stuck or dead.
pub(super) fn give_up(worker: &Arc<Worker>) {
    for line in lines().iter_mut() {
        if line.worker.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, worker)) {
            line.worker = None;
        }
    }
}

/// Closes the connection to a bus if no item has it.
fn close_unused(bus: &str) {
    lines().retain(|line| {
        let unused = line.worker.as_ref().is_some_and(|worker| Arc::strong_count(worker) == 1);
        !(unused && line.bus == bus)
    });
}

/// Notes whether a bus answered in the time of an operation.
pub(super) fn note_silence(bus: &str, silent: Option<Duration>) {
    let mut lines = lines();
    entry(&mut lines, bus).silent = silent.map(|limit| (Instant::now(), limit));
}

/// Fails if the bus was silent a moment ago for as long as this operation may take.
pub(super) fn require_sound(bus: &str, deadline: &Deadline) -> Result<(), BusError> {
    let lines = lines();
    let line = lines.iter().find(|line| line.bus == bus && line.is_silent());
    match line.and_then(|line| line.silent) {
        Some((_, waited)) if waited >= deadline.limit() => Err(BusError::TimedOut(waited)),
        _ => Ok(()),
    }
}

fn entry<'l>(lines: &'l mut Vec<Line>, bus: &str) -> &'l mut Line {
    let at = lines.iter().position(|line| line.bus == bus).unwrap_or_else(|| {
        lines.push(Line { bus: bus.to_owned(), worker: None, silent: None });
        lines.len() - 1
    });
    &mut lines[at]
}

fn lines() -> MutexGuard<'static, Vec<Line>> {
    // The list is whole at every moment, also after a panic.
    LINES.get().lock().unwrap_or_else(PoisonError::into_inner)
}
