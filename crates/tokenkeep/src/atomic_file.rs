//! Replaces a file so that a reader sees the old content or the new, and a crash leaves one of them whole.
//!
//! A temporary file in the same directory is written, synced and renamed over the old one, and the directory is
//! synced. A file that cannot be replaced by a rename, such as one bind-mounted into a container, is written in place
//! after its space has been reserved; that is not crash-safe, and the caller is told.
//!
//! Everything here runs under the lock of the cache, which the callers prove with a guard.

mod in_place;
pub(crate) mod remains;

use std::fs::{File, FileTimes};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::names;
use crate::options::Durability;
use crate::platform::directory::Entry;
use crate::platform::files::{self, Status, Tick, retry};
use crate::platform::{room, writing};
use crate::threads::pool;
use crate::{Error, Result, Stamp};

/// Preallocate with fallocate(2) from this size on; below it the call costs more than it saves. A synced write of 5 MB takes
/// a tenth less time.
const PREALLOCATED: usize = 512 * 1024;

/// The outcome of [`replace_deferred`].
#[derive(Debug)]
pub(crate) struct Replaced {
    pub(crate) stamp: Stamp,
    /// `false` if the file was written in place.
    pub(crate) crash_safe: bool,
    pub(crate) rest: Rest,
}

/// Replaces the content of the file at `target`. A failure leaves the old content whole and no file behind.
///
/// # Errors
/// `StorageFull`, `PermissionDenied`, `UnsafeFile`, `Io`. After an error that says so, the new content is in place,
/// but it may not survive a loss of power.
pub(crate) fn replace(target: &Entry, content: &[u8], durability: Durability) -> Result<Stamp> {
    let replaced = replace_deferred(target, content, durability)?;
    replaced.rest.finish()?;
    Ok(replaced.stamp)
}

/// Like [`replace`], but returns before the directory is synced and the old file is closed. The caller completes the
/// [`Rest`], best after releasing the lock.
///
/// # Errors
/// Like [`replace`].
pub(crate) fn replace_deferred(target: &Entry, content: &[u8], durability: Durability) -> Result<Replaced> {
    room::require_plausible(content.len() as u64, target)?;
    files::require_size_allowed(content.len(), target)?;
    let old = files::status_at(target)?;
    if let Some(old) = &old {
        files::require_plain_file(target, old)?;
    }
    let directory = OpenDirectory::of(target, durability)?;
    let modified = next_modified(old.as_ref());
    let temporary = Temporary::create(target)?;
    temporary.fill(content, old.as_ref(), modified, durability)?;
    let old = old.and_then(|_| writing::open_replaced(target));
    // Nothing is put into a directory to which the path does not lead any more: no reader would find it.
    target.require_current()?;
    match writing::rename(temporary.entry(), target) {
        Ok(()) => {}
        Err(error) if writing::is_mount_point(&error) => {
            drop(temporary);
            let stamp = in_place::overwrite(target, content, modified, durability)?;
            return Ok(Replaced { stamp, crash_safe: false, rest: Rest::NOTHING });
        }
        Err(error) => return Err(Error::io("Cannot put the new content in place", target, error)),
    }
    let file = temporary.placed();
    let stamp = own_stamp(&file, target, content.len() as u64, modified);
    Ok(Replaced { stamp, crash_safe: true, rest: Rest { directory, old: OldFile(old) } })
}

/// Changes the times of the file at `target` so that its stamp differs from every earlier one, and keeps its content.
/// Returns `None` if there is no such file, if it is empty, or if this user may not.
pub(crate) fn touch(target: &Entry) -> Option<Stamp> {
    let (file, old) = files::open_existing(target, files::careful().read(true).write(true)).ok()??;
    if old.len() == 0 {
        return None;
    }
    let modified = next_modified(Some(&old));
    files::tighten(&file, target).ok()?;
    retry(|| file.set_times(FileTimes::new().set_modified(modified))).ok()?;
    Some(own_stamp(&file, target, old.len(), modified))
}

/// Removes the file at `target`, or empties it where it is a mount point; returns `false` if there was nothing.
///
/// # Errors
/// Like [`replace`].
pub(crate) fn remove(target: &Entry, durability: Durability) -> Result<bool> {
    let Some(status) = files::status_at(target)? else { return Ok(false) };
    files::require_plain_file(target, &status)?;
    let directory = OpenDirectory::of(target, durability)?;
    target.require_current()?;
    match writing::remove(target) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        // A mount point has to stay, and is emptied.
        Err(error) if writing::is_mount_point(&error) => {
            if status.len() > 0 {
                in_place::overwrite(target, b"", next_modified(Some(&status)), durability)?;
            }
            return Ok(status.len() > 0);
        }
        Err(error) => return Err(Error::io("Cannot remove the cache file", target, error)),
    }
    directory.sync("The cache file is removed, but a loss of power may bring it back")?;
    Ok(true)
}

