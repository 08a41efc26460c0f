//! The lock file that siblings know: made ours when it is free, judged when somebody else's stands there.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use rustix::io::Errno;

use super::super::files::{self, retry};
use super::{
    Paths, Private, cannot_link, is_at, is_one_of, is_unsupported, names, remove_if_names, remove_if_still,
    sign, sign_if_there_is_room, try_lock, with_suffix,
};
use crate::atomic_file;
use crate::event::Events;
use crate::platform::lock_record::{self as record, Author, Record};
use crate::platform::{os, writing};
use crate::{Error, Result};

/// A sibling's lock file must stand unchanged this long before its dead owner is believed to be dead.
pub(super) const SETTLED: Duration = Duration::from_secs(2);
/// Where other machines share the file system a pid that is not here may live there. No sibling holds its lock for
/// longer than a load and a save, so that a file which stood this long belongs to a dead process there too.
const SETTLED_REMOTE: Duration = Duration::from_secs(20);
/// A sibling creates its file and then writes its pid; one that was killed in between leaves an empty file.
const NAMELESS: Duration = Duration::from_secs(10);
/// No library holds the lock this long; a live process that seems to has lost track of its own file.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// How the sibling lock file came to be ours.
#[derive(Debug)]
pub(super) enum Sibling {
    /// It is a second name of the private file.
    Linked,
    /// It is a file of its own: adopted, or created where hard links are not to be had.
    Own(File),
}

impl Sibling {
    /// The file whose flock goes with the name.
    pub(super) fn file<'a>(&'a self, private: &'a Private) -> &'a File {
        match self {
            Self::Linked => private.file(),
            Self::Own(file) => file,
        }
    }
}

/// What one look at the sibling lock file yielded.
#[derive(Debug)]
pub(super) enum Look {
    Taken {
        sibling: Sibling,
        recovered: bool,
    },
    /// Somebody has it, or may have it.
    Occupied,
    /// Something changed between two steps: look again.
    Again,
    /// The private lock file is not the one that is held any longer.
    Moved,
}

/// How long the lock file has looked the same, by the monotonic clock. Kept over several waits: a reader never waits
/// long enough to see a dead sibling's file settle in one.
#[derive(Debug, Default)]
pub(crate) struct Watch(Option<(crate::stamp::Print, Instant)>);

impl Watch {
    fn restart(&mut self) {
        self.0 = None;
    }

    fn unchanged(&mut self, status: &fs::Metadata) -> Duration {
        let now = files::print(status);
        match &self.0 {
            Some((before, since)) if *before == now => since.elapsed(),
            _ => {
                self.0 = Some((now, Instant::now()));
                Duration::ZERO
            }
        }
    }
}

/// A holder of the private lock before the sibling file.
pub(super) struct Meeting<'a> {
    private: &'a Private,
    paths: &'a Paths,
    /// What the private file said before we signed it: on a shared file system it tells which machine left the link.
    previous: Record,
    previous_age: Option<Duration>,
    signed: bool,
    /// Whether somebody else had the file at an earlier look.
    waited: bool,
    /// Whether the file system was found not to know a rename that replaces nothing.
    cannot_rename: bool,
    watch: &'a Mutex<Watch>,
    events: &'a Events,
}

impl<'a> Meeting<'a> {
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

    pub(super) fn look(&mut self) -> Result<Look> {
        let look = self.take()?;
        self.waited |= matches!(look, Look::Occupied);
        Ok(look)
    }

    fn take(&mut self) -> Result<Look> {
        let path = &self.paths.sibling;
        if !self.private.is_flocked() {
            return self.create();
        }
        if !self.signed {
            // On a shared file system a link that stands there may be another machine's: its record must stay.
            if self.paths.remote && files::status_at(path)?.is_some() {
                return self.examine();
            }
            sign_if_there_is_room(self.private.file(), &self.paths.private)?;
            self.signed = true;
        }
        match retry(|| fs::hard_link(&self.paths.private, path)) {
            Ok(()) => self.linked(),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.examine(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Look::Moved),
            Err(error) if cannot_link(&error) => self.create(),
            Err(error) => Err(Error::io("Cannot create the lock file", path, error)),
        }
    }

