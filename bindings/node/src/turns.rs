//! Turns at the lock of a path: first come, first served, over all caches of this process, and with one thread.
//!
//! The core has such a line too, but each place in it takes a thread, whose start would also decide the order. Here
//! calls line up in the order JavaScript made them; only the first of each path waits on a thread.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokenkeep::{Cancel, Error, ErrorKind, WaitOptions};

use crate::channel::{Link, Ticket};
use crate::failure::Failure;
use crate::guard::{Place, guard, quietly};
use crate::pool;
use crate::reply::Reply;
use crate::timer::{self, Due};

type Work = Box<dyn FnOnce(&Arc<Link>, &WaitOptions) -> Result<Reply, Failure> + Send>;

static LINES: Mutex<Option<HashMap<PathBuf, VecDeque<Arc<Turn>>>>> = Mutex::new(None);

struct Turn {
    since: Instant,
    limit: Duration,
    cancel: Cancel,
    /// Taken by whoever comes first: the thread that serves the line, or the clock.
    job: Mutex<Option<Job>>,
}

struct Job {
    ticket: Ticket,
    work: Work,
    due: Option<Due>,
}

/// Lines up for the lock of `path`. When it is its turn, `work` gets what is left of `limit` to wait in, and its result
/// answers `ticket`.
pub(crate) fn line_up(
    path: &Path,
    limit: Duration,
    ticket: Ticket,
    work: impl FnOnce(&Arc<Link>, &WaitOptions) -> Result<Reply, Failure> + Send + 'static,
) {
    let cancel = ticket.link().cancel().clone();
    let job = Mutex::new(Some(Job { ticket, work: Box::new(work), due: None }));
    let turn = Arc::new(Turn { since: Instant::now(), limit, cancel, job });
    {
        let mut lines = lines();
        let lines = lines.get_or_insert_default();
        if let Some(line) = lines.get_mut(path) {
            line.push_back(Arc::clone(&turn));
        } else {
            lines.insert(path.to_owned(), VecDeque::from([turn]));
            let own = path.to_owned();
            if pool::run(move || serve(&own)).is_err() {
                // Nobody will come: dropping the line answers its tickets.
                lines.remove(path);
            }
            return;
        }
    }
    turn.start_clock(path);
}

fn serve(path: &Path) {
    while let Some(turn) = next(path) {
        quietly(Place::Turn, || turn.take());
    }
}

/// The next in the line of `path`; `None`, and the line is closed, when there is nobody.
fn next(path: &Path) -> Option<Arc<Turn>> {
    let mut lines = lines();
    let lines = lines.as_mut()?;
    let turn = lines.get_mut(path).and_then(VecDeque::pop_front);
    if turn.is_none() {
        lines.remove(path);
    }
    turn
}

impl Turn {
    fn take(&self) {
        let Some(job) = self.job().take() else { return };
        if let Some(due) = job.due {
            timer::cancel(due);
        }
        let wait = WaitOptions {
            limit: self.limit.saturating_sub(self.since.elapsed()),
            cancel: Some(self.cancel.clone()),
        };
        let Job { ticket, work, .. } = job;
        let result = guard(Place::Work, || work(ticket.link(), &wait));
        ticket.answer(result);
    }

    /// Gives up when the time is over before the turn has come.
    fn start_clock(self: &Arc<Self>, path: &Path) {
        let (turn, own) = (Arc::clone(self), path.to_owned());
        let due = timer::after(self.limit.saturating_sub(self.since.elapsed()), move || turn.give_up(&own));
        if let (Ok(due), Some(job)) = (due, self.job().as_mut()) {
            job.due = Some(due);
        }
    }

    fn give_up(&self, path: &Path) {
        let Some(job) = self.job().take() else { return };
        let waited = self.since.elapsed().as_millis();
        let error = Error::new(
            ErrorKind::Busy,
            format!("Waited {waited} ms for the lock of the cache behind other operations of this process"),
        );
        let error = error.at(path).remedy("Let them finish, or raise the time limit");
        job.ticket.answer(Err(error.into()));
    }

    fn job(&self) -> MutexGuard<'_, Option<Job>> {
        self.job.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lines() -> MutexGuard<'static, Option<HashMap<PathBuf, VecDeque<Arc<Turn>>>>> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}
