//! Replaces another store's file: writes the content, reads it back, and only then overwrites the old bytes.
//!
//! A kill at any point leaves the old file or the new one whole. Old bytes that were not overwritten because of the
//! kill still have a name (see `atomic_file::remains`), and the next use of the file overwrites them.

use super::FilePersistence;
use crate::atomic_file;
use crate::atomic_file::remains::{self, Remains};
use crate::options::Durability;
use crate::persistence::OldCopy;
use crate::platform::directory::{self, Entry};
use crate::{Error, ErrorKind, LockGuard, Persistence, Result, Secret, Stamp};

impl FilePersistence {
    /// Puts `content` in the place of whatever file stands there, even one that this protector has no key for: the
    /// caller has read it by other means.
    ///
    /// # Errors
    /// Those of the protector and of writing; `NotVerified` when it did not read back the same. The old file is then
    /// as it was.
    pub(super) fn exchange(&self, guard: &LockGuard, content: &[u8]) -> Result<(Stamp, OldCopy)> {
        let target = guard.target();
        self.sweep_once(target);
        let old = self.read(target, true)?.content;
        let remains = Remains::hold(target)?;
        let (bytes, lapsed) = match self.protect(content, target) {
            Err(error) if error.is_foreign() => (self.protector.protect(content, None)?, false),
            protected => protected?,
        };
        if lapsed && let Some(old) = &old {
            atomic_file::keep_lapsed(target, old.expose())?;
        }
        // With any durability of this file, because the content may be about to vanish from its only other store.
        let stamp = atomic_file::replace(target, &bytes, Durability::Synced)?;
        drop(bytes);
        if let Err(error) = self.compare(guard, content) {
            match &old {
                // The old content is readable, so it is restored.
                Some(old) => _ = atomic_file::replace(target, old.expose(), Durability::Synced)?,
                None => _ = atomic_file::remove(target, Durability::Synced)?,
            }
            return Err(error);
        }
        Ok((stamp, self.wipe(remains, guard)))
    }

    /// Leaves `{}` where content was that is safe in another store, and overwrites the old bytes.
    ///
    /// # Errors
    /// Those of writing; the content is then as it was.
    pub(super) fn leave_empty(&self, guard: &LockGuard) -> Result<OldCopy> {
        let target = guard.target();
        let Some(old) = self.read(target, true)?.content else { return Ok(OldCopy::Nothing) };
        if let Err(error) = self.protector.unprotect(old.clone())
            && error.kind() == ErrorKind::KeyGone
        {
            atomic_file::keep_lapsed(target, old.expose())?;
        }
        drop(old);
        let remains = Remains::hold(target)?;
        atomic_file::replace(target, b"{}", Durability::Synced)?;
        Ok(self.wipe(remains, guard))
    }

    /// Returns whether a process was killed between placing a new file and overwriting the old one.
    pub(super) fn is_unfinished(&self, target: &Entry) -> Result<bool> {
        remains::are_left(target)
    }

    /// Like `is_unfinished`, for the file that the path stands for.
    pub(crate) fn is_unfinished_at_path(&self) -> Result<bool> {
        self.is_unfinished(&directory::resolve(&self.path)?)
    }

    /// Overwrites the old file of a killed process; the present file has been read.
    pub(crate) fn clear_remains(&self, guard: &LockGuard) -> bool {
        let cleared = remains::clear(guard.target());
        match &cleared {
            Ok(false) => {}
            Ok(true) => self.events.notice(|| {
                format!("Overwrote what a process that died had left of the old content of {:?}", self.path)
            }),
            Err(error) => self.warn_of_remains(error),
        }
        cleared.is_ok_and(|cleared| cleared)
    }

    fn wipe(&self, remains: Option<Remains>, guard: &LockGuard) -> OldCopy {
        match remains.map(|remains| remains.wipe(guard.target())) {
            None => OldCopy::Nothing,
            Some(Ok(())) => OldCopy::Overwritten,
            Some(Err(error)) => {
                self.warn_of_remains(&error);
                OldCopy::Released { reason: error.to_string() }
            }
        }
    }

    fn warn_of_remains(&self, error: &Error) {
        self.events.warn(|| {
            format!(
                "The content of {:?} was moved, but its old copy could not be overwritten: {error}",
                self.path
            )
        });
    }

    fn compare(&self, guard: &LockGuard, content: &[u8]) -> Result<()> {
        let back = self.read(guard.target(), true)?.content;
        let back: Option<Secret> = back.map(|bytes| self.protector.unprotect(bytes)).transpose()?;
        if back.is_some_and(|back| back.expose() == content) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::NotVerified, "The cache did not read back as it was written")
            .at(self.path()))
    }
}
