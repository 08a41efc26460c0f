//! The contract of a store that keeps one cache: load, save, delete, stamp, verify.
//!
//! The children of this module implement it. It knows nothing of transactions, which are [`crate::TokenCache`]'s, and of a
//! migration only the steps that a store of this crate takes in a way of its own ([`BuiltIn`]).

pub(crate) mod file;
pub(crate) mod keystore;
pub(crate) mod memory;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::{Error, ErrorKind, LockGuard, Result, Secret, Stamp};

/// A store that keeps one cache.
///
/// `save` and `delete` take the lock guard of the cache, so that writing without the lock does not compile.
///
/// The example `custom_persistence` implements one. To use one:
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("cache.json");
/// use tokenkeep::{storage::FilePersistence, Persistence, TokenCache};
///
/// let store = FilePersistence::new(path)?;
/// store.verify()?; // a probe is written, read back and removed
/// let cache = TokenCache::new(store);
/// assert_eq!(cache.info().backend.code(), "plaintext-file");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Persistence: Send + Sync + fmt::Debug {
    /// The absolute path of the cache file, or of the marker file of a keystore item. The lock files stand beside it.
    fn path(&self) -> &Path;

    /// The kind of store, by which transactions and migrations choose locks and checks.
    fn kind(&self) -> StoreKind<'_> {
        StoreKind::Custom
    }

    /// A cheap fingerprint of what is stored now. Equal trusted stamps mean unchanged content.
    ///
    /// # Errors
    /// `Io`, `PermissionDenied`, `UnsafeFile` when the place cannot be looked at. Absent is a stamp, not an error.
    fn stamp(&self) -> Result<Stamp>;

    /// Everything that is stored, with the stamp it was read under; absent content is `None`.
    ///
    /// Without a guard, content that changed while it was read is `Busy`: the caller asks again under the lock.
    ///
    /// # Errors
    /// `Busy` as above; `Io`, `PermissionDenied`, `UnsafeFile` from files; `StoreUnavailable`, `StoreLocked`,
    /// `StoreTimeout`, `StoreFailed`, `Ambiguous` from keystores; `Damaged`, `Truncated` when a protector cannot open it.
    fn load(&self, guard: Option<&LockGuard>) -> Result<Loaded>;

    /// Replaces what is stored, whole or not at all, and returns the stamp of what was written.
    ///
    /// # Errors
    /// As `load`, and `StorageFull`, `MarkerOccupied`.
    fn save(&self, guard: &LockGuard, content: &[u8]) -> Result<Stamp>;

    /// Removes what is stored; `false` when nothing was.
    ///
    /// # Errors
    /// As `save`.
    fn delete(&self, guard: &LockGuard) -> Result<bool>;

    /// Keeps a copy of what is stored, because it cannot be used and is about to be replaced; returns where the copy
    /// is. The original is left as it is.
    ///
    /// # Errors
    /// As `save`; `NotSupported` when this place cannot keep copies, which leaves damaged content in the way.
    fn set_aside(&self, guard: &LockGuard) -> Result<String> {
        let _ = guard;
        Err(Error::new(ErrorKind::NotSupported, "This persistence cannot set damaged content aside"))
    }

    /// Writes, reads back and removes a probe under a random name beside the real place.
    ///
    /// # Errors
    /// As `save`, and `NotVerified` when the probe came back different.
    fn verify(&self) -> Result<()>;

    /// Describes the store, for users and programs.
    fn info(&self) -> Info;

    /// The further methods of a store of this crate.
    #[doc(hidden)]
    fn built_in(&self) -> Option<&dyn BuiltIn> {
        None
    }
}

/// A store in an `Arc` is a store, so that a program may keep one to itself.
impl<P: Persistence + ?Sized> Persistence for Arc<P> {
    fn path(&self) -> &Path {
        (**self).path()
    }

    fn kind(&self) -> StoreKind<'_> {
        (**self).kind()
    }

    fn stamp(&self) -> Result<Stamp> {
        (**self).stamp()
    }

    fn load(&self, guard: Option<&LockGuard>) -> Result<Loaded> {
        (**self).load(guard)
    }

    fn save(&self, guard: &LockGuard, content: &[u8]) -> Result<Stamp> {
        (**self).save(guard, content)
    }

    fn delete(&self, guard: &LockGuard) -> Result<bool> {
        (**self).delete(guard)
    }

    fn set_aside(&self, guard: &LockGuard) -> Result<String> {
        (**self).set_aside(guard)
    }

    fn verify(&self) -> Result<()> {
        (**self).verify()
    }

    fn info(&self) -> Info {
        (**self).info()
    }

    fn built_in(&self) -> Option<&dyn BuiltIn> {
        (**self).built_in()
    }
}

