//! The two lock files on Unix: their paths, how both are acquired together, and how they are released.
//!
//! Rules that experiments showed:
//! - the sibling lock file is created by `link`, so that it is flocked from its first instant;
//! - the file of a dead process is taken over in place, never unlinked in order to be stolen: between the judgement and
//!   the unlink another process could have taken it;
//! - a free flock proves that a process of ours is dead. Of a sibling without flock it proves nothing, so its pid is
//!   judged, and only after the file was unchanged for a while.
//!
//! `private.rs` has the private file, `sibling.rs` the judgement of a sibling's file, `lock_record.rs` the record in
//! both.

mod boot;
mod holder;
mod private;
mod sibling;
mod state;
#[cfg(test)]
mod tests;

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use rustix::io::Errno;

use super::directory::Entry;
use super::files::{self, Status, retry};
use crate::event::Events;
use crate::inspect::{LockHolder, LockState};
use crate::lock::Key;
use crate::platform::lock_record::{self as record, Author, Record};
use crate::platform::process::{self, Life};
use crate::platform::writing;
use crate::{Error, ErrorKind, Result};
use holder::FlockHolder;
pub(crate) use private::Private;
pub(crate) use sibling::Watch;
use sibling::{Outcome, Sibling};
pub(crate) use state::state;

/// The first pause between two checks of a busy sibling lock; later ones are longer.
const FIRST_LOOK: Duration = Duration::from_micros(500);
const LATER_LOOK: Duration = Duration::from_millis(10);
/// The pause after a check during which the files changed.
const SOON: Duration = Duration::from_micros(50);

/// Go and Python with portalocker unlock first and unlink microseconds later. If one of them had locked the file of a
/// dead process of ours, we may get the lock between the two; after this pause the unlink shows.
const LATE_UNLINK: Duration = Duration::from_millis(5);

/// The paths of the lock files of one cache.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    target: Entry,
    /// `<cache>.tk-lock` beside the file itself, even if the cache path is a symbolic link.
    private: Entry,
    /// `<cache>.lockfile` beside the path as given, where siblings with the same path look for it.
    sibling: Entry,
    key: Key,
    sibling_key: Key,
    directory_owner: u32,
    remote: bool,
}

impl Paths {
    /// The lock files of the cache at `given`, which stands for the file `target`.
    pub(crate) fn beside(given: &Entry, target: &Entry) -> Result<Self> {
        Self::new(target, given.with_suffix(files::SIBLING_LOCK_SUFFIX))
    }

    /// The sibling lock file at `lock_file`, and a private one beside it.
    pub(crate) fn over(lock_file: &Entry) -> Result<Self> {
        Self::new(lock_file, lock_file.clone())
    }

    fn new(target: &Entry, sibling: Entry) -> Result<Self> {
        Ok(Self {
            private: target.with_suffix(files::PRIVATE_LOCK_SUFFIX),
            key: key(target)?,
            sibling_key: key(&sibling)?,
            sibling,
            directory_owner: target.directory_owner(),
            remote: target.is_remote(),
            target: target.clone(),
        })
    }

    /// What is the same for every spelling of the path.
    pub(crate) fn key(&self) -> Key {
        self.key.clone()
    }

    /// Whether these are the same two files.
    pub(crate) fn are_those_of(&self, other: &Self) -> bool {
        self.key == other.key && self.sibling_key == other.sibling_key
    }

    /// The lock file that siblings know.
    pub(crate) fn sibling(&self) -> &Entry {
        &self.sibling
    }

    /// A lock file must be a plain file of this user. Root also uses those of the directory's owner, but no others:
    /// a hard link to another user's file could stand there.
    fn require_ours(&self, path: &Entry, file: &File) -> Result<Status> {
        let status = files::status_of(file, path)?;
        files::require_plain_file(path, &status)?;
        if status.uid() == files::effective_user() || status.uid() == self.directory_owner {
            return Ok(status);
        }
        let text = format!(
            "The lock file belongs to user {}, who owns neither this process nor the directory",
            status.uid()
        );
        Err(Error::new(ErrorKind::UnsafeFile, text).at(path).remedy("Choose a cache path of your own"))
    }

    /// Sets mode and owner of a new lock file: root gives it to the directory's owner, who needs it too.
    fn finish_new(&self, path: &Path, file: &File) -> Result<()> {
        let failed = |error| Error::io("Cannot set the owner or mode of the lock file", path, error);
        let status = files::status_of(file, path)?;
        if status.mode() != files::FILE_MODE {
            retry(|| file.set_permissions(fs::Permissions::from_mode(files::FILE_MODE))).map_err(failed)?;
        }
        if files::effective_user() == 0 && self.directory_owner != 0 {
            match retry(|| std::os::unix::fs::fchown(file, Some(self.directory_owner), None)) {
                // Root without that capability, or in a user namespace without the owner, keeps it.
                Err(error) if is_one_of(&error, &[Errno::PERM, Errno::INVAL]) => {}
                outcome => outcome.map_err(failed)?,
            }
        }
        Ok(())
    }
}

fn key(entry: &Entry) -> Result<Key> {
    let name = entry.file_name().unwrap_or_default().to_owned();
    Ok(Key::File { directory: entry.directory_identity()?, name })
}

/// The lock, acquired towards all programs.
#[derive(Debug)]
pub(crate) struct Acquired {
    sibling: Sibling,
    path: Entry,
    recovered: bool,
    /// The last field, so that it is released last: while the sibling file is being removed, no process of ours may
    /// enter.
    private: Private,
}

impl Acquired {
    /// Whether a process died holding this lock.
    pub(crate) fn recovered(&self) -> bool {
        self.recovered
    }
}

