//! Taking over a plaintext cache that stands where an encrypted one belongs.
//!
//! An older release, another library or a run without encryption may have left it. It is encrypted in its place under
//! the lock; killed at any point, either the plaintext or the encrypted file is there whole, and the next access goes
//! on.

use super::FilePersistence;
use crate::event::Event;
use crate::{
    CacheLock, Error, ErrorKind, LockGuard, Persistence, Result, options::WaitOptions, storage::Loaded,
};

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
            // Another process was faster, or was killed before it had overwritten the plaintext.
            Some(Ok(_)) => {
                self.clear_remains(&guard);
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    /// Encrypts the plaintext that is stored now and returns it.
    ///
    /// # Errors
    /// Those of the protector and of writing; `NotVerified` when it did not read back the same. The plaintext is then
    /// as it was.
    pub(super) fn take_over(&self, guard: &LockGuard) -> Result<Loaded> {
        let Some(plaintext) = self.read(guard.target(), true)?.content else {
            return Err(Error::new(ErrorKind::Busy, "The cache file disappeared while it was locked")
                .at(guard.target()));
        };
        let (stamp, _) = self.exchange(guard, plaintext.expose())?;
        self.events.raise(|| Event::Encrypted { path: self.path.clone() });
        Ok(Loaded { content: Some(plaintext), stamp })
    }
}
