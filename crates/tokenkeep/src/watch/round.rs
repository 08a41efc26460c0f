//! The thread of a watcher: waits for signs, makes one check for many of them, and reports the difference.

use std::hash::RandomState;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::accounts::Accounts;
use super::signs::Signs;
use super::{CacheChanged, Signal, WatchOptions};
use crate::platform::files;
use crate::{Error, ErrorKind, Result, Snapshot, TokenCache};

/// The interval of checks without file events.
const BLIND: Duration = Duration::from_secs(2);

/// The interval of checks with file events, some of which the system may drop.
const USUAL: Duration = Duration::from_secs(60);

/// The pause after a failed read: the first and the longest.
const AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// How long an empty file may wait for new content: a sibling truncates before it writes, and a busy machine can stop
/// it in between for longer than a reader waits.
const EMPTIED: Duration = Duration::from_secs(1);

pub(super) type Callback = Box<dyn FnMut(Result<CacheChanged>) + Send>;

pub(super) struct Round {
    cache: TokenCache,
    options: WatchOptions,
    on_change: Callback,
    received: Receiver<Signal>,
    signs: Option<Signs>,
    hasher: RandomState,
    /// The accounts that the callback knows.
    reported: Accounts,
    /// The accounts in the content that this process saw last, and the number of that content.
    now: Accounts,
    generation: u64,
    /// The error of the last check, and the pause before the next.
    failed: Option<(ErrorKind, Duration)>,
    /// The time since which the file is empty, while the callback still has accounts.
    emptied: Option<Instant>,
    arm_again: bool,
    look_at: Option<Instant>,
    check_at: Instant,
    reread_at: Option<Instant>,
}

impl Round {
    pub(super) fn start(
        cache: TokenCache,
        options: WatchOptions,
        on_change: Callback,
        signals: Sender<Signal>,
        received: Receiver<Signal>,
    ) -> Result<()> {
        let path = cache.persistence().path().to_owned();
        // Signs and own changes are collected from here on. Older changes are in the content that is read next.
        let signs = if cache.is_in_memory() { None } else { arm(&cache, &path, signals.clone()) };
        cache.tell(signals);
        let snapshot = cache.snapshot()?;
        let hasher = RandomState::new();
        // The first check reports content that cannot be parsed.
        let (now, generation) = match Accounts::of(snapshot.content.as_ref(), &hasher) {
            Ok(accounts) => (accounts, snapshot.generation),
            Err(_) => (Accounts::default(), 0),
        };
        let start = Instant::now();
        let mut round = Self {
            cache,
            options,
            on_change,
            received,
            signs,
            hasher,
            reported: now.clone(),
            now,
            generation,
            failed: None,
            emptied: None,
            arm_again: false,
            look_at: Some(start),
            check_at: start,
            reread_at: None,
        };
        round.reread_at = round.options.reread_every.map(|every| later(start, every));
        round.check_at = later(start, round.check_every());
        let thread = std::thread::Builder::new().name("tokenkeep-watch".into());
        let started = thread.spawn(move || round.run());
        started.map(drop).map_err(|error| Error::io("Cannot start a thread to watch the cache", &path, error))
    }

