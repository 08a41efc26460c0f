//! A look at both lock files that leaves them as they are.
//!
//! Whether somebody has a file's flock shows by asking for a shared one, which is given back at once. Somebody who tries
//! to take it in that instant finds it busy, waits as for anybody else, and has it a moment later.

use std::fs::{File, TryLockError};
use std::time::Duration;

use super::super::files::{self, retry};
use super::{Author, LockHolder, LockState, Paths, Record, is_unsupported, record};
use crate::Result;
use crate::lock::cannot_look;

/// A sibling creates its file and then writes its pid; one that was killed in between leaves an empty file.
const NAMELESS: Duration = Duration::from_secs(10);

/// Who has the lock.
///
/// # Errors
/// `UnsafeFile`, `PermissionDenied`, `Io`.
pub(crate) fn state(paths: &Paths) -> Result<LockState> {
    let options = files::careful().read(true).clone();
    let private = files::open_existing(&paths.private, &options)?;
    let ours_inside = match &private {
        Some((file, _)) => flock(file).map_err(|error| cannot_look(&paths.private, error))? == Flock::Busy,
        None => false,
    };
    let Some((file, status)) = files::open_existing(&paths.sibling, &options)? else {
        // Between the two files, on the way in or out.
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
    if flock == Flock::Busy {
        return Ok(LockState::Held(holder(true)));
    }
    let dead = match record.author() {
        // Ours that live have the flock, if there is one to be had that reaches all machines.
        Author::Ours if flock == Flock::Free && !paths.remote => true,
        Author::Ours => record.is_dead_here() || flock == Flock::Free && record.is_of_this_boot(),
        Author::Sibling(pid) => record::is_dead_sibling(pid, &status),
        Author::Nobody => holder(false).age.is_some_and(|age| age >= NAMELESS),
    };
    Ok(if dead { LockState::Left(holder(false)) } else { LockState::Held(holder(false)) })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flock {
    Free,
    Busy,
    /// The file system has none.
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
