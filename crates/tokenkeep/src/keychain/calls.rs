//! Runs operations on the Keychain, each on its own thread within a time limit.
//!
//! The framework has no time limits, and its dialogues cannot be taken back. This file owns the rules that follow: an
//! operation whose caller has given up changes nothing any more and leaves prompts as they were; at most one operation
//! of this process asks about an item at a time. `keychain.rs` owns the steps of an operation.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::{Item, SecurityFramework, Status};
use crate::Secret;
use crate::options::Prompting;
use crate::threads::pool;

/// The pause before a prompting operation is repeated that overlapped a silent one, and the number of repetitions.
const OVERLAP_PAUSE: Duration = Duration::from_millis(50);
const OVERLAPS: u32 = 20;

/// How long the framework keeps a keychain open after its last use, with the permission to prompt that the first use
/// had: a keychain that a silent call has opened is not unlocked by a dialogue.
const KEPT_OPEN: Duration = Duration::from_secs(6);

/// The operations of this process on one framework.
#[derive(Debug)]
pub(super) struct Calls {
    framework: Arc<dyn SecurityFramework>,
    silence: Mutex<Silence>,
    turns: Mutex<HashMap<(Item, bool), Arc<Turn>>>,
}

/// The silent operations: while one runs, the whole process is silent.
#[derive(Debug, Default)]
struct Silence {
    running: usize,
    begun: u64,
    ended: Option<Instant>,
}

/// The operation on an item that prompts, or that did not answer in time.
#[derive(Debug, Default)]
struct Turn {
    state: Mutex<TurnState>,
    over: Condvar,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum TurnState {
    #[default]
    Running,
    /// Its caller has given up, but it goes on.
    Abandoned,
    Over(Option<Status>),
}

/// Why an operation has no result.
#[derive(Debug)]
pub(super) enum Unfinished {
    Refused(Status),
    /// Neither the system nor the user answered in time.
    Unanswered,
    /// An earlier operation on the item has not been answered.
    StillUnanswered,
    NoThread(io::Error),
}

/// The framework, for one operation: silent once its caller has given up.
pub(super) struct Call<'f> {
    framework: &'f dyn SecurityFramework,
    given_up: &'f AtomicBool,
}

impl Calls {
    /// Returns the operations on this framework, the same for all items of it.
    pub(super) fn of(framework: &Arc<dyn SecurityFramework>) -> Arc<Self> {
        // For good: a process has one framework.
        static ALL: Mutex<Vec<Arc<Calls>>> = Mutex::new(Vec::new());
        let address = |framework: &Arc<dyn SecurityFramework>| Arc::as_ptr(framework).cast::<()>();
        let mut all = lock(&ALL);
        if let Some(calls) = all.iter().find(|calls| address(&calls.framework) == address(framework)) {
            return Arc::clone(calls);
        }
        let calls = Arc::new(Self {
            framework: Arc::clone(framework),
            silence: Mutex::default(),
            turns: Mutex::default(),
        });
        all.push(Arc::clone(&calls));
        calls
    }

    /// Runs `work` on its own thread, within the time limit of `prompting` or the `deadline`.
    pub(super) fn run<T: Send + 'static>(
        self: &Arc<Self>,
        item: &Item,
        prompting: Prompting,
        deadline: Duration,
        work: impl Fn(&Call<'_>) -> Result<T, Status> + Send + 'static,
    ) -> Result<T, Unfinished> {
        let asks = prompting != Prompting::Never;
        let limit = match prompting {
            Prompting::Never => deadline,
            Prompting::Allowed { limit } => limit,
        };
        let began = Instant::now();
        let key = (item.clone(), asks);
        let turn = self.turn(&key, deadline, limit)?;
        let _silence = if asks { None } else { Some(self.begin_silence()?) };
        let given_up = Arc::new(AtomicBool::new(false));
        let (sender, receiver) = mpsc::sync_channel(1);
        let mut ending = Ending { calls: Arc::clone(self), key, turn: Arc::clone(&turn), refused: None };
        let stop = Arc::clone(&given_up);
        let perform = move || {
            let call = Call { framework: &*ending.calls.framework, given_up: &stop };
            let outcome = if asks { ending.calls.attempt(&call, &work) } else { work(&call) };
            ending.refused = outcome.as_ref().err().copied();
            drop(ending);
            // There is no receiver any more when the deadline has passed.
            let _ = sender.send(outcome);
        };
        let started = thread::Builder::new().name("tokenkeep-keychain".into()).spawn(perform);
        started.map_err(Unfinished::NoThread)?;
        let left = || limit.saturating_sub(began.elapsed());
        // Longer than the deadline only a person is waited for, which is no work of the pool's.
        let person = || pool::waiting(|| receiver.recv_timeout(left()));
        match receiver.recv_timeout(left().min(deadline)).or_else(|_| person()) {
            Ok(outcome) => outcome.map_err(Unfinished::Refused),
            Err(_) => {
                given_up.store(true, Ordering::SeqCst);
                let mut state = lock(&turn.state);
                if *state == TurnState::Running {
                    *state = TurnState::Abandoned;
                }
                turn.over.notify_all();
                Err(Unfinished::Unanswered)
            }
        }
    }