impl Drop for Acquired {
    fn drop(&mut self) {
        if !self.private.is_own() {
            // The parent of this forked process still has the lock.
            return;
        }
        match &self.sibling {
            Sibling::Linked => remove_if_names(&self.path, self.private.identity()),
            Sibling::Own(file) => remove_if_still(&self.path, file),
        }
        if let Sibling::Own(file) = &self.sibling {
            let _ = retry(|| file.unlock());
        }
    }
}

/// Removes the lock file if it is still `file`: a sibling's stray unlink may have removed ours, and another sibling
/// may have created its own.
fn remove_if_still(path: &Entry, file: &File) {
    remove_if(path, || names(path, file));
}

/// Like [`remove_if_still`], for an open file known by its `identity`.
fn remove_if_names(path: &Entry, identity: (u64, u64)) {
    remove_if(path, || is_at(path, identity));
}

fn remove_if(path: &Entry, is_ours: impl Fn() -> Result<bool>) {
    // Retry interrupted calls, because siblings would wait for a file that stays. After a lasting failure the file is
    // later recognised as ours and taken over; a release has no caller to report to.
    for _ in 0..3 {
        match is_ours() {
            Ok(true) if path.remove().is_err() => {}
            Ok(_) => return,
            Err(_) => {}
        }
    }
}

/// With the private lock held, takes the sibling lock file, waiting for its holder. `None`: the private file was removed
/// meanwhile, so that the lock on it excludes no process; begin again.
pub(crate) fn take_sibling_lock(
    private: Private,
    paths: &Paths,
    watch: &Mutex<Watch>,
    sleep: &dyn Fn(Duration) -> Result<()>,
    events: &Events,
) -> Result<Option<Acquired>> {
    let mut lock = sibling::SiblingLock::new(&private, paths, watch, events)?;
    let mut pause = FIRST_LOOK;
    loop {
        match lock.attempt()? {
            Outcome::Taken { sibling, recovered } => {
                if recovered {
                    std::thread::sleep(LATE_UNLINK);
                    if !names(&paths.sibling, sibling.file(&private))? {
                        sleep(SOON)?;
                        continue;
                    }
                    events.notice(|| {
                        format!("Took over the lock {:?} from a process that died", paths.sibling)
                    });
                }
                return Ok(Some(Acquired { sibling, path: paths.sibling.clone(), recovered, private }));
            }
            Outcome::Moved => return Ok(None),
            Outcome::Again => sleep(SOON)?,
            Outcome::Occupied => {
                sleep(pause)?;
                pause = (pause * 2).min(LATER_LOOK);
            }
        }
    }
}

/// The holder of a lock, for the message of a timeout.
#[derive(Debug)]
pub(crate) struct Holder {
    pub(crate) pid: u32,
    pub(crate) command: Option<String>,
    pub(crate) age: Option<Duration>,
}

/// Returns the last writer of the lock file; `None` if it is unknown.
pub(crate) fn holder(paths: &Paths) -> Option<Holder> {
    let open = |path| files::careful().read(true).open(path).ok();
    // The writer of the sibling file has the lock; the private file then only shows the waiters.
    let file = open(&paths.sibling).or_else(|| open(&paths.private))?;
    let status = Status::of_open(&file).ok()?;
    let record = Record::read(&file);
    let since = record.since().or_else(|| status.modified().ok());
    let age = since.and_then(|since| since.elapsed().ok());
    let written = record.pid()?;
    // A process that has ended holds nothing: another one holds the flock of its file.
    if process::life(written) == Life::Dead
        && let FlockHolder::Known(pid) = FlockHolder::of(&status)
    {
        return Some(Holder { pid, command: None, age });
    }
    Some(Holder { pid: written, command: record.command(), age })
}

/// Overwrites the content of a lock file with our record.
fn sign(file: &File, path: &Path) -> Result<()> {
    let record = record::own();
    files::require_size_allowed(record.len(), path)?;
    retry(|| writing::write_all_at(file, &record, 0))
        .map_err(|error| Error::io("Cannot write the lock file", path, error))
}

/// Like [`sign`], where the flock alone decides and the record only informs: a full disk must not prevent a sign-out
/// or a read.
fn sign_if_there_is_room(file: &File, path: &Path) -> Result<()> {
    match sign(file, path) {
        Err(error) if error.kind() == ErrorKind::StorageFull => Ok(()),
        outcome => outcome,
    }
}

/// Returns whether `path` is a name of the open `file`.
fn names(path: &Entry, file: &File) -> Result<bool> {
    is_at(path, files::identity(&files::status_of(file, path)?))
}

/// Returns whether `path` is a name of an open file with this device and inode, which are unique while it is open.
fn is_at(path: &Entry, identity: (u64, u64)) -> Result<bool> {
    Ok(files::status_at(path)?.is_some_and(|there| files::identity(&there) == identity))
}

fn try_lock(file: &File) -> io::Result<bool> {
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// The file system has no flock at all.
fn is_unsupported(error: &io::Error) -> bool {
    is_one_of(error, &[Errno::NOLCK, Errno::NOSYS, Errno::OPNOTSUPP, Errno::NOTSUP, Errno::INVAL])
}

/// The file system has no links, or none between these two paths.
fn cannot_link(error: &io::Error) -> bool {
    let codes = [Errno::PERM, Errno::NOSYS, Errno::OPNOTSUPP, Errno::NOTSUP, Errno::XDEV, Errno::MLINK];
    is_one_of(error, &codes)
}

fn is_one_of(error: &io::Error, codes: &[Errno]) -> bool {
    codes.iter().any(|code| error.raw_os_error() == Some(code.raw_os_error()))
}
