//! The two lock files on Unix: how they are taken, judged and left.
//!
//! Rules that experiments taught:
//! - the sibling lock file comes into being by `link`, so that it is flocked from its first instant;
//! - what a dead process left is adopted in place, never unlinked in order to be stolen: between the judgement and
//!   the unlink it could have become somebody else's;
//! - a free flock proves that a process of ours is dead; of a sibling that does not flock it proves nothing, so that
//!   its pid is judged, and only after the file was seen unchanged for a while.

mod record;
#[cfg(test)]
mod tests;

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use rustix::io::Errno;

use super::files::{self, retry};
use crate::event::Events;
use crate::{Error, ErrorKind, Result};
use record::{Author, Record};

/// Looks at a busy sibling lock this often at first, and ever more seldom.
const FIRST_LOOK: Duration = Duration::from_micros(500);
const LATER_LOOK: Duration = Duration::from_millis(10);
/// When something changed between two calls, it is looked at again this soon.
const AGAIN: Duration = Duration::from_micros(50);
/// A sibling's lock file must stand unchanged this long before its dead owner is believed to be dead.
const SETTLED: Duration = Duration::from_secs(2);
/// A sibling creates its file and then writes its pid; one that was killed in between leaves an empty file.
const NAMELESS: Duration = Duration::from_secs(10);
/// Go and Python with portalocker unlock first and unlink microseconds later. If one of them had locked a file that
/// a dead process of ours left, we may be let in between the two; after this pause it shows.
const LATE_UNLINK: Duration = Duration::from_millis(5);
/// No library holds the lock this long; a live process that seems to has lost track of its own file.
const FORGOTTEN: Duration = Duration::from_secs(600);

/// Where the lock files of one cache stand.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    /// `<cache>.tk-lock` beside the file itself, even when the cache path is a symbolic link.
    private: PathBuf,
    /// `<cache>.lockfile` beside the path as given, where siblings that are given the same path look.
    sibling: PathBuf,
    key: (u64, u64, std::ffi::OsString),
    directory_owner: u32,
    remote: bool,
}

impl Paths {
    pub(crate) fn new(given: &Path, target: &Path) -> Result<Self> {
        let directory = files::directory_of(target);
        let status = retry(|| fs::metadata(directory))
            .map_err(|error| Error::io("Cannot look at the cache's directory", directory, error))?;
        let name = target.file_name().unwrap_or_default().to_owned();
        Ok(Self {
            private: with_suffix(target, ".tk-lock"),
            sibling: with_suffix(given, ".lockfile"),
            key: (status.dev(), status.ino(), name),
            directory_owner: status.uid(),
            remote: files::is_remote(directory),
        })
    }

    /// What is the same for every spelling of the path.
    pub(crate) fn key(&self) -> (u64, u64, std::ffi::OsString) {
        self.key.clone()
    }

    pub(crate) fn private(&self) -> &Path {
        &self.private
    }

