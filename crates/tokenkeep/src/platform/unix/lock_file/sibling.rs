//! The common lock file: creates it when it is free, and judges the file of another process.

use std::fs::File;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustix::io::Errno;

use super::super::directory::Entry;
use super::super::files::{self, Status, retry};
use super::holder::FlockHolder;
use super::{
    Paths, Private, cannot_link, is_at, is_one_of, is_unsupported, names, remove_if_names, remove_if_still,
    sign, sign_if_there_is_room, try_lock,
};
use crate::event::Events;
use crate::names;
use crate::platform::lock_record::{self as record, Author, Record};
use crate::platform::writing;
use crate::{Error, Result};

/// A sibling's lock file must be unchanged this long before its dead owner counts as dead.
pub(super) const SETTLED: Duration = Duration::from_secs(2);
/// On a shared file system, an unknown pid may run on another machine. No sibling holds its lock longer than a load
/// and a save, so a file unchanged this long belongs to a dead process there too.
const SETTLED_REMOTE: Duration = Duration::from_secs(20);
/// A sibling creates its file and then writes its pid; a kill between the two leaves an empty file.
const NAMELESS: Duration = Duration::from_secs(10);
/// No library holds the lock this long; a living process that seems to has forgotten its own file.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// The way in which the sibling lock file became ours.
#[derive(Debug)]
pub(super) enum Sibling {
    /// It is a second name of the private file.
    Linked,
    /// It is a separate file: taken over, or created where there are no hard links.
    Own(File),
}

impl Sibling {
    /// Returns the file whose flock belongs to the name.
    pub(super) fn file<'a>(&'a self, private: &'a Private) -> &'a File {
        match self {
            Self::Linked => private.file(),
            Self::Own(file) => file,
        }
    }
}

/// The outcome of one check of the sibling lock file.
#[derive(Debug)]
pub(super) enum Outcome {
    Taken {
        sibling: Sibling,
        recovered: bool,
    },
    /// Another process has it, or may have it.
    Occupied,
    /// The files changed between two steps: check again.
    Again,
    /// The path of the private lock file is not that of the held file any more.
    Moved,
}

/// How long the lock file has looked the same, by the monotonic clock. Kept over several waits, because a reader
/// never waits long enough to see a dead sibling's file unchanged for its time.
#[derive(Debug, Default)]
pub(crate) struct Watch(Option<(crate::stamp::Fingerprint, Instant)>);

impl Watch {
    fn restart(&mut self) {
        self.0 = None;
    }

    fn unchanged(&mut self, status: &Status) -> Duration {
        let now = files::fingerprint(status);
        match &self.0 {
            Some((before, since)) if *before == now => since.elapsed(),
            _ => {
                self.0 = Some((now, Instant::now()));
                Duration::ZERO
            }
        }
    }
}

/// The sibling lock, as a holder of the private lock tries to take it.
pub(super) struct SiblingLock<'a> {
    private: &'a Private,
    paths: &'a Paths,
    /// The content of the private file before our record: on a shared file system it shows which machine made the
    /// link.
    previous: Record,
    previous_age: Option<Duration>,
    signed: bool,
    /// Whether another process had the file at an earlier check.
    waited: bool,
    /// Whether the file system has no rename without replacement.
    cannot_rename: bool,
    watch: &'a Mutex<Watch>,
    events: &'a Events,
}

impl<'a> SiblingLock<'a> {
    pub(super) fn new(
        private: &'a Private,
        paths: &'a Paths,
        watch: &'a Mutex<Watch>,
        events: &'a Events,
    ) -> Result<Self> {
        let (mut previous, mut previous_age) = (Record::default(), None);
        if paths.remote {
            previous = Record::read(private.file());
            previous_age = age(&files::status_of(private.file(), &paths.private)?);
        }
        Ok(Self {
            private,
            paths,
            previous,
            previous_age,
            signed: false,
            waited: false,
            cannot_rename: false,
            watch,
            events,
        })
    }

    pub(super) fn attempt(&mut self) -> Result<Outcome> {
        let outcome = self.take()?;
        self.waited |= matches!(outcome, Outcome::Occupied);
        Ok(outcome)
    }

    fn take(&mut self) -> Result<Outcome> {
        let path = &self.paths.sibling;
        if !self.private.is_flocked() {
            return self.create();
        }
        if !self.signed {
            // On a shared file system an existing link may be another machine's, whose record must stay.
            if self.paths.remote && files::status_at(path)?.is_some() {
                return self.examine();
            }
            sign_if_there_is_room(self.private.file(), &self.paths.private)?;
            self.signed = true;
        }
        match self.paths.private.link(path) {
            Ok(()) => self.linked(),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.examine(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Outcome::Moved),
            Err(error) if cannot_link(&error) => self.create(),
            Err(error) => Err(Error::io("Cannot create the lock file", path, error)),
        }
    }

