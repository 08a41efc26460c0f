//! Taking a lock without a thread that waits.
//!
//! An [`Acquisition`] is a waiter of the queue whose waker resumes it on a thread of the pool. It moves on in three steps,
//! each of which ends at once: find the file behind the path, in the order of the calls; wait to be the first of the file's
//! queue; wait for the operating system's lock. Only for a sibling's lock file it then needs a thread, one for each path,
//! because that has to be looked at again and again.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};
use std::thread;

use super::deadline::Deadline;
use super::queue::{Key, Waiter};
use super::{CacheLock, LockGuard, QUEUES, Resolved};
use crate::options::Registration;
use crate::platform::lock_file::Private;
use crate::threads::pool;
use crate::threads::timer::{self, Alarm};
use crate::{Error, ErrorKind, Result};

/// What an acquisition ends with; `Err` is a panic.
pub(crate) type Outcome<T> = thread::Result<Result<T>>;

type Done = Box<dyn FnOnce(Outcome<LockGuard>) + Send>;

struct Acquisition {
    lock: CacheLock,
    deadline: Deadline,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    stage: Stage,
    /// Taken by the call that ends the acquisition.
    done: Option<Done>,
    alarm: Option<Alarm>,
    registration: Option<Registration>,
}

#[derive(Default)]
enum Stage {
    /// Waits to find the file.
    Entering(Waiter<Private>),
    /// Waits for the lock of the file.
    Waiting(Waiter<Private>),
    #[default]
    Over,
}

/// A waiter whose turn has come, and the files that it found if it has just looked.
type Ready = (Waiter<Private>, Option<Resolved>);

impl CacheLock {
    /// Takes the lock and calls `done` with it on a thread of the pool. This call does not block; `done` may.
    ///
    /// # Errors
    /// None: they are given to `done`, on this thread if there is no other.
    pub(crate) fn acquire_then(
        &self,
        deadline: Deadline,
        done: impl FnOnce(Outcome<LockGuard>) + Send + 'static,
    ) {
        Acquisition::start(self.clone(), deadline, Box::new(done));
    }
}

impl Acquisition {
    /// Not generic, to be there once.
    fn start(lock: CacheLock, deadline: Deadline, done: Done) {
        let key = match lock.within_process() {
            true => Key::InProcess(lock.path.clone()),
            false => Key::Entrance(lock.path.clone()),
        };
        let this = Arc::new(Self { lock, deadline, state: Mutex::default() });
        {
            let mut state = this.state();
            state.done = Some(done);
            let waker = Waker::from(Arc::clone(&this));
            state.registration = this.deadline.wake_when_cancelled(&waker);
            let waiter = QUEUES.get().enter(key, waker);
            state.stage = match this.lock.within_process() {
                true => Stage::Waiting(waiter),
                false => Stage::Entering(waiter),
            };
        }
        this.wake();
    }

    /// Goes on as far as possible without waiting.
    fn resume(self: &Arc<Self>) {
        let mut state = self.state();
        let advanced = catch_unwind(AssertUnwindSafe(|| self.advance(&mut state)));
        let ready = match advanced {
            Ok(Ok(None)) => return,
            Ok(Ok(Some(ready))) => Ok(Ok(ready)),
            Ok(Err(error)) => Ok(Err(error)),
            Err(panic) => Err(panic),
        };
        let ended = std::mem::take(&mut *state);
        drop(state);
        // Lets go of all that could wake this acquisition. Not under the mutex: it wakes the next waiter.
        let State { done: Some(done), .. } = ended else { return };
        done(ready.and_then(|ready| {
            catch_unwind(AssertUnwindSafe(|| {
                ready.and_then(|(waiter, resolved)| self.take(waiter, resolved))
            }))
        }));
    }

    /// The waiter, if its turn has come. `None`: it will be woken.
    fn advance(self: &Arc<Self>, state: &mut State) -> Result<Option<Ready>> {
        let mut resolved = None;
        if let Stage::Entering(entrance) = &state.stage
            && entrance.is_first()
        {
            self.deadline.require_wanted()?;
            let found = self.lock.resolve()?;
            let waiter = QUEUES.get().enter(found.key(), Waker::from(Arc::clone(self)));
            resolved = Some(found);
            // Leaves the entrance, so that the next call for this path finds its file, and enters behind this one.
            state.stage = Stage::Waiting(waiter);
        }
        if let Stage::Waiting(waiter) = &state.stage
            && waiter.is_first()
        {
            self.deadline.require_wanted()?;
            // At the deadline a last attempt is made by a call that may block for the moment of grace.
            let ready = self.begin(waiter, &mut resolved)? || self.deadline.left().is_err();
            if ready && let Stage::Waiting(waiter) = std::mem::take(&mut state.stage) {
                return Ok(Some((waiter, resolved)));
            }
        }
        if matches!(state.stage, Stage::Over) {
            return Ok(None);
        }
        self.deadline.left().map_err(|error| self.lock.explain_anew(error, &self.deadline))?;
        if state.alarm.is_none()
            && let Some(end) = self.deadline.end()
        {
            let alarm = timer::wake_at(end, Waker::from(Arc::clone(self))).map_err(no_thread)?;
            state.alarm = Some(alarm);
        }
        Ok(None)
    }

    /// Begins to take the lock as the first of the queue; `true` when nothing remains to be waited for here.
    fn begin(&self, waiter: &Waiter<Private>, resolved: &mut Option<Resolved>) -> Result<bool> {
        let found = match resolved.take() {
            Some(found) => found,
            None => self.lock.resolve()?,
        };
        let paths = match &found.paths {
            // The file behind the path is another one now: the call that may block begins again.
            _ if found.key() != *waiter.key() => return Ok(true),
            None => return Ok(true),
            Some(paths) => paths.clone(),
        };
        let block = {
            let paths = paths.clone();
            move || Private::block(&paths)
        };
        let ready = waiter.begin(|| Private::attempt(&paths), block)?;
        *resolved = Some(found);
        Ok(ready)
    }

    /// Takes the lock as the first of the queue.
    fn take(&self, waiter: Waiter<Private>, resolved: Option<Resolved>) -> Result<LockGuard> {
        if let Some(resolved) = resolved
            && resolved.key() == *waiter.key()
        {
            if let Some(guard) = self.lock.take(waiter, resolved, &self.deadline)? {
                return Ok(guard);
            }
        } else {
            drop(waiter);
        }
        self.lock.acquire_until(&self.deadline)
    }

    /// Ends without having been able to go on.
    fn fail(&self, error: Error) {
        let ended = std::mem::take(&mut *self.state());
        if let Some(done) = ended.done {
            done(Ok(Err(error)));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Acquisition {
    fn wake(self: Arc<Self>) {
        let own = Arc::clone(&self);
        if let Err(cause) = pool::run(move || own.resume()) {
            self.fail(no_thread(cause));
        }
    }
}

fn no_thread(cause: std::io::Error) -> Error {
    Error::new(ErrorKind::Io, "Cannot start a thread for an operation on the cache").because(cause)
}
