//! The core's events on their way to Python's logging, which takes them after each call: no Python code runs on a thread of the
//! core.

use std::collections::VecDeque;
use std::sync::{Mutex, TryLockError};

use pyo3::pyfunction;
use tokenkeep::event::Event;

/// Events for which nobody has asked. More than any call causes; the oldest go first.
const MOST: usize = 1_000;

/// A thread of the core may hold this lock while another thread forks. So nobody waits for it.
static QUEUE: Mutex<VecDeque<(u8, String)>> = Mutex::new(VecDeque::new());

/// The levels of Python's `logging`.
const WARNING: u8 = 30;
const INFO: u8 = 20;
const DEBUG: u8 = 10;

/// Adds an event.
pub(crate) fn put(event: &Event) {
    let level = match event {
        Event::Notice(_) => DEBUG,
        Event::Encrypted { .. } | Event::Moved { .. } => INFO,
        _ => WARNING,
    };
    with_queue(|queue| {
        if queue.len() == MOST {
            queue.pop_front();
        }
        queue.push_back((level, event.to_string()));
    });
}

/// Returns the events since the last call, each with its level of `logging`.
#[pyfunction]
pub(crate) fn take_events() -> Vec<(u8, String)> {
    let mut taken = Vec::new();
    with_queue(|queue| taken.extend(queue.drain(..)));
    taken
}

fn with_queue(work: impl FnOnce(&mut VecDeque<(u8, String)>)) {
    // Other threads hold the lock for as long as one of these two functions takes.
    for _ in 0..1_000 {
        match QUEUE.try_lock() {
            Ok(mut queue) => return work(&mut queue),
            Err(TryLockError::Poisoned(poisoned)) => return work(&mut poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => std::thread::yield_now(),
        }
    }
}
