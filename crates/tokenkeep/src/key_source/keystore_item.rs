//! A random key in one small item of the operating system's keystore, for an encrypted file of any size.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Key, KeyId, KeySource, Kind, WITHOUT_KEY, text};
use crate::persistence::keystore::Keystore;
use crate::{CacheLock, Error, ErrorKind, Protection, Result};

/// A key in an item of a [`Keystore`]. It is created and stored there when a file is first encrypted.
///
/// The item holds the key as base64 text, so that other programs of the same keystore can show and copy it. An item
/// with other content is refused and never overwritten; an empty item has no key yet. The key is read once and then
/// kept in memory.
///
/// ```
/// # #[cfg(target_os = "linux")]
/// # fn main() -> tokenkeep::Result<()> {
/// use tokenkeep::{key_source::KeystoreItem, options::Store, storage::SecretServiceItem};
///
/// let item = SecretServiceItem::new("my-app", "cache-key")?; // small, so that the cache may be large
/// let fallback = Store::encrypted_file(KeystoreItem::new(item).lock_directory("/run/user/1000/my-app"));
/// # Ok(())
/// # }
/// # #[cfg(not(target_os = "linux"))]
/// # fn main() {}
/// ```
#[derive(Debug)]
pub struct KeystoreItem<K> {
    item: K,
    locks: Option<PathBuf>,
    known: Mutex<Option<Key>>,
}

impl<K: Keystore> KeystoreItem<K> {
    /// The key in `item`, which must not be the item of a cache.
    pub fn new(item: K) -> Self {
        Self { item, locks: None, known: Mutex::new(None) }
    }

    /// Returns the same source, which creates the key under a lock in this directory in place of the user's own. All
    /// programs that may create the key must use the same directory.
    #[must_use]
    pub fn lock_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.locks = Some(directory.into());
        self
    }

    fn known(&self) -> MutexGuard<'_, Option<Key>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stored(&self) -> Result<Option<Key>> {
        let Some(content) = self.item.load()? else { return Ok(None) };
        // GNOME Keyring leaves an empty item when it is killed while it creates one. A refusal would lock every
        // program out permanently, and no content can be encrypted with an empty key.
        if content.is_empty() {
            return Ok(None);
        }
        let key =
            text::decode(content.expose()).and_then(|bytes| Key::from_slice(&bytes)).ok_or_else(|| {
                let text = format!(
                    "{} holds something else than a key: {} bytes that are no base64 of 32",
                    self.describe(),
                    content.len()
                );
                Error::new(ErrorKind::WrongKey, text)
                    .remedy("Choose another item for the key; this one was left as it is")
            })?;
        *self.known() = Some(key.clone());
        Ok(Some(key))
    }

    /// Creates the key, under a lock shared by all users of the item, and uses only the key that the keystore
    /// returns.
    fn create(&self) -> Result<Key> {
        let lock = CacheLock::of_shared("key", &self.item.location(), self.locks.as_deref())?;
        let _guard = lock.acquire(&super::brief_wait())?;
        if let Some(key) = self.stored()? {
            return Ok(key);
        }
        let key = Key::random()?;
        self.item.save(&text::encode(&key).as_bytes().into())?;
        match self.stored()? {
            Some(back) if back.id() == key.id() => Ok(back),
            _ => {
                *self.known() = None;
                let text = format!("{} did not give back the key that was stored in it", self.describe());
                Err(Error::new(ErrorKind::NotVerified, text))
            }
        }
    }
}

impl<K: Keystore> KeySource for KeystoreItem<K> {
    fn kind(&self) -> Kind {
        Kind::KeystoreItem
    }

    fn fresh(&self) -> Result<(Key, Vec<u8>)> {
        // Not the key in memory: if the user has removed the item, no other process could open the new file.
        let key = match self.stored()? {
            Some(key) => key,
            None => self.create()?,
        };
        Ok((key, Vec::new()))
    }

    fn recall(&self, _parameters: &[u8], id: &KeyId) -> Result<Key> {
        if let Some(key) = self.known().as_ref().filter(|key| key.id() == *id) {
            return Ok(key.clone());
        }
        self.stored()?.ok_or_else(|| {
            let text = format!("The key of the encrypted cache is missing: there is no {}", self.describe());
            Error::new(ErrorKind::MissingKey, text).remedy(WITHOUT_KEY)
        })
    }

    fn protection(&self) -> Protection {
        Protection::OsUser
    }

    fn describe(&self) -> String {
        format!("keystore item {:?}", self.item.location())
    }
}
