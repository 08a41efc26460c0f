//! Locks that JavaScript holds between two calls.
//!
//! JavaScript knows a hold by a number. One that is neither used nor released within [`LIMIT`] is released by a timer of the
//! core's, even while the event loop stands still; one that is being used is out of the table, so the timer cannot reach it.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokenkeep::nonblocking::{Timer, after};
use tokenkeep::{LockGuard, WriteAccess};

use crate::failure::Failure;
use crate::guard::{Place, quietly};

/// How long a client may take between `before` and `after`. msal-node takes microseconds; a debugger takes minutes,
/// and the siblings' locks count as stale after ten of them.
const LIMIT: Duration = Duration::from_secs(10);

/// What is held.
pub(crate) enum Hold {
    Write(WriteAccess),
    /// The lock of a path, and before it the one of the item that several paths share.
    Lock {
        guard: LockGuard,
        _outer: Option<LockGuard>,
    },
}

impl Hold {
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
    hold: Hold,
    end: Instant,
    /// `None` once the hold no longer expires.
    timer: Option<Timer>,
}

impl Holds {
    /// Gives `hold` a number, and a timer.
    pub(crate) fn insert(self: &Arc<Self>, hold: Hold) -> Result<u32, Failure> {
        let mut table = self.table();
        if table.closed {
            return Err(Failure::closed());
        }
        // 0 means "no hold" to JavaScript.
        table.last = table.last.checked_add(1).unwrap_or(1);
        let number = table.last;
        let end = Instant::now() + LIMIT;
        let timer = self.start_timer(number, end).map_err(|_| Failure::unanswered())?;
        table.entries.insert(number, Entry { hold, end, timer: Some(timer) });
        Ok(number)
    }

    fn start_timer(self: &Arc<Self>, number: u32, end: Instant) -> io::Result<Timer> {
        let holds = Arc::downgrade(self);
        let left = end.saturating_duration_since(Instant::now());
        after(left, move || quietly(Place::Timer, || expire(&holds, number)))
    }

    /// Takes a hold out, to be used up; `None` when it has ended.
    pub(crate) fn take(&self, number: u32) -> Option<Hold> {
        let entry = self.table().entries.remove(&number)?;
        Some(entry.hold)
    }

    /// Ends the expiry of a hold; `false` when it has ended.
    pub(crate) fn pin(&self, number: u32) -> bool {
        self.table().entries.get_mut(&number).map(|entry| entry.timer = None).is_some()
    }

    /// Uses a hold and puts it back, with what is left of its time. Meanwhile it cannot expire.
    pub(crate) fn with<T>(
        self: &Arc<Self>,
        number: u32,
        work: impl FnOnce(&mut Hold) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let Entry { hold, end, timer } = self.table().entries.remove(&number).ok_or_else(Failure::expired)?;
        let end = timer.is_some().then_some(end);
        drop(timer);
        let mut back = PutBack { holds: self, number, end, hold: Some(hold) };
        match &mut back.hold {
            Some(hold) => work(hold),
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
            quietly(Place::Release, || drop(entry));
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts a hold back also when the work with it panics.
struct PutBack<'a> {
    holds: &'a Arc<Holds>,
    number: u32,
    /// `None` for a hold that does not expire.
    end: Option<Instant>,
    hold: Option<Hold>,
}

impl Drop for PutBack<'_> {
    fn drop(&mut self) {
        let Some(hold) = self.hold.take() else { return };
        let timer = self.end.map(|end| self.holds.start_timer(self.number, end)).transpose();
        let mut table = self.holds.table();
        match timer {
            Ok(timer) if !table.closed => {
                let end = self.end.unwrap_or_else(Instant::now);
                table.entries.insert(self.number, Entry { hold, end, timer });
            }
            // Without a timer the lock could be held for ever.
            _ => {
                drop(table);
                quietly(Place::Release, || drop(hold));
            }
        }
    }
}

fn expire(holds: &Weak<Holds>, number: u32) {
    let hold = holds.upgrade().and_then(|holds| holds.take(number));
    quietly(Place::Release, || drop(hold));
}