/// Removes temporary files of a killed writer of this target. Needs the lock, because a living writer's file looks
/// the same. A failure is ignored: the next write finds the file again.
pub(crate) fn remove_left_over(target: &Entry) {
    let prefix = names::temporary_prefix(target);
    for name in target.names_beside() {
        if name.as_encoded_bytes().starts_with(prefix.as_bytes()) {
            let _ = writing::remove(&target.named(name));
        }
    }
}

/// Keeps `content` as `<target>.corrupt-<hash>` (0600) and returns the path. The hash is of the content, so that the
/// same damage found twice is copied once.
///
/// # Errors
/// Like [`replace`].
pub(crate) fn keep_copy(target: &Entry, content: &[u8]) -> Result<Entry> {
    let copy = target.named(names::with_suffix(target, &format!("{CORRUPT}{:016x}", names::fnv(content))));
    keep_as(target, &copy, content)?;
    limit_copies(target, &copy);
    Ok(copy)
}

/// Copies of damaged content beside a cache. Each may hold a sign-in that is still good.
pub(crate) const COPIES: usize = 3;

/// The beginning of the end of their names.
const CORRUPT: &str = ".corrupt-";
/// The end of the name of the copy whose key is lost.
const LAPSED: &str = ".lapsed";

/// Returns the copies of damaged content.
fn copies(target: &Entry) -> impl Iterator<Item = Entry> {
    let prefix = names::with_suffix(target, CORRUPT);
    let names = target.names_beside().into_iter();
    let copies = names.filter(move |name| name.as_encoded_bytes().starts_with(prefix.as_encoded_bytes()));
    copies.map(|name| target.named(name))
}

/// Overwrites and removes every copy of content beside a cache, and returns their number. Needs the lock.
///
/// # Errors
/// `UnsafeFile` for a copy with another name, `PermissionDenied`, `Io`.
pub(crate) fn wipe_copies(target: &Entry) -> Result<usize> {
    let lapsed = target.named(names::with_suffix(target, LAPSED));
    let mut wiped = usize::from(remains::clear(target)?);
    for copy in copies(target).chain([lapsed]) {
        wiped += usize::from(remains::wipe_copy(&copy)?);
    }
    Ok(wiped)
}

/// Removes the oldest copies of damaged content beyond the limit. A failure is ignored: the next copy tries again.
fn limit_copies(target: &Entry, newest: &Entry) {
    let mut copies: Vec<(SystemTime, Entry)> = copies(target)
        .filter(|copy| copy != newest)
        .filter_map(|copy| Some((files::status_at(&copy).ok()??.modified().ok()?, copy)))
        .collect();
    copies.sort_by_key(|(modified, _)| std::cmp::Reverse(*modified));
    for (_, copy) in copies.into_iter().skip(COPIES - 1) {
        let _ = writing::remove(&copy);
    }
}

/// Keeps `content` whose key is lost as `<target>.lapsed` (0600), in place of an earlier one, and returns the path.
///
/// # Errors
/// Like [`replace`].
pub(crate) fn keep_lapsed(target: &Entry, content: &[u8]) -> Result<Entry> {
    let copy = target.named(names::with_suffix(target, LAPSED));
    keep_as(target, &copy, content)?;
    Ok(copy)
}

fn keep_as(target: &Entry, copy: &Entry, content: &[u8]) -> Result<()> {
    files::require_size_allowed(content.len(), copy)?;
    let directory = OpenDirectory::of(target, Durability::Synced)?;
    // With the target's prefix, so that the files of a killed writer are found.
    let temporary = Temporary::create(target)?;
    temporary.fill(content, None, SystemTime::now(), Durability::Synced)?;
    target.require_current()?;
    writing::rename(temporary.entry(), copy)
        .map_err(|error| Error::io("Cannot keep a copy of the old content", copy, error))?;
    drop(temporary.placed());
    directory.sync("The copy is in place, but a loss of power may undo it")
}

/// The directory of a file, opened before any change, to know in time whether it can be synced.
#[derive(Debug)]
struct OpenDirectory(Option<(File, PathBuf)>);

impl OpenDirectory {
    fn of(target: &Entry, durability: Durability) -> Result<Self> {
        if durability == Durability::Cached {
            return Ok(Self(None));
        }
        let path = files::directory_of(target);
        let open = writing::open_directory(target).map_err(|error| {
            Error::io("Cannot open the directory to make a change in it durable", path, error)
        })?;
        Ok(Self(open.map(|open| (open, path.to_owned()))))
    }

    /// Waits until the changes of the directory are on the disk; `if_not` is the meaning of a failure.
    fn sync(self, if_not: &str) -> Result<()> {
        let Some((directory, path)) = self.0 else { return Ok(()) };
        writing::sync_directory(&directory).map_err(|error| {
            Error::io(if_not, &path, error)
                .remedy("Save it again; if that fails too, look into the system's log")
        })
    }
}

/// The steps of a replacement that need no lock: sync the directory, and close the old file.
#[derive(Debug)]
#[must_use = "a write may be acknowledged only after the directory is synced"]
pub(crate) struct Rest {
    directory: OpenDirectory,
    old: OldFile,
}

