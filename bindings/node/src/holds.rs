//! Locks that JavaScript holds between two calls.
//!
//! JavaScript knows a hold by a number. One that is neither used nor released within [`LIMIT`] is released by the clock,
//! even while the event loop stands still; one that is being used is out of the table, so the clock cannot reach it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokenkeep::{LockGuard, WriteAccess};

use crate::channel::Link;
use crate::failure::Failure;
use crate::guard::{Place, quietly};
use crate::timer::{self, Due};

/// How long a client may take between `before` and `after`. msal-node takes microseconds; a debugger takes minutes,
/// and the siblings' locks count as stale after ten of them.
const LIMIT: Duration = Duration::from_secs(10);

/// What is held.
pub(crate) enum Held {
    Write(WriteAccess),
    Lock(LockGuard),
}

impl Held {
    pub(crate) fn guard(&self) -> &LockGuard {
        match self {
            Self::Write(access) => access.guard(),
            Self::Lock(guard) => guard,
        }
    }
}

/// The holds of one JavaScript thread.
#[derive(Default)]
pub(crate) struct Holds(Mutex<Table>);

#[derive(Default)]
struct Table {
    entries: HashMap<u32, Entry>,
    last: u32,
    closed: bool,
}

struct Entry {
    held: Held,
    /// `None` once the hold no longer expires.
    due: Option<Due>,
}

impl Holds {
    /// Gives `held` a number, and to the clock.
    pub(crate) fn insert(link: &Arc<Link>, held: Held) -> Result<u32, Failure> {
        let mut table = link.holds().table();
        if table.closed {
            return Err(Failure::closed());
        }
        // 0 means "no hold" to JavaScript.
        table.last = table.last.checked_add(1).unwrap_or(1);
        let hold = table.last;
        let owner = Arc::downgrade(link);
        let due = timer::after(LIMIT, move || expire(&owner, hold)).map_err(|_| Failure::unanswered())?;
        table.entries.insert(hold, Entry { held, due: Some(due) });
        Ok(hold)
    }

    /// Takes a hold out, to be used up; `None` when it has ended.
    pub(crate) fn take(&self, hold: u32) -> Option<Held> {
        let entry = self.table().entries.remove(&hold)?;
        entry.stop_clock();
        Some(entry.held)
    }

    /// Takes the clock off a hold; `false` when it has ended.
    pub(crate) fn pin(&self, hold: u32) -> bool {
        let mut table = self.table();
        let Some(entry) = table.entries.get_mut(&hold) else { return false };
        if let Some(due) = entry.due.take() {
            timer::cancel(due);
        }
        true
    }

    /// Uses a hold and puts it back, without the clock: its owner is at work.
    pub(crate) fn with<T>(
        &self,
        hold: u32,
        work: impl FnOnce(&mut Held) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut held = Some(self.take(hold).ok_or_else(Failure::expired)?);
        let back = PutBack { holds: self, hold, held: &mut held };
        match back.held {
            Some(held) => work(held),
            None => Err(Failure::expired()),
        }
    }

    /// Releases everything; from now on nothing can be held.
    pub(crate) fn close(&self) {
        let entries = {
            let mut table = self.table();
            table.closed = true;
            std::mem::take(&mut table.entries)
        };
        for entry in entries.into_values() {
            entry.stop_clock();
            quietly(Place::Release, || drop(entry.held));
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn stop_clock(&self) {
        if let Some(due) = self.due {
            timer::cancel(due);
        }
    }
}

/// Puts a hold back also when the work with it panics.
struct PutBack<'a> {
    holds: &'a Holds,
    hold: u32,
    held: &'a mut Option<Held>,
}

impl Drop for PutBack<'_> {
    fn drop(&mut self) {
        let Some(held) = self.held.take() else { return };
        let mut table = self.holds.table();
        if table.closed {
            drop(table);
            quietly(Place::Release, || drop(held));
        } else {
            table.entries.insert(self.hold, Entry { held, due: None });
        }
    }
}

fn expire(owner: &Weak<Link>, hold: u32) {
    let held = owner.upgrade().and_then(|link| link.holds().take(hold));
    quietly(Place::Release, || drop(held));
}