/// The kind of a store.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// use tokenkeep::Persistence;
/// use tokenkeep::storage::{FilePersistence, MemoryPersistence, StoreKind};
///
/// assert_eq!(FilePersistence::new(folder.path().join("cache.json"))?.kind(), StoreKind::File);
/// assert_eq!(MemoryPersistence::new().kind(), StoreKind::Memory);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreKind<'a> {
    /// The content is in the file at [`Persistence::path`]. Sibling libraries may write it in place, so that a reader may
    /// find half of a write.
    File,
    /// The content is an item that several paths may share. [`Persistence::path`] is its marker file, in which another store
    /// may have left content. A reader finds the old content or the new, never half of a write.
    Item {
        /// The path of the item's lock. Writers take it before the lock of [`Persistence::path`], and load the item even when
        /// its stamp has not changed.
        lock: &'a Path,
    },
    /// The content is in the memory of this process: no other process has to be excluded, and there is no lock file.
    Memory,
    /// A store of the program's own. Its content is checked for being whole, as that of a file.
    Custom,
}

/// The methods that only stores of this crate implement; for others the functions of `dyn Persistence` have a default.
pub trait BuiltIn {
    /// Like [`Persistence::save`], but may keep `content` without copying it, and may leave syncing the directory to the
    /// guard, which does it after it has released the lock.
    ///
    /// # Errors
    /// As `save`.
    fn save_deferred(&self, guard: &LockGuard, content: &Secret) -> Result<Stamp>;

    /// A stamp like that of [`Persistence::stamp`], only to be compared with an earlier one: it is never trusted itself, and so
    /// the file system need not be asked how it keeps times.
    ///
    /// # Errors
    /// As [`Persistence::stamp`].
    fn glance(&self) -> Result<Stamp>;

    /// The store's own content, read over a new connection where there is one. Changes nothing, and ignores content that
    /// another store left in the place of a marker.
    ///
    /// # Errors
    /// As [`Persistence::load`]; `Unprotected` where `load` would encrypt a plaintext cache.
    fn load_own(&self, guard: &LockGuard) -> Result<Option<Secret>>;

    /// Saves migrated `content`, on the disk when it returns, whatever stands in the file at [`Persistence::path`]: the caller
    /// has read it. Content there is replaced only by a store that keeps its own there, and the old bytes are overwritten.
    ///
    /// # Errors
    /// As [`Persistence::save`]; `NotVerified`. The store then has its old content.
    fn import(&self, guard: &LockGuard, content: &[u8]) -> Result<OldCopy>;

    /// Replaces migrated content by `{}`, and overwrites the old bytes where that is possible.
    ///
    /// # Errors
    /// As [`Persistence::save`].
    fn empty(&self, guard: &LockGuard) -> Result<OldCopy>;

    /// Overwrites and removes the copies of content that was set aside, and returns how many there were.
    ///
    /// # Errors
    /// As [`Persistence::delete`].
    fn wipe_copies(&self, guard: &LockGuard) -> Result<usize>;

    /// Overwrites the old copy that a process left which was killed in a migration; `false` when there was none.
    ///
    /// # Errors
    /// As [`Persistence::load`].
    fn wipe_leftover(&self, guard: &LockGuard) -> Result<bool>;
}

impl dyn Persistence + '_ {
    pub(crate) fn save_deferred(&self, guard: &LockGuard, content: &Secret) -> Result<Stamp> {
        match self.built_in() {
            Some(store) => store.save_deferred(guard, content),
            None => self.save(guard, content.expose()),
        }
    }

    pub(crate) fn glance(&self) -> Result<Stamp> {
        match self.built_in() {
            Some(store) => store.glance(),
            None => self.stamp(),
        }
    }

    pub(crate) fn load_own(&self, guard: &LockGuard) -> Result<Option<Secret>> {
        match self.built_in() {
            Some(store) => store.load_own(guard),
            None => Ok(self.load(Some(guard))?.content),
        }
    }

    pub(crate) fn import(&self, guard: &LockGuard, content: &[u8]) -> Result<OldCopy> {
        match self.built_in() {
            Some(store) => store.import(guard, content),
            None => self.save(guard, content).map(|_| OldCopy::Nothing),
        }
    }

    pub(crate) fn empty(&self, guard: &LockGuard) -> Result<OldCopy> {
        match self.built_in() {
            Some(store) => store.empty(guard),
            None => self.save(guard, b"{}").map(|_| OldCopy::Emptied),
        }
    }

    pub(crate) fn wipe_copies(&self, guard: &LockGuard) -> Result<usize> {
        self.built_in().map_or(Ok(0), |store| store.wipe_copies(guard))
    }

    pub(crate) fn wipe_leftover(&self, guard: &LockGuard) -> Result<bool> {
        self.built_in().map_or(Ok(false), |store| store.wipe_leftover(guard))
    }
}

