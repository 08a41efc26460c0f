//! The marker: a file whose modification time shows that the keystore item changed.
//!
//! Siblings write `{}` into it, create it empty, or only touch it. Other content comes from a store that used this
//! file as its cache.

use std::path::Path;

use crate::atomic_file;
use crate::cache::motion;
use crate::options::Durability;
use crate::persistence::BuiltIn;
use crate::persistence::file::FilePersistence;
use crate::{Error, ErrorKind, LockGuard, Persistence, Result, Secret, Stamp, schema, text};

/// The content that the JavaScript sibling writes; it means that there is no other content.
const CONTENT: &[u8] = b"{}";

#[derive(Clone, Debug)]
pub(super) struct Marker {
    pub(super) file: FilePersistence,
}

impl Marker {
    pub(super) fn new(path: &Path) -> Result<Self> {
        // If a power failure loses the marker, the only effect is that processes read the item once more.
        Ok(Self { file: FilePersistence::new(path)?.durability(Durability::Cached) })
    }

    /// Returns the stamp to compare. A missing marker matches no stamp, so it never hides a change.
    pub(super) fn stamp(&self) -> Result<Stamp> {
        self.file.stamp().map(unless_absent)
    }

    /// Returns the stamp to compare with an earlier one.
    pub(super) fn glance(&self) -> Result<Stamp> {
        self.file.glance().map(unless_absent)
    }

    /// Returns whether there is a marker.
    pub(super) fn exists(&self) -> Result<bool> {
        Ok(!self.file.glance()?.is_absent())
    }

    /// Changes the marker so that it differs from every stamp that a process has seen.
    pub(super) fn bump(&self, guard: &LockGuard) -> Result<Stamp> {
        // Set only the time, so that content just written by a program without the lock is not lost. If the marker is
        // missing or cannot be touched, create a new one.
        match atomic_file::touch(guard.target()) {
            Some(stamp) => Ok(stamp),
            None => self.file.save(guard, CONTENT),
        }
    }

    /// Returns the content of another store in this file; `None` for a marker or an absent file.
    pub(super) fn content(&self, guard: Option<&LockGuard>) -> Result<Option<Secret>> {
        Ok(self.file.raw(guard)?.filter(|content| !schema::is_vacant(content.expose())))
    }

    /// Refuses a marker file with the content of another store.
    ///
    /// # Errors
    /// `MarkerOccupied`, and those of reading a file.
    pub(super) fn require_vacant(&self, guard: Option<&LockGuard>) -> Result<()> {
        match self.content(guard)? {
            None => Ok(()),
            Some(_) => Err(occupied(self.file.path())),
        }
    }

    /// Returns whether a process, ours or a sibling, is in the middle of a change.
    pub(super) fn is_being_written(&self) -> Result<bool> {
        motion::has_lock_file(self.file.path())
    }
}

fn unless_absent(stamp: Stamp) -> Stamp {
    if stamp.is_absent() { Stamp::UNKNOWN } else { stamp }
}

/// The error for a marker file with content that this store cannot open.
pub(super) fn occupied(path: &Path) -> Error {
    let what = "The marker file of the keystore item holds the content of another store";
    Error::new(ErrorKind::MarkerOccupied, what).at(path).remedy(format!(
        "Move its sign-ins into the keystore with migrate(), from the store that wrote it; if they are not wanted, or the key \
         is lost, move the file away: {}",
        text::move_away(path, ".old")
    ))
}
