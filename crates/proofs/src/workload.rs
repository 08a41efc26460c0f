//! The work of a recorded process: random operations on a few accounts, through the real `TokenCache`.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tokenkeep::schema::Change;
use tokenkeep::{CacheLock, ErrorKind, Secret, TokenCache, WriteAccess, options::WaitOptions};

use crate::Dice;
use crate::accounts::{self, Accounts};
use crate::history::{Op, Outcome, call_line, now, return_line};

/// A deliberate fault of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Writes the file itself, without the lock.
    SkipLock,
    /// Takes the lock and then writes on the basis of its earlier content.
    SkipReload,
    /// Unlinks both lock files, which it does not hold, before it takes the lock.
    ForeignUnlink,
    /// Unlinks only the siblings' lock file, like the original library. This must do no harm.
    StrayUnlink,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 5] =
        [Self::None, Self::SkipLock, Self::SkipReload, Self::ForeignUnlink, Self::StrayUnlink];

    /// Returns its word on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SkipLock => "skip-lock",
            Self::SkipReload => "skip-reload",
            Self::ForeignUnlink => "foreign-unlink",
            Self::StrayUnlink => "stray-unlink",
        }
    }
}

/// One thread of one process.
#[derive(Debug)]
pub struct Worker<'a> {
    /// The cache, which other threads may share.
    pub cache: TokenCache,
    /// The path of the file.
    pub path: &'a Path,
    /// The number of the thread in its process.
    pub thread: usize,
    /// The log of calls and returns.
    pub log: &'a File,
    /// The source of tokens, each given once.
    pub tokens: &'a AtomicU64,
    /// Tells the thread to end.
    pub stop: &'a AtomicBool,
    /// The number of accounts.
    pub accounts: u8,
    /// The deliberate fault.
    pub fault: Fault,
    /// Never pauses and deletes often.
    pub hasty: bool,
}

/// The most operations of a thread, so that a history can be checked in seconds.
const ENOUGH: usize = 400;

/// An operation that failed, with the outcome to log.
type Step<T> = Result<T, Outcome>;