    /// A lock file must be a plain file of this user. Root also uses those of the directory's owner, but no others:
    /// a hard link to somebody else's file could stand there.
    fn require_ours(&self, path: &Path, file: &File) -> Result<fs::Metadata> {
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

    /// Gives a new lock file its owner and mode: root leaves it to the directory's owner, who will need it too.
    fn finish_new(&self, path: &Path, file: &File) -> Result<()> {
        let failed = |error| Error::io("Cannot set the owner or mode of the lock file", path, error);
        let status = files::status_of(file, path)?;
        if status.mode() & 0o7777 != files::FILE_MODE {
            retry(|| file.set_permissions(fs::Permissions::from_mode(files::FILE_MODE))).map_err(failed)?;
        }
        if files::effective_user() == 0 && self.directory_owner != 0 {
            retry(|| std::os::unix::fs::fchown(file, Some(self.directory_owner), None)).map_err(failed)?;
        }
        Ok(())
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The private lock file, open and, where the file system can, flocked.
#[derive(Debug)]
pub(crate) struct Private {
    file: File,
    /// `false` on a file system without flock: then only the sibling file excludes.
    flocked: bool,
}

impl Private {
    /// Takes the private lock if it is free.
    pub(crate) fn attempt(paths: &Paths) -> Result<Option<Self>> {
        let file = Self::open(paths)?;
        match try_lock(&file) {
            Ok(true) => Ok(Some(Self { file, flocked: true })),
            Ok(false) => Ok(None),
            Err(error) if is_unsupported(&error) => Ok(Some(Self { file, flocked: false })),
            Err(error) => Err(Error::io("Cannot lock the private lock file", &paths.private, error)),
        }
    }

    /// Waits until the private lock is free and takes it.
    pub(crate) fn block(paths: &Paths) -> io::Result<Self> {
        let file = Self::open(paths).map_err(io::Error::other)?;
        retry(|| file.lock())?;
        Ok(Self { file, flocked: true })
    }

    fn open(paths: &Paths) -> Result<File> {
        let path = &paths.private;
        // Two rounds suffice unless the file is removed over and over.
        for _ in 0..100 {
            match retry(|| files::careful().read(true).write(true).open(path)) {
                Ok(file) => {
                    paths.require_ours(path, &file)?;
                    return Ok(file);
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(files::open_failed(path, error)),
            }
            match retry(|| files::careful().read(true).write(true).create_new(true).open(path)) {
                Ok(file) => {
                    paths.finish_new(path, &file)?;
                    return Ok(file);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::io("Cannot create the lock file", path, error)),
            }
        }
        Err(Error::new(ErrorKind::Io, "The private lock file is removed again and again").at(path))
    }

    /// Whether the path still names the file that is held.
    pub(crate) fn is_current(&self, paths: &Paths) -> Result<bool> {
        names(&paths.private, &self.file)
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        if self.flocked {
            // Explicitly, because a child forked meanwhile keeps the open file, and with it the lock, alive. Failing
            // leaves it to the close that follows.
            let _ = retry(|| self.file.unlock());
        }
    }
}

/// The lock, held towards everybody.
#[derive(Debug)]
pub(crate) struct Held {
    sibling: Sibling,
    path: PathBuf,
    recovered: bool,
    /// Last, so that it is released last: while the sibling file is being removed nobody of ours may enter.
    private: Private,
}

/// How the sibling lock file came to be ours.
#[derive(Debug)]
enum Sibling {
    /// It is a second name of the private file.
    Linked,
    /// It is a file of its own: adopted, or created where hard links are not to be had.
    Own(File),
}

impl Sibling {
    /// The file whose flock goes with the name.
    fn file<'a>(&'a self, private: &'a Private) -> &'a File {
        match self {
            Self::Linked => &private.file,
            Self::Own(file) => file,
        }
    }
}

impl Held {
    /// Whether a process died holding this lock.
    pub(crate) fn recovered(&self) -> bool {
        self.recovered
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let file = self.sibling.file(&self.private);
        // A sibling's stray unlink may have removed our file and another sibling may have put its own in the place.
        // Nothing can be done about a failure here; what is left behind is recognised as ours and adopted.
        if names(&self.path, file).unwrap_or(false) {
            let _ = retry(|| fs::remove_file(&self.path));
        }
        if let Sibling::Own(file) = &self.sibling {
            let _ = retry(|| file.unlock());
        }
    }
}

/// What one look at the sibling lock file yielded.
#[derive(Debug)]
enum Look {
    Taken {
        sibling: Sibling,
        recovered: bool,
    },
    Occupied,
    Again,
    /// The link that was made is gone, or there is nothing to link.
    Lost,
}

/// With the private lock held, makes the sibling lock file ours, waiting for whoever has it. `None`: a file was
/// removed under our hands, and all begins anew.
pub(crate) fn meet_siblings(
    private: Private,
    paths: &Paths,
    sleep: &dyn Fn(Duration) -> Result<()>,
    events: &Events,
) -> Result<Option<Held>> {
    // Read before our own record replaces it: on a shared file system it tells which machine left the link.
    let previous = if paths.remote { Record::read(&private.file) } else { Record::default() };
    let record = record::own();
    retry(|| private.file.write_all_at(record, 0))
        .map_err(|error| Error::io("Cannot write the lock file", &paths.private, error))?;
    let mut watch = Watch::default();
    let mut pause = FIRST_LOOK;
    loop {
        match look(&private, paths, &previous, &mut watch, events)? {
            Look::Taken { sibling, recovered } => {
                if recovered {
                    std::thread::sleep(LATE_UNLINK);
                    if !names(&paths.sibling, sibling.file(&private))? {
                        sleep(AGAIN)?;
                        continue;
                    }
                    events.notice(|| {
                        format!("Took over the lock {:?} from a process that died", paths.sibling)
                    });
                }
                return Ok(Some(Held { sibling, path: paths.sibling.clone(), recovered, private }));
            }
            Look::Lost => return Ok(None),
            Look::Again => sleep(AGAIN)?,
            Look::Occupied => {
                sleep(pause)?;
                pause = (pause * 2).min(LATER_LOOK);
            }
        }
    }
}

fn look(
    private: &Private,
    paths: &Paths,
    previous: &Record,
    watch: &mut Watch,
    events: &Events,
) -> Result<Look> {
    let path = &paths.sibling;
    if private.flocked {
        match retry(|| fs::hard_link(&paths.private, path)) {
            Ok(()) if names(path, &private.file)? => {
                return Ok(Look::Taken { sibling: Sibling::Linked, recovered: false });
            }
            // A sibling's stray unlink came before the look, or the private file was exchanged under our hands and
            // this link is not to the file that we hold.
            Ok(()) => return Ok(Look::Lost),
            // The private file was removed under our hands.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Look::Lost),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return examine(private, paths, previous, watch, events);
            }
            Err(error) if cannot_link(&error) => {}
            Err(error) => return Err(Error::io("Cannot create the lock file", path, error)),
        }
    }
    match retry(|| files::careful().read(true).write(true).create_new(true).open(path)) {
        Ok(file) => create(file, paths),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            examine(private, paths, previous, watch, events)
        }
        Err(error) => Err(Error::io("Cannot create the lock file", path, error)),
    }
}

/// Without hard links: the new file is empty and unlocked for an instant. It says whose it is before it is locked:
/// whoever locks it first has it, and when they have gone it is recognised as ours.
fn create(file: File, paths: &Paths) -> Result<Look> {
    let path = &paths.sibling;
    paths.finish_new(path, &file)?;
    retry(|| file.write_all_at(record::own(), 0))
        .map_err(|error| Error::io("Cannot write the lock file", path, error))?;
    match try_lock(&file) {
        Ok(true) => {}
        Ok(false) => return Ok(Look::Occupied),
        Err(error) if is_unsupported(&error) => {}
        Err(error) => return Err(Error::io("Cannot lock the lock file", path, error)),
    }
    if names(path, &file)? {
        Ok(Look::Taken { sibling: Sibling::Own(file), recovered: false })
    } else {
        Ok(Look::Again)
    }
}

/// Somebody's lock file stands there: is it ours already, busy, or left by a dead process?
fn examine(
    private: &Private,
    paths: &Paths,
    previous: &Record,
    watch: &mut Watch,
    events: &Events,
) -> Result<Look> {
    let path = &paths.sibling;
    let file = match retry(|| files::careful().read(true).write(true).open(path)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Look::Again),
        Err(error) => return Err(files::open_failed(path, error)),
    };
    let status = paths.require_ours(path, &file)?;
    let unchanged = watch.unchanged(&status);
    if private.flocked && same_file(&status, &files::status_of(&private.file, path)?) {
        // Our own link, left by a process of ours that no longer holds the flock. Where other machines share the
        // file system their flock may not reach us, so that only a process of this machine is certainly dead.
        if !paths.remote || previous.is_of_this_boot() || unchanged >= FORGOTTEN {
            return Ok(Look::Taken { sibling: Sibling::Linked, recovered: true });
        }
        return Ok(Look::Occupied);
    }
    let lockable = match try_lock(&file) {
        Ok(true) => true,
        Ok(false) => {
            // Somebody is in there: only what stands unchanged *and* free for a while was left by the dead.
            watch.restart();
            return Ok(Look::Occupied);
        }
        Err(error) if is_unsupported(&error) => false,
        Err(error) => return Err(Error::io("Cannot lock the lock file", path, error)),
    };
    let record = Record::read(&file);
    let age = status.modified().ok().and_then(|then| SystemTime::now().duration_since(then).ok());
    let stale = match record.author() {
        // We hold the private lock, and a process of ours that lives holds a flock: nobody is in there.
        Author::Ours if lockable => !paths.remote || record.is_of_this_boot() || unchanged >= FORGOTTEN,
        Author::Ours => record.is_dead_here(),
        Author::Nobody => unchanged >= NAMELESS,
        Author::Sibling(pid) if unchanged >= SETTLED => {
            if record::is_dead_sibling(pid, &status) {
                true
            } else if age.is_some_and(|age| age >= FORGOTTEN) {
                let minutes = FORGOTTEN.as_secs() / 60;
                events.warn(|| format!("Process {pid} lives but has not touched its lock {path:?} for {minutes} min; taking it over"));
                true
            } else {
                false
            }
        }
        Author::Sibling(_) => false,
    };
    if !stale {
        return Ok(Look::Occupied);
    }
    if lockable { adopt(file, path) } else { clear_away(&file, path) }
}

/// Makes a dead process's file ours without unlinking it.
fn adopt(file: File, path: &Path) -> Result<Look> {
    let record = record::own();
    let written =
        retry(|| file.write_all_at(record, 0)).and_then(|()| retry(|| file.set_len(record.len() as u64)));
    written.map_err(|error| Error::io("Cannot write the lock file", path, error))?;
    // Whether it still has its name is looked at after a pause, by the caller.
    Ok(Look::Taken { sibling: Sibling::Own(file), recovered: true })
}

/// Without flock a dead process's file cannot be held in place. Renaming is atomic, so that of several processes one
/// succeeds, and it can be undone when what was renamed is not what was judged.
fn clear_away(judged: &File, path: &Path) -> Result<Look> {
    let aside = with_suffix(path, &format!(".stale-{}", std::process::id()));
    match retry(|| fs::rename(path, &aside)) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Look::Again),
        Err(error) => return Err(Error::io("Cannot move a dead process's lock file", path, error)),
    }
    if !names(&aside, judged)? {
        // A live process's file: put it back unless yet another has come.
        let _ = retry(|| fs::hard_link(&aside, path));
    }
    retry(|| fs::remove_file(&aside))
        .map_err(|error| Error::io("Cannot remove a dead process's lock file", &aside, error))?;
    Ok(Look::Again)
}

