//! From a few names to an open cache: choose the store, prove that it works, fall back only where asked.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::event::{Event, Events};
use crate::key_source::KeySource;
use crate::platform::{self, ItemNames, OwnStore};
use crate::{
    Error, ErrorKind, Persistence, Result, TokenCache, environment, moving,
    options::{Durability, OnDamage, Prompting, WaitOptions},
    storage::{FilePersistence, ItemShape, Keystore, KeystorePersistence, MemoryPersistence, Sealed},
};

/// How to find and open a token cache.
///
/// By default the cache is kept where the platform protects it best (Linux: the Secret Service; macOS: the Keychain; Windows: a file
/// encrypted by the Data Protection API) and opening fails
/// where that is not to be had. Nothing else is ever chosen unless [`Config::fallback`] or [`Config::allow_plaintext`]
/// asks for it.
///
/// ```no_run
/// use tokenkeep::key_source::KernelKeyring;
/// use tokenkeep::{options::Fallback, Config};
///
/// let cache = Config::new("my-app")
///     .fallback([Fallback::encrypted_file(KernelKeyring::new("my-app"))])
///     .on_event(|event| eprintln!("{event:?}"))
///     .open()?;
/// println!("{}", cache.info().location);
/// # Ok::<(), tokenkeep::Error>(())
/// ```
///
/// Everything that can be said, where the defaults are not what is wanted:
///
/// ```
/// use std::time::Duration;
/// use tokenkeep::Config;
/// use tokenkeep::options::{Durability, Fallback, OnDamage, Prompting};
/// use tokenkeep::storage::ItemShape;
/// # let home = tempfile::tempdir()?;
///
/// let config = Config::new("my-app")
///     .path(home.path().join("tokens.json"))
///     .service("com.example.my-app")
///     .account("ada@example.com")
///     .item_shape(ItemShape::keyring_rs("com.example.my-app", "ada@example.com")) // as another program made it
///     .prompting(Prompting::allowed()) // a person sits in front of it
///     .fallback([Fallback::Memory])
///     .allow_plaintext(false)
///     .lock_limit(Duration::from_secs(10))
///     .on_damage(OnDamage::Fail)
///     .durability(Durability::Cached);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing happens until it is opened"]
pub struct Config {
    application: String,
    path: Option<PathBuf>,
    service: Option<String>,
    account: Option<String>,
    shape: Option<ItemShape>,
    fallbacks: Vec<Fallback>,
    allow_plaintext: bool,
    prompting: Prompting,
    wait: WaitOptions,
    damage: OnDamage,
    durability: Durability,
    events: Events,
}

impl Config {
    /// The cache of `application`, a name that can be part of a path.
    pub fn new(application: impl Into<String>) -> Self {
        Self {
            application: application.into(),
            path: None,
            service: None,
            account: None,
            shape: None,
            fallbacks: Vec::new(),
            allow_plaintext: false,
            prompting: Prompting::Never,
            wait: WaitOptions::default(),
            damage: OnDamage::default(),
            durability: Durability::default(),
            events: Events::default(),
        }
    }