    /// After making a link: checks that it names the held file and still exists.
    fn linked(&self) -> Result<Outcome> {
        let (path, held) = (&self.paths.sibling, self.private.file());
        let identity = self.private.identity();
        let ours = is_at(path, identity).inspect_err(|_| remove_if_names(path, identity))?;
        if ours {
            if self.waited {
                // The record says that the lock is held from now on.
                sign_if_there_is_room(held, &self.paths.private)
                    .inspect_err(|_| remove_if_names(path, identity))?;
            }
            return Ok(Outcome::Taken { sibling: Sibling::Linked, recovered: false });
        }
        // A sibling's stray unlink was quick; or the private file was replaced, and this is a link to another
        // process's file, which its holder finds and recognises.
        Ok(if self.private.is_current(self.paths)? { Outcome::Again } else { Outcome::Moved })
    }

    /// Without hard links: prepares a separate file under another name and renames it to this one, unless the name is
    /// taken.
    fn create(&mut self) -> Result<Outcome> {
        let path = &self.paths.sibling;
        if files::status_at(path)?.is_some() {
            return self.examine();
        }
        if self.cannot_rename {
            return self.create_openly();
        }
        // Named after the target, so that the file of a killed process is removed with the others.
        let temporary = path.named(names::temporary_name(&self.paths.target)?);
        let file = files::careful()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&temporary)
            .map_err(|error| Error::io("Cannot create the lock file", path, error))?;
        let ready = self.make_ready(&file, &temporary);
        let renamed = ready.map(|_| temporary.rename_unless_there(path));
        if !matches!(renamed, Ok(Ok(()))) {
            writing::remove_persistently(&temporary);
        }
        match renamed? {
            Ok(()) => self.created(file),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.examine(),
            Err(error)
                if is_one_of(&error, &[Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP, Errno::NOTSUP]) =>
            {
                self.cannot_rename = true;
                self.create_openly()
            }
            Err(error) => Err(Error::io("Cannot create the lock file", path, error)),
        }
    }

    /// Without hard links and without such a rename: the new file is empty and unlocked for an instant, in which
    /// siblings leave it alone.
    fn create_openly(&self) -> Result<Outcome> {
        let path = &self.paths.sibling;
        let file = match files::careful().read(true).write(true).create_new(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return self.examine(),
            Err(error) => return Err(Error::io("Cannot create the lock file", path, error)),
        };
        // A failure halfway must not leave a file that siblings wait for.
        match self.make_ready(&file, path).inspect_err(|_| remove_if_still(path, &file))? {
            true => self.created(file),
            // Go and .NET open an existing file and enter when they get its flock. The lock is theirs now.
            false => Ok(Outcome::Occupied),
        }
    }

    /// Gives a new file mode, owner, record and flock; returns `false` if another process flocked it first.
    pub(super) fn make_ready(&self, file: &File, path: &Entry) -> Result<bool> {
        self.paths.finish_new(path, file)?;
        // Write the record before the flock: a kill in between then leaves a file known as ours.
        if self.private.is_flocked() {
            sign_if_there_is_room(file, path)?;
        } else {
            sign(file, path)?;
        }
        match try_lock(file) {
            Ok(locked) => Ok(locked),
            Err(error) if is_unsupported(&error) => Ok(true),
            Err(error) => Err(Error::io("Cannot lock the lock file", path, error)),
        }
    }

    /// After creating the lock file: checks that it still exists.
    fn created(&self, file: File) -> Result<Outcome> {
        let path = &self.paths.sibling;
        let ours = names(path, &file).inspect_err(|_| remove_if_still(path, &file))?;
        Ok(if ours {
            Outcome::Taken { sibling: Sibling::Own(file), recovered: false }
        } else {
            Outcome::Again
        })
    }

    /// Judges an existing lock file: ours already, busy, or of a dead process.
    fn examine(&self) -> Result<Outcome> {
        let path = &self.paths.sibling;
        let file = match files::careful().read(true).write(true).open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Outcome::Again),
            Err(error) => return Err(files::open_failed(path, error)),
        };
        let mut status = self.paths.require_ours(path, &file)?;
        // Siblings create it by the umask. Others who can open it can hold its flock; closed, it is open to no new one.
        if status.mode() & 0o077 != 0 && status.uid() == files::effective_user() {
            files::tighten(&file, path)?;
            status = files::status_of(&file, path)?;
        }
        let unchanged = self.watch.lock().unwrap_or_else(PoisonError::into_inner).unchanged(&status);
        if self.private.is_flocked() && files::identity(&status) == self.private.identity() {
            return self.examine_own_link(unchanged);
        }
        let lockable = match try_lock(&file) {
            Ok(true) => true,
            Ok(false) => match FlockHolder::of(&status) {
                FlockHolder::Stranger => false,
                // The process may be one of another machine or container, whose pid means nothing here.
                FlockHolder::Untold if is_forgotten(unchanged, age(&status)) => {
                    self.events.warn(|| {
                        format!("An unknown process holds the lock {path:?} and has not touched it for long; taking it over")
                    });
                    false
                }
                FlockHolder::Untold => return Ok(Outcome::Occupied),
                FlockHolder::Known(_) => {
                    // A process is inside: only a file that is unchanged *and* free for a while belongs to a dead
                    // process.
                    self.watch.lock().unwrap_or_else(PoisonError::into_inner).restart();
                    return Ok(Outcome::Occupied);
                }
            },
            Err(error) if is_unsupported(&error) => false,
            Err(error) => return Err(Error::io("Cannot lock the lock file", path, error)),
        };
        let record = Record::read(&file);
        if !self.is_stale(&record, &status, lockable, unchanged) {
            if lockable {
                // Unlock explicitly, because a child forked in the meantime shares the open file; the close is the
                // second chance.
                let _ = retry(|| file.unlock());
            }
            return Ok(Outcome::Occupied);
        }
        if lockable { adopt(file, path) } else { clear_away(&file, path) }
    }

    /// Our own link, of a process of ours that no longer holds the flock. On a shared file system another machine's
    /// flock may not be visible, so only a process of this machine is certainly dead.
    fn examine_own_link(&self, unchanged: Duration) -> Result<Outcome> {
        if self.paths.remote && !self.signed {
            let forgotten = is_forgotten(unchanged, self.previous_age);
            if !forgotten && !self.previous.is_of_this_boot() {
                return Ok(Outcome::Occupied);
            }
            sign_if_there_is_room(self.private.file(), &self.paths.private)?;
        }
        Ok(Outcome::Taken { sibling: Sibling::Linked, recovered: true })
    }

    fn is_stale(&self, record: &Record, status: &Status, lockable: bool, unchanged: Duration) -> bool {
        let forgotten = is_forgotten(unchanged, age(status));
        let settled = if self.paths.remote { SETTLED_REMOTE } else { SETTLED };
        match record.author() {
            Author::Ours => {
                // We hold the private lock, and a living process of ours holds a flock, so no process is inside. On a
                // shared file system that holds for processes of this machine.
                let excluded = lockable && self.private.is_flocked();
                let gone = match self.paths.remote {
                    false => excluded || record.is_of_another_boot(),
                    true => excluded && record.is_of_this_boot(),
                };
                gone || record.is_dead_here() || forgotten && !record.is_of_this_boot()
            }
            // By its time too, because a command waits for less than that.
            Author::Nobody => {
                unchanged >= NAMELESS
                    || !self.paths.remote
                        && unchanged >= settled
                        && age(status).is_some_and(|age| age >= NAMELESS)
            }
            Author::Sibling(pid) if unchanged >= settled => {
                if record::is_dead_sibling(pid, status, self.paths.remote) {
                    return true;
                }
                if forgotten {
                    let (path, minutes) = (&self.paths.sibling, FORGOTTEN.as_secs() / 60);
                    self.events.warn(|| format!("Process {pid} lives but has not touched its lock {path:?} for {minutes} min; taking it over"));
                }
                forgotten
            }
            Author::Sibling(_) => false,
        }
    }
}