/// How long the lock file has looked the same, by the monotonic clock.
#[derive(Default)]
struct Watch(Option<(crate::stamp::Print, Instant)>);

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

/// Who holds a lock, for the message of a time-out.
#[derive(Debug)]
pub(crate) struct Holder {
    pub(crate) pid: u32,
    pub(crate) command: Option<String>,
    pub(crate) age: Option<Duration>,
}

/// Who wrote the lock file last; `None` when that cannot be told.
pub(crate) fn holder(paths: &Paths) -> Option<Holder> {
    [&paths.sibling, &paths.private].into_iter().find_map(|path| {
        let file = retry(|| files::careful().read(true).open(path)).ok()?;
        let record = Record::read(&file);
        let age = file.metadata().ok()?.modified().ok()?.elapsed().ok();
        Some(Holder { pid: record.pid()?, command: record.command(), age })
    })
}

/// Whether `path` is a name of the open `file`.
fn names(path: &Path, file: &File) -> Result<bool> {
    let Some(there) = files::status_at(path)? else { return Ok(false) };
    Ok(same_file(&there, &files::status_of(file, path)?))
}

fn same_file(a: &fs::Metadata, b: &fs::Metadata) -> bool {
    (a.dev(), a.ino()) == (b.dev(), b.ino())
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

/// The file system cannot flock at all.
fn is_unsupported(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| {
        [Errno::NOLCK, Errno::NOSYS, Errno::OPNOTSUPP, Errno::NOTSUP, Errno::INVAL]
            .iter()
            .any(|no| no.raw_os_error() == code)
    })
}

/// The file system cannot link, or not these two places.
fn cannot_link(error: &io::Error) -> bool {
    error.raw_os_error().is_some_and(|code| {
        [Errno::PERM, Errno::NOSYS, Errno::OPNOTSUPP, Errno::NOTSUP, Errno::XDEV, Errno::MLINK]
            .iter()
            .any(|no| no.raw_os_error() == code)
    })
}
