//! Replacing a file so that a reader sees the old content or the new, and a crash leaves one of them whole.
//!
//! A temporary file in the same directory is written, synced and renamed over the old one, and the directory is
//! synced. Where a file cannot be replaced by renaming, such as one that is bind-mounted into a container, it is
//! written in place after its space has been reserved; that is not crash-safe, and the caller is told.
//!
//! Everything here runs under the lock of the cache, which the callers prove with a guard.

use std::fs::{self, File, FileTimes, Metadata};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use crate::platform::files::{self, retry};
use crate::{Error, ErrorKind, Result, Stamp};

/// Whether a write is on the disk when it is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// Synced: an acknowledged write survives a loss of power. The default.
    #[default]
    Synced,
    /// Left to the operating system's cache: survives a crash of the process but not of the machine. What the
    /// sibling libraries do.
    Cached,
}

/// What a replacement left behind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replaced {
    pub(crate) stamp: Stamp,
    /// `false` when the file had to be written in place.
    pub(crate) crash_safe: bool,
}

/// Puts `content` in the place of what `target` holds. A failure leaves the old content whole and no file behind.
///
/// # Errors
/// `StorageFull`, `PermissionDenied`, `UnsafeFile`, `Io`.
pub(crate) fn replace(target: &Path, content: &[u8], durability: Durability) -> Result<Replaced> {
    let old = files::status_at(target)?;
    if let Some(old) = &old {
        files::require_plain_file(target, old)?;
    }
    let temporary = Temporary::create(target)?;
    let modified = next_modified(old.as_ref());
    temporary.fill(content, old.as_ref(), modified, durability)?;
    match retry(|| fs::rename(&temporary.path, target)) {
        Ok(()) => {}
        Err(error) if is_mount_point(&error) => {
            drop(temporary);
            let stamp = overwrite(target, content, modified, durability)?;
            return Ok(Replaced { stamp, crash_safe: false });
        }
        Err(error) => return Err(Error::io("Cannot put the new content in place", target, error)),
    }
    let file = temporary.placed();
    if durability == Durability::Synced {
        files::sync_directory(files::directory_of(target))?;
    }
    Ok(Replaced { stamp: own_stamp(&file, target, content, modified)?, crash_safe: true })
}