    fn run(mut self) {
        loop {
            let due = [self.look_at, self.reread_at].into_iter().flatten().fold(self.check_at, Instant::min);
            match self.received.recv_timeout(due.saturating_duration_since(Instant::now())) {
                Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(signal) => self.note(signal),
                Err(RecvTimeoutError::Timeout) => {
                    if self.look().is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Records a signal at once and leaves the work for later.
    fn note(&mut self, signal: Signal) {
        match signal {
            Signal::Sign { arm_again } => self.arm_again |= arm_again,
            Signal::Seen { own, snapshot } => self.learn(own, &snapshot),
            Signal::Stop => return,
        }
        let soon = later(Instant::now(), self.options.coalesce);
        // After a failure, a signal causes an earlier check.
        self.look_at = Some(self.look_at.map_or(soon, |at| at.min(soon)));
    }

    /// Records the content that this process saw last. An own change is not reported.
    fn learn(&mut self, own: bool, snapshot: &Snapshot) {
        if snapshot.generation <= self.generation {
            return;
        }
        // The next check reports content that cannot be parsed.
        let Ok(accounts) = Accounts::of(snapshot.content.as_ref(), &self.hasher) else { return };
        self.generation = snapshot.generation;
        if own {
            self.reported.follow(&self.now, &accounts);
        }
        self.now = accounts;
    }

    /// Checks the store and reports the difference. `Err` if the watcher was dropped.
    fn look(&mut self) -> std::result::Result<(), Stopped> {
        let start = Instant::now();
        let checking = start >= self.check_at;
        if checking || self.arm_again {
            self.arm_again = false;
            if let Some(error) = self.signs.as_mut().and_then(|signs| signs.arm().err()) {
                self.signs = None;
                blind(&self.cache, &error);
            }
        }
        self.look_at = None;
        self.check_at = later(start, self.check_every());
        if self.reread_at.is_some_and(|at| at <= start) {
            self.cache.forget();
            self.reread_at = self.options.reread_every.map(|every| later(start, every));
        }
        let read = self.cache.snapshot();
        // Signals of the read itself; some may concern later changes.
        while let Ok(signal) = self.received.try_recv() {
            match signal {
                Signal::Stop => return Err(Stopped),
                Signal::Seen { own, snapshot } => self.learn(own, &snapshot),
                sign @ Signal::Sign { .. } => self.note(sign),
            }
        }
        if read.as_ref().is_ok_and(|snapshot| self.awaits_content(snapshot)) {
            self.look_at = Some(Instant::now() + EMPTIED / 4);
            return Ok(());
        }
        let understood = read.and_then(|snapshot| match snapshot.generation > self.generation {
            // It was recorded, unless it could not be parsed.
            true => Accounts::of(snapshot.content.as_ref(), &self.hasher).map(drop),
            false => Ok(()),
        });
        match understood {
            Ok(()) => {
                self.failed = None;
                if let Some(event) = self.reported.difference(&self.now) {
                    self.reported = self.now.clone();
                    (self.on_change)(Ok(event));
                }
            }
            Err(error) => self.fail(error.at(self.cache.persistence().path())),
        }
        Ok(())
    }

    /// Returns whether the file was truncated a moment ago and may be filled again.
    fn awaits_content(&mut self, snapshot: &Snapshot) -> bool {
        let empty = snapshot.content.as_ref().is_some_and(|content| content.expose().is_empty());
        if !empty || self.reported == self.now {
            self.emptied = None;
            return false;
        }
        self.emptied.get_or_insert_with(Instant::now).elapsed() < EMPTIED
    }

    fn fail(&mut self, error: Error) {
        let kind = error.kind();
        let wait = match self.failed {
            Some((_, before)) => (before * 2).min(AGAIN.1),
            None => AGAIN.0,
        };
        let news = self.failed.is_none_or(|(before, _)| before != kind);
        self.failed = Some((kind, wait));
        self.look_at = Some(later(Instant::now(), wait));
        if news {
            (self.on_change)(Err(error));
        }
    }

    fn check_every(&self) -> Duration {
        let path = self.cache.persistence().path();
        let blind = self.signs.is_none() && !self.cache.is_in_memory();
        let usual = if blind || files::is_remote(files::directory_of(path)) { BLIND } else { USUAL };
        self.options.check_every.unwrap_or(usual)
    }
}

/// The watcher was dropped.
struct Stopped;

/// Returns the system's events for the file, if it has any; otherwise warns.
fn arm(cache: &TokenCache, path: &Path, signals: Sender<Signal>) -> Option<Signs> {
    let armed = Signs::new(path, signals).and_then(|mut signs| signs.arm().map(|()| signs));
    match armed {
        Ok(signs) => Some(signs),
        Err(error) => {
            blind(cache, &error);
            None
        }
    }
}

/// Warns that from now on there are only checks at intervals.
fn blind(cache: &TokenCache, error: &notify::Error) {
    cache.warn(|| {
        let path = cache.persistence().path();
        format!("There are no file events for {path:?}, so that it is looked at now and then: {error}")
    });
}

/// Returns the time after `wait`; a day later where the clock cannot count so far.
fn later(start: Instant, wait: Duration) -> Instant {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    start.checked_add(wait).unwrap_or(start + DAY)
}
