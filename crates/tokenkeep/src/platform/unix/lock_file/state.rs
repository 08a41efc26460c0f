//! Reads the state of both lock files without changing them.
//!
//! It finds the holder of a file's flock by taking a shared flock and releasing it at once. A process that tries to
//! take the flock in that instant finds it busy, waits as usual, and gets it a moment later.

use std::fs::{File, TryLockError};
use std::time::Duration;

use super::super::files::{self, retry};
use super::holder::FlockHolder;
use super::{Author, LockHolder, LockState, Paths, Record, is_unsupported, record};
use crate::Result;
use crate::lock::cannot_look;
use crate::platform::process::{self, Life};

/// A sibling creates its file and then writes its pid; a kill between the two leaves an empty file.
const NAMELESS: Duration = Duration::from_secs(10);

/// Returns the state of the lock.
///
/// # Errors
/// `UnsafeFile`, `PermissionDenied`, `Io`.
pub(crate) fn state(paths: &Paths) -> Result<LockState> {
    let options = files::careful().read(true);
    let private = files::open_existing(&paths.private, options)?;
    let ours_inside = match &private {
        Some((file, _)) => flock(file).map_err(|error| cannot_look(&paths.private, error))? == Flock::Busy,
        None => false,
    };
    let Some((file, status)) = files::open_existing(&paths.sibling, options)? else {
        // The holder is between the two files, acquiring or releasing.
        return Ok(match private.filter(|_| ours_inside) {
            Some((file, status)) => {
                LockState::Held(LockHolder::of(&Record::read(&file), status.modified().ok(), true))
            }
            None => LockState::Free,
        });
    };
    let flock = flock(&file).map_err(|error| cannot_look(&paths.sibling, error))?;
    let record = Record::read(&file);
    let modified = status.modified().ok();
    let holder = |certain| LockHolder::of(&record, modified, certain);
    let mut flock = flock;
    if flock == Flock::Busy {
        match FlockHolder::of(&status) {
            FlockHolder::Known(pid) => {
                let mut holder = holder(true);
                // The record of a process that has ended names nobody. The flock is another one's.
                if record.pid() != Some(pid)
                    && record.pid().is_none_or(|pid| process::life(pid) == Life::Dead)
                {
                    holder =
                        LockHolder { pid: Some(pid), command: process::command(pid), ours: false, ..holder };
                }
                return Ok(LockState::Held(holder));
            }
            FlockHolder::Untold => {
                let certain = record.pid().is_some_and(|pid| process::life(pid) != Life::Dead);
                return Ok(LockState::Held(holder(certain)));
            }
            FlockHolder::Stranger => flock = Flock::Unsupported,
        }
    }
    let dead = match record.author() {
        // A living process of ours has the flock, unless the file system does not share flocks with other machines.
        Author::Ours if flock == Flock::Free && !paths.remote => true,
        Author::Ours => record.is_dead_here() || flock == Flock::Free && record.is_of_this_boot(),
        Author::Sibling(pid) => record::is_dead_sibling(pid, &status, paths.remote),
        Author::Nobody => holder(false).age.is_some_and(|age| age >= NAMELESS),
    };
    Ok(if dead { LockState::Left(holder(false)) } else { LockState::Held(holder(false)) })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flock {
    Free,
    Busy,
    /// The file system has no flock.
    Unsupported,
}

fn flock(file: &File) -> std::io::Result<Flock> {
    loop {
        return match file.try_lock_shared() {
            Ok(()) => retry(|| file.unlock()).map(|()| Flock::Free),
            Err(TryLockError::WouldBlock) => Ok(Flock::Busy),
            Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(TryLockError::Error(error)) if is_unsupported(&error) => Ok(Flock::Unsupported),
            Err(TryLockError::Error(error)) => Err(error),
        };
    }
}