    /// We made a link; but to the file that we hold, and is it still there?
    fn linked(&self) -> Result<Look> {
        let (path, held) = (&self.paths.sibling, self.private.file());
        let identity = self.private.identity();
        let ours = is_at(path, identity).inspect_err(|_| remove_if_names(path, identity))?;
        if ours {
            if self.waited {
                // The record says since when: since now.
                sign_if_there_is_room(held, &self.paths.private)
                    .inspect_err(|_| remove_if_names(path, identity))?;
            }
            return Ok(Look::Taken { sibling: Sibling::Linked, recovered: false });
        }
        // A sibling's stray unlink was quick, or somebody replaced the private file and this is a link to another's,
        // which its holder finds and recognises as its own.
        Ok(if self.private.is_current(self.paths)? { Look::Again } else { Look::Moved })
    }

    /// Without hard links: a file of its own is made ready under another name and then given this one, if nobody has it.
    fn create(&mut self) -> Result<Look> {
        let path = &self.paths.sibling;
        if files::status_at(path)?.is_some() {
            return self.examine();
        }
        if self.cannot_rename {
            return self.create_openly();
        }
        // By the target's name, so that what a killed process leaves is swept with the rest.
        let temporary = atomic_file::temporary_path(&self.paths.target)?;
        let temporary = path.with_file_name(temporary.file_name().unwrap_or_default());
        let file = retry(|| files::careful().read(true).write(true).create_new(true).open(&temporary))
            .map_err(|error| Error::io("Cannot create the lock file", path, error))?;
        let ready = self.make_ready(&file, &temporary);
        let renamed = ready.map(|_| retry(|| os::rename_unless_there(&temporary, path)));
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

    /// Without hard links and such a rename: the new file is empty and unlocked for an instant, which everybody grants
    /// it.
    fn create_openly(&self) -> Result<Look> {
        let path = &self.paths.sibling;
        let file = match retry(|| files::careful().read(true).write(true).create_new(true).open(path)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return self.examine(),
            Err(error) => return Err(Error::io("Cannot create the lock file", path, error)),
        };
        // What fails halfway must not leave a file that siblings wait for.
        match self.make_ready(&file, path).inspect_err(|_| remove_if_still(path, &file))? {
            true => self.created(file),
            // Go and .NET open what they find and enter when they get its flock. It is theirs now.
            false => Ok(Look::Occupied),
        }
    }

    /// Gives a new file mode, owner, signature and lock; `false` when somebody else locked it first.
    pub(super) fn make_ready(&self, file: &File, path: &Path) -> Result<bool> {
        self.paths.finish_new(path, file)?;
        // Signed before it is locked: killed in between, we leave a file that is known as ours.
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

    /// The lock file is made; but is it still there?
    fn created(&self, file: File) -> Result<Look> {
        let path = &self.paths.sibling;
        let ours = names(path, &file).inspect_err(|_| remove_if_still(path, &file))?;
        Ok(if ours { Look::Taken { sibling: Sibling::Own(file), recovered: false } } else { Look::Again })
    }

    /// Somebody's lock file stands there: is it ours already, busy, or left by a dead process?
    fn examine(&self) -> Result<Look> {
        let path = &self.paths.sibling;
        let file = match retry(|| files::careful().read(true).write(true).open(path)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Look::Again),
            Err(error) => return Err(files::open_failed(path, error)),
        };
        let status = self.paths.require_ours(path, &file)?;
        let unchanged = self.watch.lock().unwrap_or_else(PoisonError::into_inner).unchanged(&status);
        if self.private.is_flocked() && files::identity(&status) == self.private.identity() {
            return self.examine_own_link(unchanged);
        }
        let lockable = match try_lock(&file) {
            Ok(true) => true,
            Ok(false) => {
                // Somebody is in there: only what stands unchanged *and* free for a while was left by the dead.
                self.watch.lock().unwrap_or_else(PoisonError::into_inner).restart();
                return Ok(Look::Occupied);
            }
            Err(error) if is_unsupported(&error) => false,
            Err(error) => return Err(Error::io("Cannot lock the lock file", path, error)),
        };
        let record = Record::read(&file);
        if !self.is_stale(&record, &status, lockable, unchanged) {
            if lockable {
                // Explicitly, for the sake of a child forked meanwhile; the close that follows is the second chance.
                let _ = retry(|| file.unlock());
            }
            return Ok(Look::Occupied);
        }
        if lockable { adopt(file, path) } else { clear_away(&file, path) }
    }

    /// Our own link, left by a process of ours that no longer holds the flock. Where other machines share the file
    /// system their flock may not reach us, so that only a process of this machine is certainly dead.
    fn examine_own_link(&self, unchanged: Duration) -> Result<Look> {
        if self.paths.remote && !self.signed {
            let forgotten = is_forgotten(unchanged, self.previous_age);
            if !forgotten && !self.previous.is_of_this_boot() {
                return Ok(Look::Occupied);
            }
            sign_if_there_is_room(self.private.file(), &self.paths.private)?;
        }
        Ok(Look::Taken { sibling: Sibling::Linked, recovered: true })
    }

    fn is_stale(&self, record: &Record, status: &fs::Metadata, lockable: bool, unchanged: Duration) -> bool {
        let forgotten = is_forgotten(unchanged, age(status));
        let settled = if self.paths.remote { SETTLED_REMOTE } else { SETTLED };
        match record.author() {
            Author::Ours => {
                // We hold the private lock, and a process of ours that lives holds a flock: nobody is in there. Where
                // other machines share the file system that goes for processes of this one.
                let excluded = lockable && self.private.is_flocked();
                let gone = match self.paths.remote {
                    false => excluded || record.is_of_another_boot(),
                    true => excluded && record.is_of_this_boot(),
                };
                gone || record.is_dead_here() || forgotten && !record.is_of_this_boot()
            }
            Author::Nobody => unchanged >= NAMELESS,
            Author::Sibling(pid) if unchanged >= settled => {
                if record::is_dead_sibling(pid, status) {
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

fn age(status: &fs::Metadata) -> Option<Duration> {
    SystemTime::now().duration_since(status.modified().ok()?).ok()
}

/// By its time, once it stood still for a moment; or by our own watching, if its time lies in the future.
fn is_forgotten(unchanged: Duration, age: Option<Duration>) -> bool {
    unchanged >= FORGOTTEN || unchanged >= SETTLED && age.is_some_and(|age| age >= FORGOTTEN)
}

/// Makes a dead process's file ours without unlinking it.
fn adopt(file: File, path: &Path) -> Result<Look> {
    sign_if_there_is_room(&file, path)?;
    let length = record::LENGTH as u64;
    if files::status_of(&file, path)?.len() > length {
        retry(|| file.set_len(length))
            .map_err(|error| Error::io("Cannot write the lock file", path, error))?;
    }
    // Whether it still has its name is looked at after a pause, by the caller.
    Ok(Look::Taken { sibling: Sibling::Own(file), recovered: true })
}

/// Without flock a dead process's file cannot be held in place and has to go. Of several processes that came to the
/// same judgement one removes it: the one that creates the claim, and only if what was judged still stands there. A
/// slower one would else remove the file of the next holder.
fn clear_away(judged: &File, path: &Path) -> Result<Look> {
    let claim = with_suffix(path, ".claim");
    let claimed = retry(|| files::careful().write(true).create_new(true).open(&claim));
    match claimed {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // Held for microseconds; left only by a process that was killed within them.
            let left = files::status_at(&claim)?.and_then(|status| age(&status));
            if left.is_some_and(|age| age >= NAMELESS) {
                let _ = retry(|| fs::remove_file(&claim));
            }
            return Ok(Look::Occupied);
        }
        Err(error) => return Err(Error::io("Cannot claim a dead process's lock file", &claim, error)),
    }
    let outcome = match names(path, judged) {
        Ok(true) => retry(|| fs::remove_file(path))
            .map_err(|error| Error::io("Cannot remove a dead process's lock file", path, error)),
        Ok(false) => Ok(()),
        Err(error) => Err(error),
    };
    let released = retry(|| fs::remove_file(&claim))
        .map_err(|error| Error::io("Cannot remove the claim on a dead process's lock file", &claim, error));
    outcome.and(released).map(|()| Look::Again)
}
