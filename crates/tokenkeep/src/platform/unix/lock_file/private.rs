//! The private lock file: one permanent inode, on which processes of tokenkeep exclude each other by flock.
//!
//! flock keeps no order: a process that releases it and asks again at once gets it before those that wait have woken up.
//! So a process pauses after a few acquisitions in a row. Without the pause the fastest of eight processes gets 2 to 6
//! times the turns of the slowest.

use std::fs::File;
use std::io;
use std::sync::{Mutex, MutexGuard, TryLockError};
use std::time::{Duration, Instant};

use super::super::directory::Entry;
use super::super::files::{self, retry};
use super::{Paths, cannot_link, is_at, is_unsupported, try_lock};
use crate::names;
use crate::platform::writing;
use crate::{Error, ErrorKind, Result};

/// Long enough for a waiting process to wake up. An acquisition sooner than this after a release continues a row.
const PAUSE: Duration = Duration::from_micros(300);
/// Pause after this many acquisitions in a row while other processes wait,
const IN_A_ROW: u32 = 4;
/// and after this many where no other took the lock during the last pause.
const IN_A_ROW_ALONE: u32 = 32;

/// The acquisitions of this process in a row.
static ROW: Mutex<Row> = Mutex::new(Row { identity: (0, 0), released: None, left: IN_A_ROW });

struct Row {
    /// The file released last, and the time.
    identity: (u64, u64),
    released: Option<Instant>,
    /// The number of further acquisitions before a pause.
    left: u32,
}

/// Returns the row, unless another thread has it, which in a forked process may not exist.
fn row() -> Option<MutexGuard<'static, Row>> {
    match ROW.try_lock() {
        Ok(row) => Some(row),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// Returns whether this acquisition must pause first.
fn is_pause_due(identity: (u64, u64)) -> bool {
    let Some(mut row) = row() else { return false };
    let follows = row.identity == identity && row.released.is_some_and(|at| at.elapsed() < PAUSE);
    if !follows {
        row.left = IN_A_ROW;
    }
    row.left = row.left.saturating_sub(1);
    row.left == 0
}

/// The private lock file, open and, if the file system has flock, flocked.
#[derive(Debug)]
pub(crate) struct Private {
    file: File,
    /// Its device and inode.
    identity: (u64, u64),
    /// `false` on a file system without flock: then only the sibling file excludes.
    flocked: bool,
    /// The process that took it: a child forked later has the file open too, but must not release the lock.
    owner: u32,
}

impl Private {
    fn new((file, identity): Opened, flocked: bool) -> Self {
        Self { file, identity, flocked, owner: std::process::id() }
    }

    /// Takes the private lock if it is free.
    pub(crate) fn attempt(paths: &Paths) -> Result<Option<Self>> {
        let opened = open(paths)?;
        let paused = is_pause_due(opened.1);
        if paused {
            std::thread::sleep(PAUSE);
        }
        let locked = try_lock(&opened.0);
        if paused && let Some(mut row) = row() {
            row.left = if matches!(locked, Ok(true)) { IN_A_ROW_ALONE } else { IN_A_ROW };
        }
        match locked {
            Ok(true) => Ok(Some(Self::new(opened, true))),
            Ok(false) => Ok(None),
            Err(error) if is_unsupported(&error) => Ok(Some(Self::new(opened, false))),
            Err(error) => Err(cannot_lock(paths, error)),
        }
    }

    /// Waits until the private lock is free, and takes it.
    pub(crate) fn block(paths: &Paths) -> Result<Self> {
        let opened = open(paths)?;
        retry(|| opened.0.lock()).map_err(|error| cannot_lock(paths, error))?;
        if let Some(mut row) = row() {
            row.left = IN_A_ROW;
        }
        Ok(Self::new(opened, true))
    }

    /// Returns whether the path still names the held file.
    pub(crate) fn is_current(&self, paths: &Paths) -> Result<bool> {
        is_at(&paths.private, self.identity)
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn identity(&self) -> (u64, u64) {
        self.identity
    }

    /// Returns whether this process took it, as opposed to its parent before a fork.
    pub(super) fn is_own(&self) -> bool {
        self.owner == std::process::id()
    }

    /// Simulates a lock of a process that has just forked.
    #[cfg(test)]
    pub(super) fn as_in_a_forked_child(&mut self) {
        self.owner = self.owner.wrapping_add(1);
    }

    pub(super) fn is_flocked(&self) -> bool {
        self.flocked
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        if self.flocked && self.is_own() {
            // Unlock explicitly, because a child forked in the meantime keeps the open file, and with it the lock. If
            // that fails, the close follows.
            let _ = retry(|| self.file.unlock());
            if let Some(mut row) = row() {
                (row.identity, row.released) = (self.identity, Some(Instant::now()));
            }
        }
    }
}

fn cannot_lock(paths: &Paths, error: io::Error) -> Error {
    Error::io("Cannot lock the private lock file", &paths.private, error)
}

/// The file with its device and inode.
type Opened = (File, (u64, u64));

fn open(paths: &Paths) -> Result<Opened> {
    let path = &paths.private;
    // Two rounds are enough unless the file is removed repeatedly.
    for _ in 0..100 {
        match files::careful().read(true).write(true).open(path) {
            Ok(file) => {
                let status = paths.require_ours(path, &file)?;
                return Ok((file, files::identity(&status)));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(paths)?,
            Err(error) => return Err(files::open_failed(path, error)),
        }
    }
    Err(Error::new(ErrorKind::Io, "The private lock file is removed again and again").at(path))
}

/// Creates the private file if no other process does. It gets its name last: a kill between its creation and its mode
/// or owner would otherwise leave a file that locks its rightful user out permanently.
fn create(paths: &Paths) -> Result<()> {
    let path = &paths.private;
    let failed = |error| Error::io("Cannot create the lock file", path, error);
    let temporary = paths.target.named(names::temporary_name(&paths.target)?);
    let file = files::careful().read(true).write(true).create_new(true).open(&temporary).map_err(failed)?;
    let finished = paths.finish_new(&temporary, &file);
    let linked = finished.map(|()| temporary.link(path));
    writing::remove_persistently(&temporary);
    match linked? {
        Err(error) if cannot_link(&error) => create_in_place(paths, path),
        // Another process was faster; or a writer took the file for one of a killed process and removed it. Try
        // again.
        Err(error) if matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) => {
            Ok(())
        }
        outcome => outcome.map_err(failed),
    }
}

fn create_in_place(paths: &Paths, path: &Entry) -> Result<()> {
    match files::careful().read(true).write(true).create_new(true).open(path) {
        Ok(file) => paths.finish_new(path, &file),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Error::io("Cannot create the lock file", path, error)),
    }
}
