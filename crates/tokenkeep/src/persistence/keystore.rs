//! A keystore item and its marker file.
//!
//! The item (macOS Keychain, Linux Secret Service) holds the content. The modification of the marker file tells other
//! processes that the item changed, and its path is that of the lock. This file owns the [`Keystore`] trait and
//! [`KeystorePersistence`], which makes a persistence of a keystore; [`marker`] owns the file, [`intake`] the import
//! of another store's content at its path.

mod intake;
mod marker;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use self::marker::Marker;
use crate::atomic_file::COPIES;
use crate::event::{Event, Events};
use crate::names;
use crate::persistence::Loaded;
use crate::persistence::file::FilePersistence;
use crate::persistence::{BuiltIn, OldCopy, StoreKind};
use crate::{
    Backend, CacheLock, Error, ErrorKind, Info, LockGuard, Persistence, Protection, Result, Secret, Stamp,
    options::OnDamage, schema,
};

/// One item of the operating system's keystore.
///
/// ```
/// use std::sync::Mutex;
/// use tokenkeep::{Result, Secret, storage::Keystore};
///
/// /// A keystore that a program has at hand; this one is in memory.
/// #[derive(Debug, Default)]
/// struct InMemory(Mutex<Option<Secret>>);
///
/// impl Keystore for InMemory {
///     fn load(&self) -> Result<Option<Secret>> {
///         Ok(self.0.lock().unwrap().clone())
///     }
///
///     fn save(&self, content: &Secret) -> Result<()> {
///         *self.0.lock().unwrap() = Some(content.clone());
///         Ok(())
///     }
///
///     fn delete(&self) -> Result<bool> {
///         Ok(self.0.lock().unwrap().take().is_some())
///     }
///
///     fn verify(&self) -> Result<()> {
///         Ok(())
///     }
///
///     fn location(&self) -> String {
///         "the memory of this process".to_owned()
///     }
/// }
///
/// let store = InMemory::default();
/// store.save(&"{}".into())?;
/// assert!(store.delete()? && store.load()?.is_none());
/// # Ok::<(), tokenkeep::Error>(())
/// ```
pub trait Keystore: Send + Sync + fmt::Debug {
    /// The item's content; `None` when there is no such item.
    ///
    /// # Errors
    /// `StoreUnavailable`, `StoreLocked`, `StoreTimeout`, `StoreFailed`, `Ambiguous`.
    fn load(&self) -> Result<Option<Secret>>;

    /// As `load`, over a connection made for it: proof that what was saved is in the store, not only on its way.
    ///
    /// # Errors
    /// As `load`.
    fn load_anew(&self) -> Result<Option<Secret>> {
        self.load()
    }

    /// Creates the item, or replaces its content keeping its attributes. (macOS' Keychain then refuses it to other programs.)
    ///
    /// # Errors
    /// As `load`; after `StoreTimeout` the outcome is unknown.
    fn save(&self, content: &Secret) -> Result<()>;

    /// Removes the item; `false` when there was none.
    ///
    /// # Errors
    /// As `load`.
    fn delete(&self) -> Result<bool>;

    /// Keeps a copy of the item's content in an item of another account, and returns where, as `service/account`.
    ///
    /// # Errors
    /// As `load`; `NotSupported` when this keystore cannot keep copies.
    fn set_aside(&self) -> Result<String> {
        Err(Error::new(ErrorKind::NotSupported, "This keystore cannot set damaged content aside"))
    }

    /// Removes the copies that [`Keystore::set_aside`] kept, and returns how many there were.
    ///
    /// # Errors
    /// As `delete`.
    fn remove_copies(&self) -> Result<usize> {
        Ok(0)
    }

    /// Writes, reads back and removes a probe item under a random name, where reading the item itself is
    /// no proof or could cause a prompt.
    ///
    /// # Errors
    /// As `save`, and `NotVerified` when the probe came back different.
    fn verify(&self) -> Result<()>;