    /// The cache file, or the marker file of the keystore item. Default: `token_cache.json` in the application's own
    /// folder under [`environment::data_directory`].
    pub fn path(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// The keystore item's service name. Default: the application's name.
    pub fn service(mut self, service: impl Into<String>) -> Self {
        self.service = Some(service.into());
        self
    }

    /// The keystore item's account name. Default: `token_cache`.
    pub fn account(mut self, account: impl Into<String>) -> Self {
        self.account = Some(account.into());
        self
    }

    /// How the keystore item looks, for a cache that is shared with programs of other languages. Default: as
    /// [`ItemShape::js`] makes it from service and account. Where a shape has no service and account for the macOS
    /// Keychain, those of this configuration are used there.
    pub fn item_shape(mut self, shape: ItemShape) -> Self {
        self.shape = Some(shape);
        self
    }

    /// What to try, in this order, where the platform's own store does not work. Each is verified before it is used,
    /// and the choice is told with a warning and by [`TokenCache::info`]. Default: nothing.
    pub fn fallback(mut self, fallbacks: impl IntoIterator<Item = Fallback>) -> Self {
        self.fallbacks = fallbacks.into_iter().collect();
        self
    }

    /// Where nothing else works, keep the cache in a plaintext file (0600) and say so with a warning: the last of the
    /// fallbacks.
    pub fn allow_plaintext(mut self, allow: bool) -> Self {
        self.allow_plaintext = allow;
        self
    }

    /// Whether a locked keystore may ask the person to unlock it. Default: never.
    pub fn prompting(mut self, prompting: Prompting) -> Self {
        self.prompting = prompting;
        self
    }

    /// How long a writer waits for the lock. Default: 50 s.
    pub fn lock_limit(mut self, limit: Duration) -> Self {
        self.wait.limit = limit;
        self
    }

    /// What to do with content that cannot be used. Default: set it aside.
    pub fn on_damage(mut self, damage: OnDamage) -> Self {
        self.damage = damage;
        self
    }

    /// Whether acknowledged writes survive a loss of power. Default: they do.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Who is told what is worth knowing: warnings, damage set aside, the choice of a weaker store.
    pub fn on_event(mut self, listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.events = Events::to(listener);
        self
    }

    /// Chooses the store, verifies it and opens the cache.
    ///
    /// What a weaker store left at the cache's path is taken along: a plaintext cache, of an older release or another
    /// library, and whatever a fallback of this configuration wrote while the keystore was away. It is moved into the
    /// keystore, or encrypted in its place, and the old copy overwritten. Nothing is ever moved from a better protected
    /// store to a weaker one; where that is wanted, there is [`moving::migrate`].
    ///
    /// # Errors
    /// `InvalidInput` for an unusable name or path. Where no store works, one error that lists each that was tried, with
    /// its cause and what to do; its kind is that of the first, the platform's own (`StoreUnavailable`, `StoreLocked`,
    /// `StoreTimeout`, `NotVerified`).
    pub fn open(&self) -> Result<TokenCache> {
        let persistence = self.persistence()?;
        Ok(TokenCache::with(persistence, self.wait.clone(), self.damage, self.events.clone()))
    }

    fn persistence(&self) -> Result<Arc<dyn Persistence>> {
        let path = self.resolve_path()?;
        let first = match self.platform_store(&path) {
            Ok(store) => return Ok(store),
            // A wrong name would be as wrong in a file.
            Err(error) if error.kind() == ErrorKind::InvalidInput => return Err(error),
            Err(error) => error,
        };
        let mut attempts = vec![format!("{}: {first}", platform::OWN_STORE)];
        for fallback in self.in_order() {
            match self.open_fallback(&path, fallback) {
                Ok(store) => {
                    let causes = attempts.join("; ");
                    let place = store.info().location;
                    self.events.warn(|| {
                        let earlier = moving::destination(&path).map_or_else(String::new, |place| {
                            format!("; what was stored before is in {place} and comes back with it")
                        });
                        format!("The cache is kept in {fallback} ({place:?}) because {causes}{earlier}")
                    });
                    return Ok(store);
                }
                Err(error) => attempts.push(format!("{fallback}: {error}")),
            }
        }
        if attempts.len() == 1 {
            return Err(first);
        }
        let text = format!("No store for the cache works: {}", attempts.join("; "));
        Err(Error::new(first.kind(), text))
    }

    fn in_order(&self) -> impl Iterator<Item = &Fallback> {
        self.fallbacks.iter().chain(self.allow_plaintext.then_some(&Fallback::PlaintextFile))
    }

    /// A fallback's store, verified. A plaintext cache in the place of an encrypted one is encrypted.
    fn open_fallback(&self, path: &Path, fallback: &Fallback) -> Result<Arc<dyn Persistence>> {
        let Some(file) = self.file(path, fallback)? else { return Ok(Arc::new(MemoryPersistence::new())) };
        file.prepare()?;
        file.verify()?;
        file.encrypt_plaintext(&self.wait)?;
        Ok(Arc::new(file))
    }

    /// The file of a fallback; `None` for one that has none.
    fn file(&self, path: &Path, fallback: &Fallback) -> Result<Option<FilePersistence>> {
        let file = match fallback {
            Fallback::PlaintextFile => FilePersistence::new(path),
            Fallback::EncryptedFile(source) => {
                let (service, account) = self.names();
                let sealed = Sealed::shared(Arc::clone(source), format!("{service}/{account}"));
                FilePersistence::with_protector(path, sealed)
            }
            Fallback::Memory => return Ok(None),
        }?;
        Ok(Some(file.durability(self.durability).with_events(self.events.clone())))
    }

    /// Service and account.
    fn names(&self) -> (&str, &str) {
        let service = self.service.as_deref().unwrap_or(&self.application);
        (service, self.account.as_deref().unwrap_or("token_cache"))
    }

    /// The store that this platform protects best, verified, with what weaker ones left taken in.
    fn platform_store(&self, path: &Path) -> Result<Arc<dyn Persistence>> {
        let (service, account) = self.names();
        let names = ItemNames { service, account, shape: self.shape.as_ref() };
        match platform::own_store(&names, self.prompting)? {
            OwnStore::Item(item) => self.keystore(path, item),
            OwnStore::File(protector) => {
                let file = FilePersistence::over(path, protector)?;
                let file = file.durability(self.durability).with_events(self.events.clone());
                file.prepare()?;
                file.verify()?;
                file.encrypt_plaintext(&self.wait)?;
                Ok(Arc::new(file))
            }
        }
    }

    fn keystore(&self, path: &Path, item: Arc<dyn Keystore>) -> Result<Arc<dyn Persistence>> {
        let mut store = KeystorePersistence::over(path, item)?;
        store = store.with_events(self.events.clone()).on_damage(self.damage);
        for fallback in self.in_order() {
            if let Some(file) = self.file(path, fallback)? {
                store = store.stand_in(file)?;
            }
        }
        store.prepare()?;
        store.verify()?;
        // What the fallbacks wrote while it was away, and plaintext of whoever was here before.
        store.take_in(&self.wait)?;
        Ok(Arc::new(store))
    }

    fn resolve_path(&self) -> Result<PathBuf> {
        if let Some(path) = &self.path {
            return Ok(path.clone());
        }
        let name = &self.application;
        if name.is_empty() || name.contains(['/', '\\', '\0']) || name == "." || name == ".." {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "The application's name cannot be part of a path",
            )
            .remedy("Use letters, digits, '-', '_' and '.', or give a path"));
        }
        let data = environment::data_directory().ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, "No home directory is known for this user")
                .remedy("Set HOME, or give the cache a path")
        })?;
        Ok(data.join(name).join("token_cache.json"))
    }
}

/// A store to try where the platform's own does not work. See [`Config::fallback`].
///
/// ```
/// use tokenkeep::{Config, key_source::{KernelKeyring, KeyFile}, options::Fallback};
///
/// let config = Config::new("my-app").fallback([
///     Fallback::encrypted_file(KeyFile::at("/run/secrets/cache-key")),
///     Fallback::encrypted_file(KernelKeyring::new("my-app")),
///     Fallback::Memory,
/// ]);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Fallback {
    /// A file encrypted with a key from this source; see [`crate::key_source`].
    EncryptedFile(Arc<dyn KeySource>),
    /// A plaintext file (0600).
    PlaintextFile,
    /// The memory of this process: every sign-in is gone when it ends. Nothing is written.
    Memory,
}

impl Fallback {
    /// An encrypted file with a key from `source`.
    pub fn encrypted_file(source: impl KeySource + 'static) -> Self {
        Self::EncryptedFile(Arc::new(source))
    }
}

impl fmt::Display for Fallback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EncryptedFile(source) => write!(f, "an encrypted file, with {}", source.describe()),
            Self::PlaintextFile => f.write_str("a plaintext file"),
            Self::Memory => f.write_str("the memory of this process, with which it will be gone"),
        }
    }
}
