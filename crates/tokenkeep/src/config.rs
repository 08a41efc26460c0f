//! Turns a few names into an open cache: builds each store in turn, prepares it, and takes the first that works.
//!
//! This file owns the settings and the names of a cache; [`open`] builds and tries the stores.

mod open;

use std::path::PathBuf;
use std::time::Duration;

pub use self::open::{Choice, Refused};
use crate::event::{Event, Events};
use crate::item_shape::ItemShape;
use crate::options::{Cancel, Durability, OnDamage, Prompting, Store, WaitOptions};
use crate::{Error, ErrorKind, Result, TokenCache, environment};

/// The default account of an item.
const ACCOUNT: &str = "token_cache";

/// Finds and opens a token cache.
///
/// By default the cache is in the store that the platform protects best (Linux: the Secret Service; macOS: the
/// Keychain; Windows: a file encrypted by the Data Protection API). If that fails, opening is an error unless
/// [`Config::fallback`] names other stores.
///
/// ```no_run
/// use tokenkeep::key_source::KernelKeyring;
/// use tokenkeep::{options::Store, Config};
///
/// let cache = Config::new("my-app")
///     .fallback([Store::encrypted_file(KernelKeyring::new("my-app"))])
///     .on_event(|event| eprintln!("{event}"))
///     .open()?;
/// println!("{}", cache.info().location);
/// # Ok::<(), tokenkeep::Error>(())
/// ```
///
/// All settings, where the defaults do not fit:
///
/// ```
/// use std::time::Duration;
/// use tokenkeep::Config;
/// use tokenkeep::options::{Cancel, Durability, OnDamage, Prompting, Store};
/// use tokenkeep::storage::ItemShape;
/// # let home = tempfile::tempdir()?;
///
/// let config = Config::new("my-app")
///     .path(home.path().join("tokens.json"))
///     .service("com.example.my-app")
///     .account("ada@example.com")
///     .partition("com.example.my-app/ada") // the name that an encrypted file is bound to
///     .item_shape(ItemShape::keyring_rs("com.example.my-app", "ada@example.com")) // as another program made it
///     .store(Store::SecretService)
///     .fallback([Store::Memory])
///     .import_from([Store::PlaintextFile]) // an older release kept the cache in this store
///     .prompting(Prompting::allowed()) // a person sits in front of it
///     .lock_directory(home.path())
///     .keystore_deadline(Duration::from_secs(3))
///     .lock_limit(Duration::from_secs(10))
///     .cancel(Cancel::new())
///     .on_damage(OnDamage::Fail)
///     .durability(Durability::Cached)
///     .create(true)
///     .verify(true)
///     .on_event(|event| println!("{event}"));
/// assert_eq!(config.item_names(), ("com.example.my-app", "ada@example.com"));
/// assert_eq!(config.file_partition(), "com.example.my-app/ada");
/// assert_eq!(config.cache_path()?, home.path().join("tokens.json"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing happens until it is opened"]
pub struct Config {
    application: String,
    path: Option<PathBuf>,
    service: Option<String>,
    account: Option<String>,
    partition: Option<String>,
    shape: Option<ItemShape>,
    store: Store,
    fallbacks: Vec<Store>,
    imports: Vec<Store>,
    prompting: Prompting,
    deadline: Option<Duration>,
    locks: Option<PathBuf>,
    wait: WaitOptions,
    damage: OnDamage,
    durability: Durability,
    create: bool,
    verify: bool,
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
            partition: None,
            shape: None,
            store: Store::Platform,
            fallbacks: Vec::new(),
            imports: Vec::new(),
            prompting: Prompting::Never,
            deadline: None,
            locks: None,
            wait: WaitOptions::default(),
            damage: OnDamage::default(),
            durability: Durability::default(),
            create: true,
            verify: true,
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

    /// The name that an encrypted file is bound to: it opens under this name alone. Default: `service/account`.
    pub fn partition(mut self, partition: impl Into<String>) -> Self {
        self.partition = Some(partition.into());
        self
    }

    /// Sets the shape of the keystore item, for a cache shared with programs of other languages. Default:
    /// [`ItemShape::js`] with service and account. If a shape has no service and account for the macOS Keychain,
    /// those of this configuration are used there.
    pub fn item_shape(mut self, shape: ItemShape) -> Self {
        self.shape = Some(shape);
        self
    }

    /// The store to try first. Default: [`Store::Platform`].
    pub fn store(mut self, store: Store) -> Self {
        self.store = store;
        self
    }