/// The fate of the old copy after a migration.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("cache.json");
///
/// use tokenkeep::storage::{FilePersistence, OldCopy};
/// use tokenkeep::{TokenCache, moving};
///
/// let open = |name: &str| FilePersistence::new(folder.path().join(name));
/// let (old, new) = (TokenCache::new(open("old")?), TokenCache::new(open("new")?));
/// old.update(|_| r#"{"Account":{"key":{"home_account_id":"uid.utid"}}}"#)?;
/// assert_eq!(moving::migrate(&old, &new)?.old_copy, OldCopy::Overwritten);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OldCopy {
    /// There was none.
    Nothing,
    /// Its bytes were overwritten with zeros and synced before their blocks were freed. On file systems that copy on writing,
    /// in snapshots and on solid-state disks older blocks may remain.
    Overwritten,
    /// The file holds `{}`, but the old bytes were not overwritten.
    Released {
        /// Why not.
        reason: String,
    },
    /// The store holds `{}`; it alone decides about the old bytes.
    Emptied,
}

/// What [`Persistence::load`] found.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("cache.json");
///
/// use tokenkeep::{Persistence, storage::FilePersistence};
///
/// let loaded = FilePersistence::new(path)?.load(None)?;
/// assert!(loaded.content.is_none() && loaded.stamp.is_absent());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The content; `None` if there is none. An empty file is `Some` of no bytes.
    pub content: Option<Secret>,
    /// The stamp at which the content was read.
    pub stamp: Stamp,
}

/// The location of a cache and its protection.
///
/// ```
/// use tokenkeep::{Backend, Info, Protection};
///
/// let mut info = Info::new(Backend::Custom, Protection::Unknown, "redis://localhost/tokens");
/// info.survives_reboot = false;
/// assert!(info.crash_safe && info.owner_only, "unless it is said otherwise");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// The kind of store.
    pub backend: Backend,
    /// Who or what can read the content.
    pub protection: Protection,
    /// Whether the content survives a restart of the machine.
    pub survives_reboot: bool,
    /// The file, or the keystore item in the form `service/account`.
    pub location: String,
    /// Whether a crash in the middle of a write leaves the old or the new content whole. `false` only for a file that
    /// cannot be replaced by a rename, such as a bind-mounted one.
    pub crash_safe: bool,
    /// Whether the permissions of the file keep other users out. `false` only where the file system has none (FAT, exFAT, many
    /// network shares); a warning says so too.
    pub owner_only: bool,
}

impl Info {
    /// Describes a crash-safe store that survives a restart; a custom persistence changes the fields that differ.
    pub fn new(backend: Backend, protection: Protection, location: impl Into<String>) -> Self {
        Self {
            backend,
            protection,
            survives_reboot: true,
            location: location.into(),
            crash_safe: true,
            owner_only: true,
        }
    }
}

/// The kind of store.
///
/// ```
/// use tokenkeep::Backend;
///
/// assert_eq!(Backend::SecretService.code(), "secret-service");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// A plaintext file.
    PlaintextFile,
    /// A file encrypted with a key from a [`KeySource`](crate::key_source::KeySource).
    EncryptedFile,
    /// A file encrypted by Windows' Data Protection API.
    DpapiFile,
    /// An item in the macOS Keychain.
    Keychain,
    /// An item in the Linux Secret Service.
    SecretService,
    /// The memory of this process.
    Memory,
    /// A persistence of the program itself.
    Custom,
}

impl Backend {
    /// Returns the stable name of this backend, for logs, scripts and other languages.
    pub fn code(self) -> &'static str {
        match self {
            Self::PlaintextFile => "plaintext-file",
            Self::EncryptedFile => "encrypted-file",
            Self::DpapiFile => "dpapi-file",
            Self::Keychain => "keychain",
            Self::SecretService => "secret-service",
            Self::Memory => "memory",
            Self::Custom => "custom",
        }
    }
}

/// Who or what can read the content.
///
/// ```
/// use tokenkeep::Protection;
///
/// let protection = Protection::UntilReboot;
/// assert_eq!(protection.code(), "until-reboot");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protection {
    /// Encrypted by the operating system for the signed-in user.
    OsUser,
    /// Encrypted by the operating system for every user of this machine.
    OsMachine,
    /// Encrypted with a key derived from a passphrase.
    Passphrase,
    /// Encrypted with a key that the operating system holds in memory for this user; the next restart loses it.
    UntilReboot,
    /// Encrypted with a key from a file or an environment value that an operator provides.
    KeyFile,
    /// Not encrypted: only the file's permissions (0600) protect the content.
    Plaintext,
    /// In the memory of this process only; lost at its end.
    Memory,
    /// Known only to the program that provides the persistence.
    Unknown,
}

impl Protection {
    /// Returns the stable name of this protection, for logs, scripts and other languages.
    pub fn code(self) -> &'static str {
        match self {
            Self::OsUser => "os-user",
            Self::OsMachine => "os-machine",
            Self::Passphrase => "passphrase",
            Self::UntilReboot => "until-reboot",
            Self::KeyFile => "key-file",
            Self::Plaintext => "plaintext",
            Self::Memory => "memory",
            Self::Unknown => "unknown",
        }
    }
}