/// Removes temporary files that a killed writer of this target left. Needs the lock: a living writer's file looks
/// the same. Failing is no reason to fail the caller: the file is found again next time.
pub(crate) fn remove_left_over(target: &Path) {
    let prefix = temporary_prefix(target);
    let Ok(entries) = fs::read_dir(files::directory_of(target)) else { return };
    for entry in entries.flatten() {
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Keeps `content` as `<target>.corrupt-<hash>` (0600) and returns the path. The hash is of the content, so that the
/// same damage met twice is kept once.
///
/// # Errors
/// As [`replace`].
pub(crate) fn keep_copy(target: &Path, content: &[u8]) -> Result<PathBuf> {
    let hash = fnv(content);
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(format!(".corrupt-{hash:016x}"));
    // A name that leaves no room for the suffix gives way to the one that temporary files are found by.
    if name.len() > 255 {
        name = format!("tk-{:016x}.corrupt-{hash:016x}", name_hash(target)).into();
    }
    let copy = target.with_file_name(name);
    keep_as(target, &copy, content)?;
    Ok(copy)
}

/// Keeps `content`, which nobody can read any more, as `<target>.lapsed` (0600) in the place of an earlier one, and
/// returns the path.
///
/// # Errors
/// As [`replace`].
pub(crate) fn keep_lapsed(target: &Path, content: &[u8]) -> Result<PathBuf> {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(".lapsed");
    if name.len() > 255 {
        name = format!("tk-{:016x}.lapsed", name_hash(target)).into();
    }
    let copy = target.with_file_name(name);
    keep_as(target, &copy, content)?;
    Ok(copy)
}

fn keep_as(target: &Path, copy: &Path, content: &[u8]) -> Result<()> {
    // Under the target's own prefix, so that a killed writer's remains are found together.
    let temporary = Temporary::create(target)?;
    temporary.fill(content, None, SystemTime::now(), Durability::Synced)?;
    retry(|| fs::rename(&temporary.path, copy))
        .map_err(|error| Error::io("Cannot keep a copy of the old content", copy, error))?;
    drop(temporary.placed());
    files::sync_directory(files::directory_of(target))
}

/// `.tk-<hash of the target's name>-`: fits beside a name of 255 bytes, and never another cache's file.
fn temporary_prefix(target: &Path) -> String {
    format!(".tk-{:016x}-", name_hash(target))
}

fn name_hash(target: &Path) -> u64 {
    use std::os::unix::ffi::OsStrExt;
    fnv(target.file_name().unwrap_or_default().as_bytes())
}

/// FNV-1a: names must stay the same over releases, and nothing depends on nobody finding a second preimage.
pub(crate) fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// A new file beside the target, removed again unless it was put in place.
struct Temporary {
    file: Option<File>,
    path: PathBuf,
    placed: bool,
}

impl Temporary {
    fn create(target: &Path) -> Result<Self> {
        let directory = files::directory_of(target);
        let name = format!("{}{:016x}.tmp", temporary_prefix(target), random()?);
        let path = directory.join(name);
        let file = retry(|| files::careful().write(true).create_new(true).open(&path)).map_err(|error| {
            Error::io("Cannot create a temporary file beside the cache", directory, error)
        })?;
        Ok(Self { file: Some(file), path, placed: false })
    }

    fn fill(
        &self,
        content: &[u8],
        old: Option<&Metadata>,
        modified: SystemTime,
        durability: Durability,
    ) -> Result<()> {
        let Some(mut file) = self.file.as_ref() else { return Ok(()) };
        let failed =
            |error| Error::io("Cannot write the new content; the old is unharmed", &self.path, error);
        file.write_all(content).map_err(failed)?;
        files::tighten(file, &self.path)?;
        if let Some(old) = old.filter(|_| files::effective_user() == 0) {
            keep_owner(file, &self.path, old)?;
        }
        retry(|| file.set_times(FileTimes::new().set_modified(modified))).map_err(failed)?;
        if durability == Durability::Synced {
            retry(|| file.sync_all()).map_err(failed)?;
        }
        Ok(())
    }

    fn placed(mut self) -> Option<File> {
        self.placed = true;
        self.file.take()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.placed {
            // The failure that brought us here is the one to report; what stays is swept by the next writer.
            let _ = retry(|| fs::remove_file(&self.path));
        }
    }
}

/// Root that rewrites a user's cache leaves it the user's.
fn keep_owner(file: &File, path: &Path, old: &Metadata) -> Result<()> {
    let new = files::status_of(file, path)?;
    if (new.uid(), new.gid()) == (old.uid(), old.gid()) {
        return Ok(());
    }
    retry(|| std::os::unix::fs::fchown(file, Some(old.uid()), Some(old.gid())))
        .map_err(|error| Error::io("Cannot give the new content its old owner", path, error))
}

/// A time later than the old one in whole milliseconds, in which the sibling libraries compare; never far from now.
fn next_modified(old: Option<&Metadata>) -> SystemTime {
    let millis = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let before = old.and_then(|old| old.modified().ok()).map_or(0, millis);
    let next = millis(SystemTime::now()).max(before) + 1;
    UNIX_EPOCH + Duration::from_millis(u64::try_from(next).unwrap_or(u64::MAX))
}

/// The stamp of what was just written, believed only if nothing but the rename has touched the file since.
fn own_stamp(file: &Option<File>, path: &Path, content: &[u8], modified: SystemTime) -> Result<Stamp> {
    let Some(file) = file else { return Ok(Stamp::UNKNOWN) };
    let print = files::print(&files::status_of(file, path)?);
    let nanos = modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let ours = print.size == content.len() as u64 && i128::try_from(nanos) == Ok(print.modified);
    Ok(if ours { Stamp::of_own_write(print) } else { Stamp::UNKNOWN })
}

/// Something is mounted on the very file, so that its name cannot be given to another.
fn is_mount_point(error: &io::Error) -> bool {
    [Errno::BUSY, Errno::XDEV].iter().any(|no| error.raw_os_error() == Some(no.raw_os_error()))
}

/// Writes over the old content in place. The space is reserved first, so that a full disk is noticed while the old
/// content is still whole.
fn overwrite(target: &Path, content: &[u8], modified: SystemTime, durability: Durability) -> Result<Stamp> {
    let failed = |error: io::Error| Error::io("Cannot write the cache in place", target, error);
    let (file, _) = files::open_existing(target, files::careful().write(true))?
        .ok_or_else(|| Error::new(ErrorKind::Io, "The mounted cache file disappeared").at(target))?;
    if !content.is_empty() {
        match retry(|| Ok(rustix::fs::fallocate(&file, FallocateFlags::KEEP_SIZE, 0, content.len() as u64)?))
        {
            Ok(()) => {}
            // A file system that cannot reserve space has no better to offer.
            Err(error) if error.raw_os_error() == Some(Errno::OPNOTSUPP.raw_os_error()) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    file.write_all_at(content, 0).map_err(failed)?;
    retry(|| file.set_len(content.len() as u64)).map_err(failed)?;
    files::tighten(&file, target)?;
    retry(|| file.set_times(FileTimes::new().set_modified(modified))).map_err(failed)?;
    if durability == Durability::Synced {
        retry(|| file.sync_all()).map_err(failed)?;
    }
    own_stamp(&Some(file), target, content, modified)
}

/// Unpredictable, so that nobody can wait for a name.
pub(crate) fn random() -> Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(ErrorKind::Io, "The operating system gives no random bytes").because(error.to_string())
    })?;
    Ok(u64::from_le_bytes(bytes))
}