    /// Sets the stores to try, in this order, if the first fails. Each is verified before it is used;
    /// [`Event::FellBack`] and [`TokenCache::info`] report the choice. Default: none.
    pub fn fallback(mut self, fallbacks: impl IntoIterator<Item = Store>) -> Self {
        self.fallbacks = fallbacks.into_iter().collect();
        self
    }

    /// Names stores that may have kept this cache at its path before, beside the fallbacks: a keystore item imports
    /// their content. Default: none. Plaintext token caches are imported in any case.
    pub fn import_from(mut self, stores: impl IntoIterator<Item = Store>) -> Self {
        self.imports = stores.into_iter().collect();
        self
    }

    /// Sets whether a locked keystore may prompt the user to unlock it. Default: never.
    pub fn prompting(mut self, prompting: Prompting) -> Self {
        self.prompting = prompting;
        self
    }

    /// Sets how long one operation of the platform's keystore may take, without prompts. Default: 5 s.
    pub fn keystore_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets the directory of the lock that all programs of the keystore item share; they must use the same. Default:
    /// the user's own.
    pub fn lock_directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.locks = Some(directory.into());
        self
    }

    /// Sets how long a writer waits for the lock. Default: 50 s.
    pub fn lock_limit(mut self, limit: Duration) -> Self {
        self.wait.limit = limit;
        self
    }

    /// Sets the cancellation of every wait for the lock. Default: none.
    pub fn cancel(mut self, cancel: Cancel) -> Self {
        self.wait.cancel = Some(cancel);
        self
    }

    /// Sets the treatment of unusable content. Default: move it aside.
    pub fn on_damage(mut self, damage: OnDamage) -> Self {
        self.damage = damage;
        self
    }

    /// Sets whether acknowledged writes survive a loss of power. Default: they do.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets whether to create missing files and directories (0600, 0700). Default: yes.
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Sets whether to verify the store with a probe, and to import content of other stores. Default: yes. Without
    /// verification, no keystore is contacted, and a keystore's failure causes no fallback.
    pub fn verify(mut self, verify: bool) -> Self {
        self.verify = verify;
        self
    }

    /// Sets the listener for events: warnings, damage moved aside, the choice of a fallback.
    pub fn on_event(mut self, listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.events = Events::to(listener);
        self
    }

    /// Returns the path of the cache file or marker file, as given or derived from the application's name.
    ///
    /// # Errors
    /// `InvalidInput` if the application's name cannot be part of a path, or if the user has no home directory.
    pub fn cache_path(&self) -> Result<PathBuf> {
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
                .remedy(format!("Set {}, or give the cache a path", environment::HOME))
        })?;
        Ok(data.join(name).join("token_cache.json"))
    }

    /// Returns the service and account of the keystore item.
    pub fn item_names(&self) -> (&str, &str) {
        let service = self.service.as_deref().unwrap_or(&self.application);
        (service, self.account.as_deref().unwrap_or(ACCOUNT))
    }

    /// Returns the name to which an encrypted file of this cache is bound.
    pub fn file_partition(&self) -> String {
        self.partition.clone().unwrap_or_else(|| {
            let (service, account) = self.item_names();
            format!("{service}/{account}")
        })
    }

    /// Opens the first store that works.
    ///
    /// A keystore imports content of other stores at the cache's path: a plaintext cache, of an older release or
    /// another library, and the file of a fallback of this configuration, written while the keystore was unavailable.
    /// An encrypted file imports plaintext only if a plaintext file is among the stores of this configuration: plaintext needs
    /// no key to be written. The old copy is overwritten. No content moves from a better protected
    /// store to a weaker one; call [`moving::migrate`](crate::moving::migrate) for that.
    ///
    /// # Errors
    /// `InvalidInput` for an unusable name or path. If no store works, one error that lists each attempt with its
    /// cause and its remedy; its kind is that of the first (`StoreUnavailable`, `StoreLocked`, `StoreTimeout`,
    /// `NotVerified`).
    pub fn open(&self) -> Result<TokenCache> {
        Ok(self.choose()?.cache)
    }

    /// Like [`Config::open`], and returns the store in use and those that failed before it.
    ///
    /// # Errors
    /// [`Refused`], which becomes the error of [`Config::open`].
    ///
    /// ```
    /// use tokenkeep::{Config, options::Store};
    ///
    /// let config = Config::new("my-app").path("/nowhere/cache.json").store(Store::Memory);
    /// assert!(config.choose().is_ok_and(|choice| choice.attempts.is_empty()));
    /// ```
    pub fn choose(&self) -> std::result::Result<Choice, Refused> {
        self.choose_within(&self.wait)
    }
}