impl Worker<'_> {
    /// Runs one operation after another.
    ///
    /// # Errors
    /// If the log cannot be written.
    pub fn run(&self, mut dice: Dice) -> io::Result<()> {
        // The content that a client read and then did not reload.
        let mut known: Option<Secret> = None;
        for _ in 0..ENOUGH {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let op = self.choose(&mut dice, known.as_ref());
            let called = now();
            (&*self.log).write_all(call_line(self.thread, called, &op).as_bytes())?;
            let outcome = self.perform(&op, &mut dice, &mut known).unwrap_or_else(|outcome| outcome);
            (&*self.log).write_all(return_line(self.thread, now(), &outcome).as_bytes())?;
            self.pause(&mut dice, 4, 400);
        }
        Ok(())
    }

    fn pause(&self, dice: &mut Dice, once_in: u64, micros: u64) {
        if !self.hasty && dice.once_in(once_in) {
            thread::sleep(Duration::from_micros(dice.below(micros)));
        }
    }

    fn choose(&self, dice: &mut Dice, known: Option<&Secret>) -> Op {
        let account = u8::try_from(dice.below(u64::from(self.accounts))).unwrap_or_default();
        let token = self.tokens.fetch_add(1, Ordering::Relaxed);
        let token = if dice.once_in(4) { None } else { Some(token) };
        match dice.below(if self.hasty { 24 } else { 20 }) {
            0..8 => Op::Read,
            8..14 => Op::Set(account, token),
            14..19 => {
                let base = accounts::read(known.map(Secret::expose)).unwrap_or_default();
                // A client that does not know the account cannot sign it out.
                let token = if base.contains_key(&account) { token } else { token.or(Some(self.fresh())) };
                Op::Merge(base, account, token)
            }
            _ => Op::Delete,
        }
    }

    fn fresh(&self) -> u64 {
        self.tokens.fetch_add(1, Ordering::Relaxed)
    }

    fn perform(&self, op: &Op, dice: &mut Dice, known: &mut Option<Secret>) -> Step<Outcome> {
        if let Op::Read = op {
            *known = self.cache.read().map_err(failed)?;
            return Ok(Outcome::Saw(understand(known.as_ref().map(Secret::expose))?));
        }
        if self.fault == Fault::SkipLock && matches!(op, Op::Set(..)) {
            return self.write_without_lock(op, dice);
        }
        if matches!(self.fault, Fault::ForeignUnlink | Fault::StrayUnlink) {
            self.unlink_lock_files();
        }
        let stale = known.clone();
        let access = self.begin(dice)?;
        // Pause inside the transaction, so that processes collide.
        self.pause(dice, 2, 800);
        let found = access.content().map(Secret::from);
        let old = understand(found.as_ref().map(Secret::expose))?;
        match op {
            Op::Read => unreachable!("handled above"),
            Op::Set(account, token) => {
                let (build_on, old) = if self.fault == Fault::SkipReload && stale.is_some() {
                    let old = understand(stale.as_ref().map(Secret::expose))?;
                    (stale, old)
                } else {
                    (found, old)
                };
                let ours = accounts::change(build_on.as_ref().map(Secret::expose), *account, *token)
                    .map_err(Outcome::Failed)?;
                let snapshot = access.commit(ours).map_err(failed)?;
                *known = snapshot.content;
                Ok(Outcome::Changed(old, understand(known.as_ref().map(Secret::expose))?))
            }
            Op::Merge(_, account, token) => {
                let base = stale.as_ref().map(Secret::expose);
                let ours = accounts::change(base, *account, *token).map_err(Outcome::Failed)?;
                let base = base.or(Some(b"{}"));
                let change = Change { held: None, base, ours: &ours, disturbed: false };
                match access.commit_change(&change) {
                    Ok(snapshot) => {
                        *known = snapshot.content;
                        Ok(Outcome::Changed(old, understand(known.as_ref().map(Secret::expose))?))
                    }
                    Err(error) if error.kind() == ErrorKind::Conflict => Ok(Outcome::Conflict(old)),
                    Err(error) => Err(failed(error)),
                }
            }
            Op::Delete => {
                access.delete().map_err(failed)?;
                *known = None;
                Ok(Outcome::Changed(old, Accounts::new()))
            }
        }
    }

    /// Begins a write, mostly with a long limit and sometimes with none.
    fn begin(&self, dice: &mut Dice) -> Step<WriteAccess> {
        let millis = if dice.once_in(8) { dice.below(4) } else { 20_000 };
        let begun = self.cache.begin_write_waiting(&WaitOptions::within(Duration::from_millis(millis)));
        begun.map_err(|error| match error.kind() {
            ErrorKind::Busy => Outcome::GaveUp,
            _ => failed(error),
        })
    }

    /// Writes like a library without a lock, with an atomic rename.
    fn write_without_lock(&self, op: &Op, dice: &mut Dice) -> Step<Outcome> {
        let Op::Set(account, token) = op else { unreachable!("asked for sets alone") };
        let broken = |error: io::Error| Outcome::Failed(error.to_string());
        let found = match std::fs::read(self.path) {
            Ok(found) => Some(found),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(broken(error)),
        };
        let old = understand(found.as_deref())?;
        let ours = accounts::change(found.as_deref(), *account, *token).map_err(Outcome::Failed)?;
        thread::sleep(Duration::from_micros(dice.below(800)));
        let aside = self.path.with_extension(format!("{}-{}", std::process::id(), self.thread));
        std::fs::write(&aside, &ours).and_then(|()| std::fs::rename(&aside, self.path)).map_err(broken)?;
        Ok(Outcome::Changed(old, understand(Some(&ours))?))
    }

    fn unlink_lock_files(&self) {
        let endings: &[&str] = match self.fault {
            Fault::ForeignUnlink => &["tk-lock", "lockfile"],
            _ => &["lockfile"],
        };
        for ending in endings {
            let mut name = self.path.as_os_str().to_owned();
            name.push(".");
            name.push(ending);
            // There is usually no such file.
            let _ = std::fs::remove_file(name);
        }
    }
}

/// Takes the free lock of the cache at `path`, a check after all processes have ended.
///
/// # Errors
/// Those of [`CacheLock::acquire`].
pub fn lock_is_free(path: &Path) -> tokenkeep::Result<()> {
    CacheLock::new(path)?.acquire(&WaitOptions::within(Duration::from_secs(1))).map(drop)
}

fn understand(content: Option<&[u8]>) -> Step<Accounts> {
    accounts::read(content).map_err(Outcome::Failed)
}

fn failed(error: tokenkeep::Error) -> Outcome {
    Outcome::Failed(format!("{error:?}"))
}
