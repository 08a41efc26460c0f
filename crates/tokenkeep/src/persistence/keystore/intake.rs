//! Taking content out of the marker file's place into the keystore item.
//!
//! A plaintext cache stands there when an older release or another library wrote it, or a fallback while the keystore
//! was away; an encrypted one when the fallback was an encrypted file. Everything a [`KeystorePersistence`] was told of
//! (and MSAL caches in plaintext without being told) is moved into the item when it is first met: at open, or at the
//! latest when somebody reads or writes under the lock. What nothing can open stays, and nothing is written over it.

use super::KeystorePersistence;
use crate::event::Event;
use crate::moving::{carry, is_anothers};
use crate::{
    CacheLock, Error, ErrorKind, LockGuard, Persistence, Result,
    options::{OnDamage, WaitOptions},
    schema,
    storage::FilePersistence,
};

impl KeystorePersistence {
    /// The same persistence, for which `file`, at the marker's own path, may have stood in while the keystore was away:
    /// what it holds is moved into the item. Without this, only plaintext token caches are.
    ///
    /// # Errors
    /// `InvalidInput` when the file is another than the marker.
    pub fn stand_in(mut self, file: FilePersistence) -> Result<Self> {
        if file.path() != self.path() {
            let what = "A file that stands in for a keystore item has to be at the path of its marker";
            return Err(Error::new(ErrorKind::InvalidInput, what).at(file.path()));
        }
        self.stand_ins.push(file);
        Ok(self)
    }

    /// Moves what a weaker store left in the place of the marker into the item; `true` if there was something. Loading
    /// under the lock does the same: this is for doing it at once, when a program opens its cache.
    ///
    /// # Errors
    /// Those of [`CacheLock::acquire`], [`Keystore::load`](super::Keystore::load) and
    /// [`Keystore::save`](super::Keystore::save); `Conflict` when both hold content that cannot be brought together;
    /// `MarkerOccupied` when it cannot be opened. What stands there is then as it was.
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

    /// As [`KeystorePersistence::take_in`], under the lock. What cannot be opened is no error here.
    pub(super) fn take_in_under(&self, guard: &LockGuard) -> Result<bool> {
        let Some(content) = self.marker.content(Some(guard))? else {
            self.marker.file.clear_remains(guard);
            return Ok(false);
        };
        for file in self.readers_of(content.expose()) {
            match carry(file, guard, self, guard) {
                Ok(_) if self.marker.content(Some(guard))?.is_some() => {
                    // Encrypted with a key that is gone for good: a copy is kept, and nobody has to wait for more.
                    file.retire(guard)?;
                    return Ok(false);
                }
                Ok(carried) => {
                    let (from, to) = (file.info(), self.info());
                    self.events.raise(|| Event::Moved { path: self.path().to_owned(), from, to });
                    return Ok(carried.entries > 0);
                }
                Err(error) if is_anothers(error.kind()) => {}
                Err(error) if error.kind().is_damage() => {
                    return self.set_marker_aside(file, guard, error);
                }
                Err(error) => {
                    return Err(error.within("Cannot move the content of the marker file into the keystore"));
                }
            }
        }
        Ok(false)
    }

    /// Whether content in the marker's place is of a kind that is moved.
    pub(super) fn takes_in(&self, content: &[u8]) -> bool {
        self.readers_of(content).next().is_some()
    }

    /// The files that may be able to read what stands in the marker's place.
    fn readers_of(&self, content: &[u8]) -> impl Iterator<Item = &FilePersistence> {
        let plaintext = schema::is_msal_cache(content).then_some(&self.marker.file);
        plaintext.into_iter().chain(&self.stand_ins)
    }

    /// A stand-in's content that is damaged keeps nobody from the keystore: it is kept as a copy.
    fn set_marker_aside(&self, file: &FilePersistence, guard: &LockGuard, damage: Error) -> Result<bool> {
        if self.damage == OnDamage::Fail {
            return Err(occupied(self).because(damage));
        }
        let copy = file.set_aside(guard)?;
        file.retire(guard)?;
        let (path, reason) = (self.path().to_owned(), damage.to_string());
        self.events.raise(|| Event::SetAside { path, copy, reason });
        Ok(false)
    }
}

fn occupied(persistence: &KeystorePersistence) -> Error {
    super::marker::occupied(persistence.path())
}