fn age(status: &Status) -> Option<Duration> {
    SystemTime::now().duration_since(status.modified().ok()?).ok()
}

/// By its time, after it was unchanged for a moment; or by our own observation, if its time lies in the future.
fn is_forgotten(unchanged: Duration, age: Option<Duration>) -> bool {
    unchanged >= FORGOTTEN || unchanged >= SETTLED && age.is_some_and(|age| age >= FORGOTTEN)
}

/// Takes over a dead process's file without unlinking it.
fn adopt(file: File, path: &Entry) -> Result<Outcome> {
    sign_if_there_is_room(&file, path)?;
    let length = record::LENGTH as u64;
    if files::status_of(&file, path)?.len() > length {
        retry(|| file.set_len(length))
            .map_err(|error| Error::io("Cannot write the lock file", path, error))?;
    }
    // After a pause, the caller checks that it still has its name.
    Ok(Outcome::Taken { sibling: Sibling::Own(file), recovered: true })
}

/// Without flock, a dead process's file cannot be held and must be removed. Of several processes with the same
/// judgement one removes it: the one that creates the claim, and only if the judged file is still there. A slower one
/// would otherwise remove the file of the next holder.
fn clear_away(judged: &File, path: &Entry) -> Result<Outcome> {
    let claim = path.named(names::with_suffix(path, ".claim"));
    let claimed = files::careful().write(true).create_new(true).open(&claim);
    match claimed {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // Held for microseconds; only a process killed within them leaves it.
            let left = files::status_at(&claim)?.and_then(|status| age(&status));
            if left.is_some_and(|age| age >= NAMELESS) {
                let _ = claim.remove();
            }
            return Ok(Outcome::Occupied);
        }
        Err(error) => return Err(Error::io("Cannot claim a dead process's lock file", &claim, error)),
    }
    let outcome = match names(path, judged) {
        Ok(true) => {
            path.remove().map_err(|error| Error::io("Cannot remove a dead process's lock file", path, error))
        }
        Ok(false) => Ok(()),
        Err(error) => Err(error),
    };
    let released = claim
        .remove()
        .map_err(|error| Error::io("Cannot remove the claim on a dead process's lock file", &claim, error));
    outcome.and(released).map(|()| Outcome::Again)
}