    /// Returns the item in the form `service/account`.
    fn location(&self) -> String;

    /// Returns the kind of store.
    fn backend(&self) -> Backend {
        Backend::Custom
    }

    /// Returns whether the item survives a restart of the machine, as far as the calls so far have shown.
    fn survives_reboot(&self) -> bool {
        true
    }
}

/// Returns the name of the item that keeps a copy of damaged content. There are three of them, because a keystore cannot
/// always list them to find the oldest. The content chooses: the same damage found twice is copied once.
pub(crate) fn copy_name(content: &[u8]) -> String {
    format!("corrupt-{}", names::fnv(content) % COPIES as u64 + 1)
}

/// Returns every name that [`copy_name`] gives.
pub(crate) fn copy_names() -> impl Iterator<Item = String> {
    (1..=COPIES).map(|number| format!("corrupt-{number}"))
}

impl<K: Keystore + ?Sized> Keystore for Arc<K> {
    fn load(&self) -> Result<Option<Secret>> {
        (**self).load()
    }

    fn load_anew(&self) -> Result<Option<Secret>> {
        (**self).load_anew()
    }

    fn save(&self, content: &Secret) -> Result<()> {
        (**self).save(content)
    }

    fn delete(&self) -> Result<bool> {
        (**self).delete()
    }

    fn set_aside(&self) -> Result<String> {
        (**self).set_aside()
    }

    fn remove_copies(&self) -> Result<usize> {
        (**self).remove_copies()
    }

    fn verify(&self) -> Result<()> {
        (**self).verify()
    }

    fn location(&self) -> String {
        (**self).location()
    }

    fn backend(&self) -> Backend {
        (**self).backend()
    }

    fn survives_reboot(&self) -> bool {
        (**self).survives_reboot()
    }
}

/// A cache in a keystore item, with a marker file beside which the lock stands.
///
/// A write bumps the marker, writes the item and bumps the marker again, so that a reader who looks at the marker
/// before it reads the item never takes old content for new. A marker that holds anything but nothing or `{}` is
/// content that another store left there. It is moved into the item where that is possible (see
/// [`KeystorePersistence::stand_in`]); a torn cache and another program's file are copied aside, and an encrypted file stays.
///
/// A removal removes the item and keeps the marker, whose new time tells other processes of it.
///
/// One item may be shared by several paths. Their writers exclude each other by one more lock, named after the item,
/// and always read the item first; their readers notice only what was written through their own path.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("cache.json");
/// # use tokenkeep::{Result, Secret, storage::Keystore};
/// # #[derive(Debug, Default)]
/// # struct InMemory(std::sync::Mutex<Option<Secret>>);
/// # impl Keystore for InMemory {
/// #     fn load(&self) -> Result<Option<Secret>> { Ok(self.0.lock().unwrap().clone()) }
/// #     fn save(&self, content: &Secret) -> Result<()> { *self.0.lock().unwrap() = Some(content.clone()); Ok(()) }
/// #     fn delete(&self) -> Result<bool> { Ok(self.0.lock().unwrap().take().is_some()) }
/// #     fn verify(&self) -> Result<()> { Ok(()) }
/// #     fn location(&self) -> String { "the example's memory".to_owned() }
/// # }
/// # let item = InMemory::default();
/// use tokenkeep::options::WaitOptions;
/// use tokenkeep::storage::{FilePersistence, KeystorePersistence};
/// use tokenkeep::TokenCache;
///
/// // `item` is a SecretServiceItem or a KeychainItem; `path` its marker file.
/// let store = KeystorePersistence::new(&path, item)?
///     .lock_directory(folder.path())
///     .on_event(|event| println!("{event:?}"))
///     .stand_in(FilePersistence::new(&path)?)?; // what a fallback wrote while the keystore was away
/// store.prepare()?;
/// assert!(!store.take_in(&WaitOptions::default())?, "no older cache stands in the place of the marker");
/// let cache = TokenCache::new(store);
/// cache.update(|_| "{}")?;
/// assert_eq!(cache.info().location, "the example's memory");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct KeystorePersistence {
    keystore: Arc<dyn Keystore>,
    marker: Marker,
    shared_lock: PathBuf,
    stand_ins: Vec<FilePersistence>,
    damage: OnDamage,
    events: Events,
    /// Whether the warning was given that a log-out loses the item.
    warned: Arc<AtomicBool>,
}

