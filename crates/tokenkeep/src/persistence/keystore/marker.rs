//! The file whose modification tells that the keystore item changed.
//!
//! Siblings write `{}` into it, create it empty, or only touch it. Whatever else it holds was left by a store that
//! kept its content in this file.

use std::path::Path;

use crate::atomic_file::Durability;
use crate::{Error, ErrorKind, FilePersistence, LockGuard, Persistence, Result, Stamp};

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
        self.file.save(guard, CONTENT)
    }

    /// Refuses a marker that holds an older store's content.
    ///
    /// # Errors
    /// `MarkerOccupied`, and those of reading a file.
    pub(super) fn require_vacant(&self, guard: Option<&LockGuard>) -> Result<()> {
        let vacant = self.file.load(guard)?.content.is_none_or(|content| {
            let content = content.expose().trim_ascii();
            content.is_empty() || content == CONTENT
        });
        if vacant {
            return Ok(());
        }
        let what = "The marker file of the keystore item holds the content of another store";
        Err(Error::new(ErrorKind::MarkerOccupied, what)
            .at(self.file.path())
            .remedy("Move that content into the keystore first, or choose another path for the marker"))
    }

    /// Whether somebody, ours or a sibling, is in the middle of a change.
    pub(super) fn is_being_written(&self) -> Result<bool> {
        let mut lock_file = self.file.path().as_os_str().to_owned();
        lock_file.push(".lockfile");
        Ok(crate::platform::files::status_at(Path::new(&lock_file))?.is_some())
    }
}
