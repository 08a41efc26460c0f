//! Taking over a plaintext cache that stands where an encrypted one belongs.
//!
//! An older release, another library or a run without encryption may have left it. It is encrypted in its place under
//! the lock: protect, replace, read back, and only then overwrite the plaintext. Killed at any point, either the
//! plaintext or the encrypted file is there whole, and the next access goes on.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};

use super::FilePersistence;
use crate::atomic_file::{self, Durability};
use crate::event::Event;
use crate::platform::files::{self, retry};
use crate::{CacheLock, Error, ErrorKind, Loaded, LockGuard, Persistence, Result, Secret, WaitOptions};

impl FilePersistence {
    /// Takes over a plaintext cache that stands in the place of an encrypted one; `true` if there was one. Loading
    /// under the lock does the same: this is for doing it at once, when a program opens its cache.
    ///
    /// # Errors
    /// Those of [`Persistence::load`] and [`CacheLock::acquire`]; `NotVerified` when the encrypted content did not read
    /// back the same. The plaintext is then as it was.
    pub fn encrypt_plaintext(&self, wait: &WaitOptions) -> Result<bool> {
        match self.load(None) {
            Err(error) if error.kind() == ErrorKind::Unprotected => {}
            // Everything else is for whoever reads the cache, who may find it at rest by then.
            Ok(_) | Err(_) => return Ok(false),
        }
        let guard = CacheLock::with_events(&self.path, self.events.clone()).acquire(wait)?;
        match self.read(guard.target(), true)?.content.map(|bytes| self.protector.unprotect(bytes)) {
            Some(Err(error)) if error.kind() == ErrorKind::Unprotected => {
                self.take_over(&guard).map(|_| true)
            }
            // Another process was faster.
            _ => Ok(false),
        }
    }

    /// Encrypts the plaintext that is stored now and returns it.
    ///
    /// # Errors
    /// Those of the protector and of writing; `NotVerified` when it did not read back the same. The plaintext is then
    /// as it was.
    pub(super) fn take_over(&self, guard: &LockGuard) -> Result<Loaded> {
        let target = guard.target();
        self.sweep_once(guard);
        let old = files::open_existing(target, files::careful().read(true).write(true))?;
        let (Some((old, _)), Some(plaintext)) = (old, self.read(target, true)?.content) else {
            return Err(
                Error::new(ErrorKind::Busy, "The cache file disappeared while it was locked").at(target)
            );
        };
        let bytes = self.protector.protect(plaintext.expose(), None)?;
        let replaced = atomic_file::replace(target, &bytes, self.durability)?;
        drop(bytes);
        if let Err(error) = self.compare(guard, &plaintext) {
            // The plaintext is what can be read; it goes back to its place.
            atomic_file::replace(target, plaintext.expose(), self.durability)?;
            return Err(error);
        }
        if let Err(error) = self.wipe(&old) {
            self.events.warn(|| {
                format!("The plaintext of {target:?} was encrypted, but the old copy could not be overwritten: {error}")
            });
        }
        self.events.raise(|| Event::Encrypted { path: self.path.clone() });
        Ok(Loaded { content: Some(plaintext), stamp: replaced.stamp })
    }

    fn compare(&self, guard: &LockGuard, plaintext: &Secret) -> Result<()> {
        let back = self
            .read(guard.target(), true)?
            .content
            .map(|bytes| self.protector.unprotect(bytes))
            .transpose()?;
        if back.as_ref() == Some(plaintext) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::NotVerified, "The encrypted cache did not read back as it was written")
            .at(guard.target()))
    }

    /// Overwrites the old file, which has lost its name. On solid-state disks and file systems that copy on writing
    /// this promises nothing: the blocks may live on until they are reused.
    fn wipe(&self, old: &File) -> Result<()> {
        let failed = |error| Error::io("Cannot overwrite the plaintext", &self.path, error);
        let status = files::status_of(old, &self.path)?;
        match status.nlink() {
            0 => {}
            // Another name, such as a backup's hard link, is not ours to destroy. Or it was written in place.
            _ if files::status_at(&self.path)?.is_some_and(|now| now.ino() == status.ino()) => return Ok(()),
            links => {
                let text = format!("{links} other names (hard links) still lead to it");
                return Err(Error::new(ErrorKind::UnsafeFile, text));
            }
        }
        let zeros = [0; 64 * 1024];
        let mut at = 0;
        while at < status.size() {
            let count = usize::try_from(status.size() - at).map_or(zeros.len(), |left| left.min(zeros.len()));
            old.write_all_at(&zeros[..count], at).map_err(failed)?;
            at += count as u64;
        }
        if self.durability == Durability::Synced {
            retry(|| old.sync_all()).map_err(failed)?;
        }
        Ok(())
    }
}