    /// Waits for the operation that asks about the same item. The same question is not asked again after a refusal, and
    /// not beside one without an answer.
    fn turn(&self, key: &(Item, bool), deadline: Duration, limit: Duration) -> Result<Arc<Turn>, Unfinished> {
        let began = Instant::now();
        loop {
            let ahead = {
                let mut turns = lock(&self.turns);
                match turns.get(key) {
                    // Silent operations do not wait for each other.
                    Some(turn) if key.1 || *lock(&turn.state) == TurnState::Abandoned => Arc::clone(turn),
                    _ => {
                        let turn = Arc::<Turn>::default();
                        turns.insert(key.clone(), Arc::clone(&turn));
                        return Ok(turn);
                    }
                }
            };
            let wait = || {
                let left = limit.saturating_sub(began.elapsed());
                let running = |state: &mut TurnState| *state == TurnState::Running;
                let state = lock(&ahead.state);
                let waited = ahead.over.wait_timeout_while(state, left, running);
                *waited.unwrap_or_else(PoisonError::into_inner).0
            };
            let state = if limit > deadline { pool::waiting(wait) } else { wait() };
            match state {
                TurnState::Over(None) => {}
                TurnState::Over(Some(status)) if is_refusal(status) => {
                    return Err(Unfinished::Refused(status));
                }
                TurnState::Over(Some(_)) => {}
                TurnState::Running => return Err(Unfinished::Unanswered),
                TurnState::Abandoned => return Err(Unfinished::StillUnanswered),
            }
        }
    }

    /// Does `work` with prompts.
    fn attempt<T>(
        &self,
        call: &Call<'_>,
        work: &dyn Fn(&Call<'_>) -> Result<T, Status>,
    ) -> Result<T, Status> {
        let mut unlocked = false;
        for _ in 0..OVERLAPS {
            let (before, opened_silently) = {
                let silence = lock(&self.silence);
                (silence.begun, silence.ended.is_some_and(|ended| ended.elapsed() < KEPT_OPEN))
            };
            let outcome = work(call);
            let Err(Status::AUTH_FAILED | Status::INTERACTION_NOT_ALLOWED) = outcome else { return outcome };
            let (running, begun) = {
                let silence = lock(&self.silence);
                (silence.running > 0, silence.begun)
            };
            if running || begun != before {
                // Another thread of this process is in a silent operation, which makes the whole process silent.
                thread::sleep(OVERLAP_PAUSE);
            } else if opened_silently && !unlocked {
                unlocked = true;
                call.unlock()?;
            } else {
                return outcome;
            }
        }
        work(call)
    }

    fn begin_silence(self: &Arc<Self>) -> Result<Silent, Unfinished> {
        let switch = self.framework.silence().map_err(Unfinished::Refused)?;
        let mut silence = lock(&self.silence);
        silence.running += 1;
        silence.begun += 1;
        Ok(Silent { calls: Arc::clone(self), _switch: switch })
    }
}

/// The end of an operation, also by a panic.
struct Ending {
    calls: Arc<Calls>,
    key: (Item, bool),
    turn: Arc<Turn>,
    refused: Option<Status>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        let mut turns = lock(&self.calls.turns);
        if turns.get(&self.key).is_some_and(|current| Arc::ptr_eq(current, &self.turn)) {
            turns.remove(&self.key);
        }
        *lock(&self.turn.state) = TurnState::Over(self.refused);
        self.turn.over.notify_all();
    }
}

/// Held by the caller, not by the thread: prompts are back when the caller has given up.
struct Silent {
    calls: Arc<Calls>,
    _switch: Box<dyn std::any::Any>,
}

impl Drop for Silent {
    fn drop(&mut self) {
        let mut silence = lock(&self.calls.silence);
        silence.running -= 1;
        silence.ended = Some(Instant::now());
    }
}

impl Call<'_> {
    /// Refuses to go on for a caller that has given up: the lock of the cache may be another process's by now.
    fn wanted(&self) -> Result<&dyn SecurityFramework, Status> {
        match self.given_up.load(Ordering::SeqCst) {
            true => Err(Status::USER_CANCELED),
            false => Ok(self.framework),
        }
    }

    pub(super) fn find(&self, item: &Item) -> Result<Secret, Status> {
        self.wanted()?.find(item)
    }

    pub(super) fn exists(&self, item: &Item) -> Result<bool, Status> {
        self.wanted()?.exists(item)
    }

    pub(super) fn accounts(&self, service: &str) -> Result<Vec<String>, Status> {
        self.wanted()?.accounts(service)
    }

    pub(super) fn update(&self, item: &Item, content: &[u8]) -> Result<(), Status> {
        self.wanted()?.update(item, content)
    }

    pub(super) fn add(&self, item: &Item, content: &[u8]) -> Result<(), Status> {
        self.wanted()?.add(item, content)
    }

    pub(super) fn delete(&self, item: &Item) -> Result<(), Status> {
        self.wanted()?.delete(item)
    }

    pub(super) fn delete_reference(&self, item: &Item) -> Result<(), Status> {
        self.wanted()?.delete_reference(item)
    }

    pub(super) fn default_keychain(&self) -> Result<(), Status> {
        self.wanted()?.default_keychain()
    }

    fn unlock(&self) -> Result<(), Status> {
        self.wanted()?.unlock()
    }
}

/// Returns whether a person, or the lack of one, refused.
fn is_refusal(status: Status) -> bool {
    matches!(status, Status::AUTH_FAILED | Status::USER_CANCELED | Status::INTERACTION_NOT_ALLOWED)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
