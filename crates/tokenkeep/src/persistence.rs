//! What a place that keeps a cache must be able to do.
//!
//! This file owns the contract; [`crate::persistence`]'s children fulfil it. It knows nothing of transactions: those
//! are [`crate::TokenCache`]'s. Nor of moving from one place to another, but for the four steps that only the place
//! itself can take: [`Persistence::stored`], [`Persistence::receive`], [`Persistence::retire`], and telling where it is.

pub(crate) mod file;
pub(crate) mod keystore;
pub(crate) mod memory;

use std::fmt;
use std::path::Path;

use crate::{Error, ErrorKind, LockGuard, Result, Secret, Stamp};

/// A place that keeps one cache.
///
/// `save` and `delete` take the lock guard of the cache, so that writing without the lock does not compile.
///
/// The example `custom_persistence` is a whole one; what uses any of them:
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("cache.json");
/// use std::sync::Arc;
/// use tokenkeep::{storage::FilePersistence, Persistence, TokenCache};
///
/// let store = FilePersistence::new(path)?;
/// store.verify()?; // a probe is written, read back and removed
/// let cache = TokenCache::new(Arc::new(store));
/// assert_eq!(cache.info().backend.code(), "plaintext-file");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Persistence: Send + Sync + fmt::Debug {
    /// The absolute path of the cache file, or of the marker file of a keystore item. The lock stands beside it.
    fn path(&self) -> &Path;

    /// The path of one more lock, for a store that several paths may share. Writers take it before the lock of
    /// [`Persistence::path`], and read the store even when its stamp has not changed.
    fn shared_lock(&self) -> Option<&Path> {
        None
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

    /// What kind of place this is, for people and programs.
    fn info(&self) -> Info;

    /// Like `save`, but may keep `content` without copying it, and may leave syncing the directory to the guard, which does
    /// it after it has released the lock. A persistence that wraps another one and calls its `save` need not implement this.
    ///
    /// # Errors
    /// As `save`.
    #[doc(hidden)]
    fn save_deferred(&self, guard: &LockGuard, content: &Secret) -> Result<Stamp> {
        self.save(guard, content.expose())
    }

    /// Whether the content is in the file at [`Persistence::path`] itself. Otherwise that file is a marker at most, in
    /// which content of another store may stand.
    fn keeps_file(&self) -> bool {
        false
    }

    /// Whether no reader can meet half of somebody's write, whatever program writes: then what is read need not be looked
    /// through for being whole.
    #[doc(hidden)]
    fn replaces_whole(&self) -> bool {
        false
    }

    /// Whether only this process can see what is stored, so that nobody outside it has to be excluded.
    fn is_private(&self) -> bool {
        false
    }

    /// For a move: what this store itself holds, read over a new connection where there is one; nothing is changed, and
    /// what another store left in the place of a marker does not matter.
    ///
    /// # Errors
    /// As `load`; `Unprotected` where `load` would take over a plaintext cache.
    fn stored(&self, guard: &LockGuard) -> Result<Option<Secret>> {
        Ok(self.load(Some(guard))?.content)
    }

    /// For a move: as `save`, on the disk when it returns, and whatever stands in the file at [`Persistence::path`]: the
    /// caller has read it. If that was content, it is replaced only where this store keeps its own there, and the old
    /// bytes are overwritten.
    ///
    /// # Errors
    /// As `save`; `NotVerified`. What was stored is then as it was.
    fn receive(&self, guard: &LockGuard, content: &[u8]) -> Result<Retired> {
        self.save(guard, content).map(|_| Retired::Nothing)
    }

    /// For a move: leaves `{}` in the place of content that is safe in another store, and overwrites the old bytes
    /// where there is a way to.
    ///
    /// # Errors
    /// As `save`.
    fn retire(&self, guard: &LockGuard) -> Result<Retired> {
        self.save(guard, b"{}").map(|_| Retired::Emptied)
    }

    /// For a move: overwrites what a process that was killed had left of an old copy; `false` when there was nothing.
    ///
    /// # Errors
    /// As `load`.
    fn finish(&self, guard: &LockGuard) -> Result<bool> {
        let _ = guard;
        Ok(false)
    }
}

/// What became of an old copy after its content had moved.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("cache.json");
///
/// use std::sync::Arc;
/// use tokenkeep::storage::{FilePersistence, Retired};
/// use tokenkeep::{TokenCache, moving};
///
/// let open = |name: &str| FilePersistence::new(folder.path().join(name));
/// let (old, new) = (TokenCache::new(Arc::new(open("old")?)), TokenCache::new(Arc::new(open("new")?)));
/// old.update(|_| r#"{"Account":{"key":{"home_account_id":"uid.utid"}}}"#)?;
/// assert_eq!(moving::migrate(&old, &new)?.old_copy, Retired::Overwritten);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retired {
    /// There was none.
    Nothing,
    /// Its bytes were overwritten with zeros, and synced, before they were given back to the file system. On file
    /// systems that copy on writing, in snapshots and on solid-state disks older blocks may live on all the same.
    Overwritten,
    /// Its place holds `{}`, but the old bytes were not overwritten.
    Released {
        /// Why not.
        reason: String,
    },
    /// The store holds `{}`; what it does with the old bytes is its own business.
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

/// Where a cache is kept and how well it is protected.
///
/// ```
/// use tokenkeep::{Backend, Info, Protection};
///
/// let mut info = Info::new(Backend::Custom, Protection::Unknown, "redis://localhost/tokens");
/// info.survives_reboot = false;
/// assert!(info.crash_safe, "unless it is said otherwise");
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
}

impl Info {
    /// Describes a crash-safe store that survives a restart; a custom persistence changes the fields that differ.
    pub fn new(backend: Backend, protection: Protection, location: impl Into<String>) -> Self {
        Self { backend, protection, survives_reboot: true, location: location.into(), crash_safe: true }
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