impl KeystorePersistence {
    /// A cache in `keystore` whose marker is the file at `path`, which is made absolute. Nothing is created yet.
    ///
    /// # Errors
    /// `InvalidInput` for a path that names no file; `PermissionDenied`, `UnsafeFile`, `Io` when there is no directory
    /// for the item's lock.
    pub fn new(path: impl AsRef<Path>, keystore: impl Keystore + 'static) -> Result<Self> {
        Self::over(path.as_ref(), Arc::new(keystore))
    }

    pub(crate) fn over(path: &Path, keystore: Arc<dyn Keystore>) -> Result<Self> {
        let marker = Marker::new(path)?;
        let shared_lock = CacheLock::shared_path("item", &keystore.location())?;
        Ok(Self {
            keystore,
            marker,
            shared_lock,
            stand_ins: Vec::new(),
            damage: OnDamage::default(),
            events: Events::default(),
            warned: Arc::default(),
        })
    }

    /// Returns the same persistence with the locks of items in this directory in place of the user's own. All
    /// programs that share an item must use the same directory.
    #[must_use]
    pub fn lock_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.shared_lock = directory.into().join(CacheLock::shared_name("item", &self.keystore.location()));
        self
    }

    /// Returns the same persistence with a listener for its events.
    #[must_use]
    pub fn on_event(self, listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.with_events(Events::to(listener))
    }

    pub(crate) fn with_events(mut self, events: Events) -> Self {
        self.events = events;
        self.marker.file = self.marker.file.with_events(self.events.clone());
        self
    }

    pub(crate) fn on_damage(mut self, damage: OnDamage) -> Self {
        self.damage = damage;
        self
    }

    /// Creates the directories (0700) and an empty marker (0600) where they are missing, and makes an existing marker
    /// 0600. The keystore is not contacted.
    ///
    /// # Errors
    /// `PermissionDenied`, `UnsafeFile`, `StorageFull`, `Io`.
    pub fn prepare(&self) -> Result<()> {
        self.marker.file.prepare()
    }

    /// Writes the item, and moves the marker unless another store's content stands in its place.
    fn put(&self, guard: &LockGuard, content: &Secret) -> Result<()> {
        guard.require(self.path())?;
        if self.marker.content(Some(guard))?.is_some() {
            return self.keystore.save(content);
        }
        self.between_marks(guard, content).map(|_| ())
    }

    /// Bumps the marker, writes the item, bumps the marker again.
    fn between_marks(&self, guard: &LockGuard, content: &Secret) -> Result<Stamp> {
        guard.require(self.path())?;
        self.marker.require_vacant(Some(guard))?;
        self.marker.bump(guard)?;
        let saved = self.keystore.save(content);
        // Also after a failure, which may mean only that the answer was lost.
        let stamp = self.marker.bump(guard);
        saved?;
        self.warn_if_it_does_not_last();
        stamp
    }

    /// Warns once that the item does not survive.
    fn warn_if_it_does_not_last(&self) {
        if !self.keystore.survives_reboot() && !self.warned.swap(true, Ordering::Relaxed) {
            self.events.warn(|| {
                format!(
                    "The keystore item {:?} is in a collection that is gone at log-out; make a lasting keyring the \
                     default one",
                    self.keystore.location()
                )
            });
        }
    }
}

impl Persistence for KeystorePersistence {
    fn path(&self) -> &Path {
        self.marker.file.path()
    }

