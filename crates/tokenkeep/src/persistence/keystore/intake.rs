//! Imports content at the marker's path into the keystore item.
//!
//! Plaintext is at that path if an older release, another library or a fallback wrote it while the keystore was
//! unavailable; encrypted content if the fallback was an encrypted file. Content of every store that the
//! [`KeystorePersistence`] knows (and plaintext MSAL caches in any case) is moved into the item: at opening, or at
//! the latest at a read or write under the lock. Content that is encrypted by a store unknown to it stays, and is not
//! overwritten. Any other content is a torn cache, or the file of another program; it is copied aside, so that sign-ins
//! go on in the item.

use super::KeystorePersistence;
use crate::event::Event;
use crate::moving::carry;
use crate::persistence::BuiltIn;
use crate::persistence::file::FilePersistence;
use crate::protector;
use crate::{
    CacheLock, Error, ErrorKind, LockGuard, Persistence, Result, Secret,
    options::{OnDamage, WaitOptions},
    schema,
};

impl KeystorePersistence {
    /// Returns the same persistence with `file`, at the marker's own path, as a fallback whose content is imported
    /// into the item. Without this, only plaintext token caches are imported.
    ///
    /// # Errors
    /// `InvalidInput` if the path of the file is not the marker's.
    pub fn stand_in(mut self, file: FilePersistence) -> Result<Self> {
        if file.path() != self.path() {
            let what = "A file that stands in for a keystore item has to be at the path of its marker";
            return Err(Error::new(ErrorKind::InvalidInput, what).at(file.path()));
        }
        self.stand_ins.push(file);
        Ok(self)
    }

    /// Imports the content of a weaker store at the marker's path into the item; returns `true` if there was any. A
    /// load under the lock does the same; this method does it at once, when a program opens its cache.
    ///
    /// # Errors
    /// Those of [`CacheLock::acquire`], [`Keystore::load`](super::Keystore::load) and
    /// [`Keystore::save`](super::Keystore::save); `Conflict` if both have content that cannot be merged;
    /// `MarkerOccupied` if it cannot be decrypted. The file then stays as it was.
    pub fn take_in(&self, wait: &WaitOptions) -> Result<bool> {
        if self.marker.content(None).is_ok_and(|content| content.is_none())
            && !self.marker.file.is_unfinished_at_path()?
        {
            return Ok(false);
        }
        let outer = CacheLock::alone(&self.shared_lock, self.events.clone());
        let _outer = outer.acquire(wait)?;
        let guard = CacheLock::with_events(self.path(), self.events.clone()).acquire(wait)?;
        let taken = self.take_in_under(&guard)?;
        self.marker.require_vacant(Some(&guard))?;
        Ok(taken)
    }

    /// Like [`KeystorePersistence::take_in`], under the lock. Content that cannot be decrypted is not an error here.
    pub(super) fn take_in_under(&self, guard: &LockGuard) -> Result<bool> {
        let Some(content) = self.marker.content(Some(guard))? else {
            self.marker.file.clear_remains(guard);
            return Ok(false);
        };
        for file in self.readers_of(content.expose()) {
            match carry(file, guard, self, guard) {
                Ok(_) if self.marker.content(Some(guard))?.is_some() => {
                    // Encrypted with a key that is gone for good: a copy is kept, and no later attempt can read more.
                    file.empty(guard)?;
                    return Ok(false);
                }
                Ok(carried) => {
                    let (from, to) = (file.info(), self.info());
                    self.events.raise(|| Event::Moved { path: self.path().to_owned(), from, to });
                    return Ok(carried.entries > 0);
                }
                Err(error) if error.is_foreign() => {}
                Err(error) if error.is_damage() => {
                    return self.set_marker_aside(file, guard, error);
                }
                Err(error) if error.kind() == ErrorKind::Conflict => {
                    return self.settle_conflict(file, guard, error);
                }
                Err(error) => {
                    return Err(error.within("Cannot move the content of the marker file into the keystore"));
                }
            }
        }
        if protector::refuse_sealed(content.expose()).is_err() {
            return Ok(false);
        }
        // What may be half of a write is whole a moment later.
        let settled = self.marker.file.raw_at_rest(guard)?;
        match settled.as_ref().is_none_or(|settled| *settled == content) {
            true => {
                let what = "The file holds neither a token cache nor a marker";
                let damage = Error::new(ErrorKind::Damaged, what).at(self.path());
                self.set_marker_aside(&self.marker.file, guard, damage)
            }
            false => self.take_in_under(guard),
        }
    }

    /// Returns whether content at the marker's path is of a kind that is imported.
    pub(super) fn takes_in(&self, content: &[u8]) -> bool {
        self.readers_of(content).next().is_some()
    }

    /// Returns the files that may be able to read the content at the marker's path.
    fn readers_of(&self, content: &[u8]) -> impl Iterator<Item = &FilePersistence> {
        let plaintext = schema::is_msal_cache(content).then_some(&self.marker.file);
        plaintext.into_iter().chain(&self.stand_ins)
    }

    /// Of a file and an item that cannot be merged, the one that is no token cache is copied aside.
    fn settle_conflict(&self, file: &FilePersistence, guard: &LockGuard, conflict: Error) -> Result<bool> {
        let is_cache =
            |content: Option<Secret>| content.is_some_and(|content| schema::is_msal_cache(content.expose()));
        match (is_cache(file.load_own(guard)?), is_cache(self.keystore.load()?)) {
            (false, true) => self.set_marker_aside(file, guard, conflict),
            (true, false) if self.damage == OnDamage::SetAside => {
                let copy = self.keystore.set_aside()?;
                self.keystore.save(&"{}".into())?;
                let (path, reason) = (self.path().to_owned(), "the item holds no token cache".to_owned());
                self.events.raise(|| Event::SetAside { path, copy, reason });
                self.take_in_under(guard)
            }
            _ => Err(conflict.within("Cannot move the content of the marker file into the keystore")),
        }
    }

    /// A fallback's damaged content does not block the keystore: it is copied aside.
    fn set_marker_aside(&self, file: &FilePersistence, guard: &LockGuard, damage: Error) -> Result<bool> {
        if self.damage == OnDamage::Fail {
            return Err(super::marker::occupied(self.path()).because(damage));
        }
        let copy = file.set_aside(guard)?;
        file.empty(guard)?;
        let (path, reason) = (self.path().to_owned(), damage.to_string());
        self.events.raise(|| Event::SetAside { path, copy, reason });
        Ok(false)
    }
}
