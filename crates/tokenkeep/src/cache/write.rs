//! The right to write: the steps between acquiring and releasing the lock.

use std::sync::Arc;
use std::time::Instant;

use super::TokenCache;
use crate::schema::{self, Change};
use crate::{Error, ErrorKind, LockGuard, Result, Secret, Snapshot, Stamp};

/// The right to write, once. Dropping it without a commit writes nothing.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let file = tokenkeep::storage::FilePersistence::new(folder.path().join("cache.json"))?;
/// # let cache = tokenkeep::TokenCache::new(file);
/// let write = cache.begin_write()?;
/// drop(write); // without a commit, nothing is written
/// assert!(cache.read()?.is_none());
///
/// let write = cache.begin_write()?;
/// assert!(write.content().is_none() && write.snapshot().content.is_none());
/// println!("until it is committed, others wait at {}", write.guard().path().display());
/// let written = write.commit("not a token cache")?;
///
/// // A client's own change, merged into what is stored; a copy of it is kept first, because it cannot be parsed.
/// let mut write = cache.begin_write()?;
/// assert_eq!(write.content(), written.content.as_ref().map(|content| content.expose()));
/// write.set_aside("the program cannot read it")?;
/// let ours = br#"{"Account":{"key":{"home_account_id":"uid.utid"}}}"#;
/// write.commit_change(&tokenkeep::schema::Change::additions(ours))?;
///
/// cache.begin_write()?.commit(b"{}")?;
/// assert!(cache.begin_write()?.delete()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing is written until it is committed"]
pub struct WriteAccess {
    pub(super) cache: TokenCache,
    pub(super) snapshot: Snapshot,
    pub(super) guard: LockGuard,
    /// The lock of a store that several paths share. After the other, so that it is released last.
    pub(super) outer: Option<LockGuard>,
}

impl WriteAccess {
    /// Returns the stored content on which a write builds; `None` if there is none.
    pub fn content(&self) -> Option<&[u8]> {
        self.snapshot.content.as_ref().map(Secret::expose)
    }

    /// Returns the stored content with its number.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Returns the proof of the lock, for direct use of the persistence.
    pub fn guard(&self) -> &LockGuard {
        &self.guard
    }

    /// Stores `content` in the place of the old, and releases the lock.
    ///
    /// # Errors
    /// Those of [`Persistence::save`](crate::Persistence::save); the old content is then whole.
    pub fn commit(self, content: impl Into<Secret>) -> Result<Snapshot> {
        self.save(content.into())
    }

    /// Stores what `change` makes of what is stored, unless that is the same, and releases the lock.
    pub(crate) fn update<C: Into<Secret>>(self, change: impl FnOnce(Option<&[u8]>) -> C) -> Result<Snapshot> {
        let next = change(self.content()).into();
        if self.content() == Some(next.expose()) {
            return Ok(self.snapshot);
        }
        self.commit(next)
    }

    /// Applies a client's own change to what is stored and releases the lock.
    ///
    /// Content that is not an MSAL cache replaces what is stored, as [`WriteAccess::commit`].
    ///
    /// # Errors
    /// As [`WriteAccess::commit`]; `Damaged` under [`OnDamage::Fail`](crate::options::OnDamage::Fail); `Conflict` when the change was based on an
    /// account that has been signed out meanwhile: the rest of it is saved.
    pub fn commit_change(mut self, change: &Change<'_>) -> Result<Snapshot> {
        let theirs = self.content().filter(|content| !content.is_empty());
        let merged = match schema::merge(change, theirs) {
            // Our content is not a cache, and only its owner understands it.
            Err(error) if error.kind() == ErrorKind::InvalidInput => return self.commit(change.ours),
            Err(error) if error.kind() == ErrorKind::Damaged => {
                self.set_aside("it is not a token cache")?;
                match self.content().filter(|content| !content.is_empty()) {
                    // It was incomplete at the first read and is whole now.
                    Some(theirs) => schema::merge(change, Some(theirs))?,
                    // Damage signs no account out: all of the client's entries are kept.
                    None => schema::merge(&Change::additions(change.ours), None)?,
                }
            }
            merged => merged?,
        };
        let conflict = merged.conflict();
        // No entry of ours is new, so the store need not be written and no process has to read it again.
        let snapshot = if merged.unchanged { self.snapshot } else { self.save(merged.content)? };
        match conflict {
            Some(error) => Err(error),
            None => Ok(snapshot),
        }
    }

    /// Removes what is stored and releases the lock; `false` when nothing was.
    ///
    /// # Errors
    /// Those of [`Persistence::delete`](crate::Persistence::delete).
    pub fn delete(self) -> Result<bool> {
        self.remove()
    }

    /// As [`WriteAccess::delete`]; keeps the lock.
    pub(super) fn remove(&self) -> Result<bool> {
        let shared = &self.cache.shared;
        #[cfg(feature = "watch")]
        shared.cached().learned.announce(None);
        let deleted = shared.persistence.delete(&self.guard);
        let mut cached = shared.cached();
        match deleted {
            Ok(deleted) => {
                // The next read decides, because a keystore's marker exists even without its item.
                cached.publish(None, Stamp::UNKNOWN, Instant::now());
                #[cfg(feature = "watch")]
                cached.learned.written();
                Ok(deleted)
            }
            Err(error) => {
                cached.belief.forget();
                Err(error)
            }
        }
    }

    /// Keeps a copy of content that cannot be used and goes on as if nothing had been stored. The content is read
    /// once more before, for it may have been caught in motion.
    ///
    /// # Errors
    /// `Damaged` under [`OnDamage::Fail`](crate::options::OnDamage::Fail); those of [`Persistence::set_aside`](crate::Persistence::set_aside). Nothing is written then.
    pub fn set_aside(&mut self, reason: &str) -> Result<()> {
        let shared = Arc::clone(&self.cache.shared);
        let looked = Instant::now();
        let again = shared.persistence.load(Some(&self.guard))?;
        if again.content != self.snapshot.content {
            self.snapshot = shared.cached().publish(again.content, again.stamp, looked);
            let whole =
                self.content().is_none_or(|content| content.is_empty() || schema::is_msal_cache(content));
            if whole {
                return Ok(());
            }
        }
        let damaged = Error::new(ErrorKind::Damaged, format!("The stored content cannot be used: {reason}"))
            .at(shared.persistence.path());
        shared.set_aside(&self.guard, reason, damaged, self.cache.damage)?;
        self.snapshot.content = None;
        Ok(())
    }

    fn save(self, content: Secret) -> Result<Snapshot> {
        let snapshot = self.store(content)?;
        self.release(snapshot)
    }

    /// Stores `content` and keeps the lock. What has to be synced is left to [`WriteAccess::release`].
    pub(super) fn store(&self, content: Secret) -> Result<Snapshot> {
        let shared = &self.cache.shared;
        #[cfg(feature = "watch")]
        shared.cached().learned.announce(Some(&content));
        match shared.persistence.save_deferred(&self.guard, &content) {
            Ok(stamp) => {
                let mut cached = shared.cached();
                let snapshot = cached.publish(Some(content), stamp, Instant::now());
                #[cfg(feature = "watch")]
                cached.learned.written();
                Ok(snapshot)
            }
            Err(error) => {
                // The next read shows whether the write arrived.
                shared.cached().belief.forget();
                Err(error)
            }
        }
    }

    /// Releases the lock and waits until what was stored is safe.
    pub(super) fn release(self, stored: Snapshot) -> Result<Snapshot> {
        let shared = &self.cache.shared;
        self.guard.release().inspect_err(|_| shared.cached().belief.forget())?;
        Ok(stored)
    }
}
