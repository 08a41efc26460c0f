//! The file whose modification tells that the keystore item changed.
//!
//! Siblings write `{}` into it, create it empty, or only touch it. Whatever else it holds was left by a store that
//! kept its content in this file.

use std::path::Path;

use crate::atomic_file::{self, Durability};
use crate::{
    Error, ErrorKind, LockGuard, Persistence, Result, Secret, Stamp, schema, storage::FilePersistence,
};

/// What the JavaScript sibling writes, and what says that there is nothing here.
const CONTENT: &[u8] = b"{}";

#[derive(Clone, Debug)]
pub(super) struct Marker {
    pub(super) file: FilePersistence,
}

impl Marker {
    pub(super) fn new(path: &Path) -> Result<Self> {
        // A marker that a loss of power takes along only makes everybody read the item once more.
        Ok(Self { file: FilePersistence::new(path)?.durability(Durability::Cached) })
    }

    /// What to compare. A missing marker never hides a change: it matches nothing.
    pub(super) fn stamp(&self) -> Result<Stamp> {
        let stamp = self.file.stamp()?;
        Ok(if stamp.is_absent() { Stamp::UNKNOWN } else { stamp })
    }

    /// Makes the marker differ from all that anybody has seen of it.
    pub(super) fn bump(&self, guard: &LockGuard) -> Result<Stamp> {
        // A new time is all that it takes, and what somebody who ignores the lock has just put there is not lost by it.
        // Where there is no marker, or none to be touched, a new one takes its place.
        match atomic_file::touch(guard.target()) {
            Some(stamp) => Ok(stamp),
            None => self.file.save(guard, CONTENT),
        }
    }

    /// What another store left here, as it stands in the file; `None` when there is only a marker, or nothing.
    pub(super) fn content(&self, guard: Option<&LockGuard>) -> Result<Option<Secret>> {
        Ok(self.file.raw(guard)?.filter(|content| !schema::is_vacant(content.expose())))
    }

    /// Refuses a marker that holds another store's content.
    ///
    /// # Errors
    /// `MarkerOccupied`, and those of reading a file.
    pub(super) fn require_vacant(&self, guard: Option<&LockGuard>) -> Result<()> {
        match self.content(guard)? {
            None => Ok(()),
            Some(_) => Err(occupied(self.file.path())),
        }
    }

    /// Whether somebody, ours or a sibling, is in the middle of a change.
    pub(super) fn is_being_written(&self) -> Result<bool> {
        let mut lock_file = self.file.path().as_os_str().to_owned();
        lock_file.push(".lockfile");
        Ok(crate::platform::files::status_at(Path::new(&lock_file))?.is_some())
    }
}

/// The marker at `path` holds another store's content, which nobody here can open.
pub(super) fn occupied(path: &Path) -> Error {
    let what = "The marker file of the keystore item holds the content of another store";
    Error::new(ErrorKind::MarkerOccupied, what)
        .at(path)
        .remedy("Move it with migrate(), from the store that wrote it, or choose another path for the marker")
}
