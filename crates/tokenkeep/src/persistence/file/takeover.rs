//! Encrypts a plaintext cache found at the path of an encrypted one.
//!
//! An older release, another library or a run without encryption may have written it. It is encrypted at the same
//! path under the lock. A kill at any point leaves either the plaintext or the encrypted file whole, and the next
//! access continues.

use std::sync::atomic::Ordering;

use super::FilePersistence;
use crate::event::Event;
use crate::persistence::Loaded;
use crate::{
    CacheLock, Error, ErrorKind, LockGuard, Persistence, Protection, Result, Secret, options::WaitOptions,
    schema,
};

impl FilePersistence {
    /// Encrypts a plaintext cache found at the path of an encrypted one; returns `true` if there was one. Calling it is the
    /// consent that a load needs by [`FilePersistence::taking_over_plaintext`].
    ///
    /// # Errors
    /// Those of [`Persistence::load`] and [`CacheLock::acquire`]; `NotVerified` if the encrypted content was not read
    /// back unchanged. The plaintext then stays as it was.
    pub fn encrypt_plaintext(&self, wait: &WaitOptions) -> Result<bool> {
        self.clone().taking_over_plaintext(true).settle_plaintext(wait)
    }

    /// Encrypts a plaintext cache where that is allowed, and else refuses it.
    pub(crate) fn settle_plaintext(&self, wait: &WaitOptions) -> Result<bool> {
        match self.load(None) {
            Err(error) if error.kind() == ErrorKind::Unprotected => {}
            // Other errors are for the next read, which may find the file stable by then.
            Ok(_) | Err(_) => return Ok(false),
        }
        let guard = CacheLock::with_events(&self.path, self.events.clone()).acquire(wait)?;
        match self.read(guard.target(), true)?.content.map(|bytes| self.protector.unprotect(bytes)) {
            Some(Err(error)) if error.kind() == ErrorKind::Unprotected => {
                self.require_plaintext_allowed(error)?;
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

    /// Refuses plaintext in the place of protected content, unless the program allows it.
    ///
    /// # Errors
    /// The given one, with the ways on.
    pub(super) fn require_plaintext_allowed(&self, error: Error) -> Result<()> {
        if self.takes_plaintext && !self.state.protected.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(error.about(&self.path).remedy(
            "It was written without the key. If it is yours, move it with migrate(), or allow a plaintext file among the \
             fallbacks; otherwise remove it and sign in again",
        ))
    }

    /// Remembers protected content, and warns if it was emptied without the key.
    pub(super) fn note_protection(&self, bytes: Option<&Secret>) {
        let Some(bytes) = bytes.filter(|_| self.protector.protection() != Protection::Plaintext) else {
            return;
        };
        let bytes = bytes.expose();
        if bytes.is_empty() || bytes.trim_ascii() == b"{}" {
            if self.state.protected.swap(false, Ordering::Relaxed) {
                let path = self.path.clone();
                self.events.warn(|| format!("The protected cache {path:?} was emptied without its key"));
            }
        } else if !schema::is_msal_cache(bytes) {
            self.state.protected.store(true, Ordering::Relaxed);
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
