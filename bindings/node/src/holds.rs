//! Locks that JavaScript holds between two calls.
//!
//! JavaScript knows a hold by a number. One that is neither used nor released within [`LIMIT`] is released by the clock,
//! even while the event loop stands still; one that is being used is out of the table, so the clock cannot reach it.

use std::collections::HashMap;
use std::io;
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
    /// The lock of a path, and before it the one of the item that several paths share.
    Lock {
        guard: LockGuard,
        _outer: Option<LockGuard>,
    },
}

impl Held {
    pub(crate) fn guard(&self) -> &LockGuard {
        match self {
            Self::Write(access) => access.guard(),
            Self::Lock { guard, .. } => guard,
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
        let due = Self::start_clock(link, hold, LIMIT).map_err(|_| Failure::unanswered())?;
        table.entries.insert(hold, Entry { held, due: Some(due) });
        Ok(hold)
    }

    fn start_clock(link: &Arc<Link>, hold: u32, delay: Duration) -> io::Result<Due> {
        let owner = Arc::downgrade(link);
        timer::after(delay, move || expire(&owner, hold))
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

    /// Uses a hold and puts it back, with what is left of its time. Meanwhile it cannot expire.
    pub(crate) fn with<T>(
        link: &Arc<Link>,
        hold: u32,
        work: impl FnOnce(&mut Held) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let entry = link.holds().table().entries.remove(&hold).ok_or_else(Failure::expired)?;
        entry.stop_clock();
        let mut back = PutBack { link, hold, entry: Some(entry) };
        match &mut back.entry {
            Some(entry) => work(&mut entry.held),
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
    link: &'a Arc<Link>,
    hold: u32,
    entry: Option<Entry>,
}

impl Drop for PutBack<'_> {
    fn drop(&mut self) {
        let Some(mut entry) = self.entry.take() else { return };
        let mut table = self.link.holds().table();
        let clock = entry.due.map(|due| Holds::start_clock(self.link, self.hold, due.left()));
        // Without a clock the lock could be held for ever.
        if table.closed || matches!(clock, Some(Err(_))) {
            drop(table);
            quietly(Place::Release, || drop(entry.held));
            return;
        }
        entry.due = clock.and_then(Result::ok);
        table.entries.insert(self.hold, entry);
    }
}

fn expire(owner: &Weak<Link>, hold: u32) {
    let held = owner.upgrade().and_then(|link| link.holds().take(hold));
    quietly(Place::Release, || drop(held));
}
