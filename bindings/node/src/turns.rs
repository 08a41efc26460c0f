//! Turns at the lock of a path: first come, first served, over all caches of this process, and with one thread.
//!
//! The core has such a line too, but each place in it takes a thread, whose start would also decide the order. Here
//! calls line up in the order JavaScript made them; only the first of each path waits on a thread.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokenkeep::{
    Error, ErrorKind,
    options::{Cancel, WaitOptions},
};

use crate::channel::{Link, Ticket};
use crate::failure::Failure;
use crate::guard::{Place, guard, quietly};
use crate::pool;
use crate::reply::Reply;
use crate::timer::{self, Due};

type Work = Box<dyn FnOnce(&Arc<Link>, &WaitOptions) -> Result<Reply, Failure> + Send>;

static LINES: Mutex<Option<Lines>> = Mutex::new(None);

type Lines = HashMap<PathBuf, Line>;

#[derive(Default)]
struct Line {
    waiting: VecDeque<Arc<Turn>>,
    /// Whether there is a thread for it.
    served: bool,
}

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
    start(path, limit, ticket, Box::new(work));
}

/// Not generic, to be there once.
fn start(path: &Path, limit: Duration, ticket: Ticket, work: Work) {
    let cancel = ticket.link().cancel().clone();
    let job = Mutex::new(Some(Job { ticket, work, due: None }));
    let turn = Arc::new(Turn { since: Instant::now(), limit, cancel, job });
    let first = {
        let mut lines = lines();
        let line = lines.get_or_insert_default().entry(path.to_owned()).or_default();
        line.waiting.push_back(Arc::clone(&turn));
        !std::mem::replace(&mut line.served, true)
    };
    if first {
        // Without a thread the server is dropped, and answers for the line.
        let server = Server { path: path.to_owned(), done: false };
        let _ = pool::run(move || server.serve());
    } else {
        turn.start_clock(path);
    }
}

/// Serves the line of a path until nobody is left. One that ends before answers for those who wait.
struct Server {
    path: PathBuf,
    done: bool,
}

impl Server {
    fn serve(mut self) {
        while let Some(turn) = next(&self.path) {
            quietly(Place::Turn, || turn.take());
        }
        self.done = true;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let line = lines().as_mut().and_then(|lines| lines.remove(&self.path));
        for turn in line.into_iter().flat_map(|line| line.waiting) {
            // Dropping the ticket answers. The clock may still know the turn, but finds nothing to do.
            drop(turn.job().take());
        }
    }
}

/// The next in the line of `path`; `None`, and the line is closed, when there is nobody.
fn next(path: &Path) -> Option<Arc<Turn>> {
    let mut lines = lines();
    let lines = lines.as_mut()?;
    let turn = lines.get_mut(path).and_then(|line| line.waiting.pop_front());
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

fn lines() -> MutexGuard<'static, Option<Lines>> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}
