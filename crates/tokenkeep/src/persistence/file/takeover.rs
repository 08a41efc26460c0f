//! Encrypts a plaintext cache found at the path of an encrypted one.
//!
//! An older release, another library or a run without encryption may have written it. It is encrypted at the same
//! path under the lock. A kill at any point leaves either the plaintext or the encrypted file whole, and the next
//! access continues.

use super::FilePersistence;
use crate::event::Event;
use crate::persistence::Loaded;
use crate::{CacheLock, Error, ErrorKind, LockGuard, Persistence, Result, options::WaitOptions};

impl FilePersistence {
    /// Encrypts a plaintext cache found at the path of an encrypted one; returns `true` if there was one. A load
    /// under the lock does the same; this method does it at once, when a program opens its cache.
    ///
    /// # Errors
    /// Those of [`Persistence::load`] and [`CacheLock::acquire`]; `NotVerified` if the encrypted content was not read
    /// back unchanged. The plaintext then stays as it was.
    pub fn encrypt_plaintext(&self, wait: &WaitOptions) -> Result<bool> {
        match self.load(None) {
            Err(error) if error.kind() == ErrorKind::Unprotected => {}
            // Other errors are for the next read, which may find the file stable by then.
            Ok(_) | Err(_) => return Ok(false),
        }
        let guard = CacheLock::with_events(&self.path, self.events.clone()).acquire(wait)?;
        match self.read(guard.target(), true)?.content.map(|bytes| self.protector.unprotect(bytes)) {
            Some(Err(error)) if error.kind() == ErrorKind::Unprotected => {
                self.take_over(&guard).map(|_| true)
            }
            // Another process has done it, or was killed before it had overwritten the plaintext.
            Some(Ok(_)) => {
                self.clear_remains(&guard);
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    /// Encrypts the stored plaintext and returns it.
    ///
    /// # Errors
    /// Those of the protector and of the write; `NotVerified` if the content was not read back unchanged. The
    /// plaintext then stays as it was.
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