/// The file that lost its name. Closing it frees its blocks, which takes as long as writing the new ones; so another thread
/// does that.
#[derive(Debug)]
struct OldFile(Option<File>);

impl Drop for OldFile {
    fn drop(&mut self) {
        pool::discard(self.0.take());
    }
}

impl Rest {
    pub(crate) const NOTHING: Self = Self { directory: OpenDirectory(None), old: OldFile(None) };

    /// Waits until the new name is on the disk.
    ///
    /// # Errors
    /// `Io`, `StorageFull`: the content is in place nevertheless.
    pub(crate) fn finish(self) -> Result<()> {
        // The old file is closed at the end: its freed blocks would make the sync longer.
        let Self { directory, old: _old } = self;
        directory.sync("The new content is in place, but a loss of power may undo it")
    }
}

/// A new file beside the target, removed again unless it was renamed.
#[derive(Debug)]
pub(crate) struct Temporary {
    file: File,
    unplaced: Unplaced,
}

impl Temporary {
    pub(crate) fn create(target: &Entry) -> Result<Self> {
        let entry = target.named(names::temporary_name(target)?);
        let file = writing::create_new(&entry, target).map_err(|error| {
            let directory = files::directory_of(target);
            Error::io("Cannot create a temporary file beside the cache", directory, error)
        })?;
        Ok(Self { file, unplaced: Unplaced { entry, placed: false, process: std::process::id() } })
    }

    fn entry(&self) -> &Entry {
        &self.unplaced.entry
    }

    fn fill(
        &self,
        content: &[u8],
        old: Option<&Status>,
        modified: SystemTime,
        durability: Durability,
    ) -> Result<()> {
        let (mut file, path) = (&self.file, self.entry());
        let failed = |error| Error::io("Cannot write the new content; the old is unharmed", path, error);
        // Only if it is synced before the rename: reserved space that is not written yet reads as zeros.
        if durability == Durability::Synced && content.len() >= PREALLOCATED {
            writing::reserve(file, content.len() as u64).map_err(failed)?;
        }
        file.write_all(content).map_err(failed)?;
        files::tighten(file, path)?;
        if let Some(old) = old {
            writing::keep_owner(file, path, old)?;
        }
        retry(|| file.set_times(FileTimes::new().set_modified(modified))).map_err(failed)?;
        if durability == Durability::Synced {
            writing::sync(file).map_err(failed)?;
        }
        Ok(())
    }

    fn placed(mut self) -> File {
        self.unplaced.placed = true;
        self.file
    }
}

/// The name of a temporary file.
#[derive(Debug)]
struct Unplaced {
    entry: Entry,
    placed: bool,
    /// The process that created it, as opposed to a process forked from it.
    process: u32,
}

impl Drop for Unplaced {
    fn drop(&mut self) {
        if !self.placed && self.process == std::process::id() {
            writing::remove_persistently(&self.entry);
        }
    }
}

/// Returns the current time in milliseconds, the unit in which the sibling libraries compare, but later than the old
/// time, even if a wrong clock set that in the future.
///
/// The part below the millisecond is random: a file that another process removes and creates again in the same tick,
/// with the same size and inode, must not look like our own write. It is less than half a millisecond, because some
/// siblings round, and in steps of 100 ns, which ordinary file systems can store.
fn next_modified(old: Option<&Status>) -> SystemTime {
    let millis = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let before = old.and_then(|old| old.modified().ok()).map_or(0, millis);
    let next = millis(SystemTime::now()).max(before) + 1;
    let chance = names::random().map_or(0, |random| random % 5_000 * 100);
    UNIX_EPOCH + Duration::from_millis(u64::try_from(next).unwrap_or(u64::MAX)) + Duration::from_nanos(chance)
}

/// Returns the stamp of the written content, trusted only if only the rename has touched the file since. The content
/// is in place by now, so a failure here costs the next reader a reload and is not an error.
fn own_stamp(file: &File, target: &Entry, size: u64, modified: SystemTime) -> Stamp {
    let tick = Tick::now();
    let Ok(status) = files::status_of(file, target) else { return Stamp::UNKNOWN };
    let fingerprint = files::fingerprint(&status);
    let nanos = modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let ours = fingerprint.size == size && i128::try_from(nanos) == Ok(fingerprint.modified);
    if ours { tick.own_stamp(file, target, fingerprint) } else { Stamp::UNKNOWN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_write_is_later_in_milliseconds_whether_a_sibling_rounds_or_cuts() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mut before = 0;
        for _ in 0..200 {
            let old = files::status_of(file.as_file(), file.path()).unwrap();
            let next = next_modified(Some(&old));
            file.as_file().set_times(FileTimes::new().set_modified(next)).unwrap();
            let micros = next.duration_since(UNIX_EPOCH).unwrap().as_micros();
            assert!(micros % 1_000 < 500, "rounding would reach the next millisecond");
            assert!(micros / 1_000 > before);
            before = micros / 1_000;
        }
    }
}