    fn kind(&self) -> StoreKind<'_> {
        StoreKind::Item { lock: &self.shared_lock }
    }

    fn stamp(&self) -> Result<Stamp> {
        self.marker.stamp()
    }

    fn load(&self, guard: Option<&LockGuard>) -> Result<Loaded> {
        if let Some(guard) = guard {
            guard.require(self.path())?;
            self.take_in_under(guard)?;
        }
        // Before the item: a change in between then makes the stamp old, never the content.
        let stamp = self.marker.stamp()?;
        let content = self.keystore.load()?;
        let vacant = content.as_ref().is_none_or(|content| schema::is_vacant(content.expose()));
        if let Some(left) = self.marker.content(guard)?
            && (vacant || guard.is_none() && self.takes_in(left.expose()))
        {
            return Err(marker::occupied(self.path()));
        }
        self.warn_if_it_does_not_last();
        // A sibling may touch its marker before it writes the item, and be between the two.
        let settled = guard.is_some() || !self.marker.is_being_written()?;
        Ok(Loaded { content, stamp: if settled { stamp } else { Stamp::UNKNOWN } })
    }

    fn save(&self, guard: &LockGuard, content: &[u8]) -> Result<Stamp> {
        self.between_marks(guard, &content.into())
    }

    fn delete(&self, guard: &LockGuard) -> Result<bool> {
        guard.require(self.path())?;
        self.marker.require_vacant(Some(guard))?;
        // As a save does: a process that is killed in between must not leave others with the removed tokens. Without a
        // marker, no process believes that the item is unchanged.
        if self.marker.exists()? {
            self.marker.bump(guard)?;
        }
        let deleted = self.keystore.delete();
        if matches!(deleted, Ok(false)) {
            return Ok(false);
        }
        let bumped = self.marker.bump(guard);
        let deleted = deleted?;
        bumped?;
        Ok(deleted)
    }

    fn set_aside(&self, guard: &LockGuard) -> Result<String> {
        guard.require(self.path())?;
        self.keystore.set_aside()
    }

    fn verify(&self) -> Result<()> {
        // Another store's content at the marker's path is to be imported; it does not prove that the file cannot be
        // written.
        self.marker.file.verify_replacing(false)?;
        self.keystore.verify()?;
        self.warn_if_it_does_not_last();
        Ok(())
    }

    fn info(&self) -> Info {
        let backend = self.keystore.backend();
        let protection = match backend {
            Backend::Custom => Protection::Unknown,
            _ => Protection::OsUser,
        };
        let mut info = Info::new(backend, protection, self.keystore.location());
        info.survives_reboot = self.keystore.survives_reboot();
        info
    }

    fn built_in(&self) -> Option<&dyn BuiltIn> {
        Some(self)
    }
}

impl BuiltIn for KeystorePersistence {
    fn save_deferred(&self, guard: &LockGuard, content: &Secret) -> Result<Stamp> {
        self.between_marks(guard, content)
    }

    fn glance(&self) -> Result<Stamp> {
        self.marker.glance()
    }

    fn load_own(&self, guard: &LockGuard) -> Result<Option<Secret>> {
        guard.require(self.path())?;
        self.keystore.load_anew()
    }

    fn import(&self, guard: &LockGuard, content: &[u8]) -> Result<OldCopy> {
        self.put(guard, &content.into()).map(|()| OldCopy::Nothing)
    }

    fn empty(&self, guard: &LockGuard) -> Result<OldCopy> {
        self.put(guard, &"{}".into()).map(|()| OldCopy::Emptied)
    }

    fn wipe_copies(&self, guard: &LockGuard) -> Result<usize> {
        guard.require(self.path())?;
        // Those of a file that stood in the place of the marker, too.
        Ok(self.keystore.remove_copies()? + self.marker.file.wipe_copies(guard)?)
    }

    fn wipe_leftover(&self, guard: &LockGuard) -> Result<bool> {
        guard.require(self.path())?;
        Ok(self.marker.content(Some(guard))?.is_none() && self.marker.file.clear_remains(guard))
    }
}
