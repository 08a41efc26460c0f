//! Keeps the file that a rename replaces until its bytes have been overwritten.
//!
//! Meanwhile the file has its own name, `<cache>.tk-old`, so that a later process can overwrite it after a kill.
//! Without hard links it has no name, and a kill leaves the bytes in free blocks.
//!
//! Overwriting guarantees nothing on copy-on-write file systems (btrfs, ZFS, snapshots), on journals that keep data,
//! or on solid-state disks, which write to other blocks: the old blocks stay until they are reused.

use std::fs::File;
use std::path::Path;

use crate::platform::directory::Entry;
use crate::platform::files::{self, Status};
use crate::platform::writing;
use crate::{Error, ErrorKind, Result};

const SUFFIX: &str = ".tk-old";

/// An old file. Dropping it without [`Remains::wipe`] leaves its bytes as they are.
#[derive(Debug)]
pub(crate) struct Remains {
    /// `None` where an open file may not be replaced; the file is then found by its name.
    file: Option<File>,
    name: Option<Entry>,
}

impl Remains {
    /// Opens the file at `target`, which is about to be replaced; `None` if there is none. First overwrites the file
    /// of an earlier replacement. Needs the lock.
    ///
    /// # Errors
    /// `UnsafeFile`, `PermissionDenied`, `Io`.
    pub(crate) fn hold(target: &Entry) -> Result<Option<Self>> {
        clear(target)?;
        let Some((file, _)) = files::open_existing(target, files::careful().read(true).write(true))? else {
            return Ok(None);
        };
        let name = target.with_suffix(SUFFIX);
        // Without a second name it is overwritten all the same, unless this process is killed before that.
        let linked = writing::link(target, &name).is_ok();
        let file = writing::REPLACES_OPEN_FILES.then_some(file);
        Ok(Some(Self { file, name: linked.then_some(name) }))
    }

    /// Overwrites the old file, which `target` does not name any more, and closes it.
    ///
    /// # Errors
    /// `UnsafeFile` if the file has other names, such as a backup's hard link, which must not be destroyed;
    /// `NotSupported` if it cannot be found again; `Io`.
    pub(crate) fn wipe(mut self, target: &Entry) -> Result<()> {
        let file = match self.file.take() {
            Some(file) => file,
            None => self.reopen(target)?,
        };
        let status = files::status_of(&file, target)?;
        // It was written in place, like a mount point, so it is the new file.
        if is_at(target, &status)? {
            return Ok(());
        }
        overwrite(&file, &status, u64::from(self.name.is_some()), target)
    }

    fn reopen(&self, target: &Path) -> Result<File> {
        let open = |name: &Entry| files::open_existing(name, files::careful().read(true).write(true));
        let open = self.name.as_ref().map(open).transpose()?;
        open.flatten().map(|(file, _)| file).ok_or_else(|| {
            let text = "This file system has no hard links by which to find the old content again";
            Error::new(ErrorKind::NotSupported, text).at(target)
        })
    }
}

impl Drop for Remains {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            writing::remove_persistently(name);
        }
    }
}

/// Returns whether a process was killed before it had overwritten the file that it replaced at `target`.
///
/// # Errors
/// `Io`, `PermissionDenied`.
pub(crate) fn are_left(target: &Entry) -> Result<bool> {
    Ok(files::status_at(&target.with_suffix(SUFFIX))?.is_some())
}

/// Overwrites and removes the file of a killed process; `false` if there was none. The file at `target` must be known
/// to be good. Needs the lock.
///
/// # Errors
/// Like [`Remains::wipe`].
pub(crate) fn clear(target: &Entry) -> Result<bool> {
    let name = target.with_suffix(SUFFIX);
    if files::status_at(&name)?.is_none() {
        return Ok(false);
    }
    let Some((file, status)) = files::open_existing(&name, files::careful().read(true).write(true))? else {
        return Ok(false);
    };
    // Dropping it removes the name after the file is closed.
    let _left = Remains { file: None, name: Some(name) };
    // The process was killed before the replacement, so this is the content.
    if !is_at(target, &status)? {
        overwrite(&file, &status, 1, target)?;
    }
    drop(file);
    Ok(true)
}

/// Overwrites and removes a copy; `false` if there is none. Needs the lock.
///
/// # Errors
/// Like [`Remains::wipe`].
pub(super) fn wipe_copy(copy: &Entry) -> Result<bool> {
    let Some((file, status)) = files::open_existing(copy, files::careful().read(true).write(true))? else {
        return Ok(false);
    };
    overwrite(&file, &status, 1, copy)?;
    drop(file);
    writing::remove(copy).map_err(|error| Error::io("Cannot remove the copy", copy, error))?;
    Ok(true)
}

fn overwrite(old: &File, status: &Status, names: u64, target: &Path) -> Result<()> {
    let failed = |error| Error::io("Cannot overwrite the old content", target, error);
    if files::links(status) > names {
        let text = format!("{} other names (hard links) still lead to it", files::links(status) - names);
        return Err(Error::new(ErrorKind::UnsafeFile, text));
    }
    let zeros = [0; 64 * 1024];
    let mut at = 0;
    while at < status.len() {
        let count = usize::try_from(status.len() - at).map_or(zeros.len(), |left| left.min(zeros.len()));
        writing::write_all_at(old, &zeros[..count], at).map_err(failed)?;
        at += count as u64;
    }
    writing::sync(old).map_err(failed)
}

/// Returns whether the file with this status is the one at `target`.
fn is_at(target: &Entry, status: &Status) -> Result<bool> {
    let there = files::status_at(target)?;
    Ok(there.is_some_and(|there| files::identity(&there) == files::identity(status)))
}
