//! From a few names to an open cache: choose the store, prove that it works, fall back only where asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::event::{Event, Events};
use crate::{
    Durability, Error, ErrorKind, FilePersistence, KeystorePersistence, OnDamage, Persistence, Prompting,
    Result, TokenCache, WaitOptions, environment,
};

/// How to find and open a token cache.
///
/// By default the cache is kept where the platform protects it best (Linux: the Secret Service) and opening fails
/// where that is not to be had. Nothing weaker is ever chosen unless [`Config::allow_plaintext`] asks for it.
#[derive(Clone, Debug)]
#[must_use = "nothing happens until it is opened"]
pub struct Config {
    application: String,
    path: Option<PathBuf>,
    service: Option<String>,
    account: Option<String>,
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

    /// Where no keystore works, keep the cache in a plaintext file (0600) and say so with a warning.
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
    /// # Errors
    /// `InvalidInput` for an unusable name or path; where no store works, the platform's own error (`StoreUnavailable`,
    /// `StoreLocked`, `StoreTimeout`, `NotVerified`); those of [`Persistence::verify`].
    pub fn open(&self) -> Result<TokenCache> {
        let persistence = self.persistence()?;
        Ok(TokenCache::with(persistence, self.wait.clone(), self.damage, self.events.clone()))
    }

    fn persistence(&self) -> Result<Arc<dyn Persistence>> {
        let path = self.resolve_path()?;
        match self.platform_store(&path).and_then(verified) {
            Ok(store) => Ok(store),
            // A wrong name would be as wrong in a file.
            Err(error) if !self.allow_plaintext || error.kind() == ErrorKind::InvalidInput => Err(error),
            Err(error) => {
                self.events
                    .warn(|| format!("The cache is kept in a plaintext file ({path:?}) because {error}"));
                let file =
                    FilePersistence::new(&path)?.durability(self.durability).with_events(self.events.clone());
                file.prepare()?;
                verified(Arc::new(file))
            }
        }
    }

    #[cfg(target_os = "linux")]
    fn platform_store(&self, path: &Path) -> Result<Arc<dyn Persistence>> {
        let service = self.service.as_deref().unwrap_or(&self.application);
        let account = self.account.as_deref().unwrap_or("token_cache");
        let item = crate::SecretServiceItem::new(service, account)?.prompting(self.prompting);
        let store = KeystorePersistence::new(path, item)?.with_events(self.events.clone());
        store.prepare()?;
        Ok(Arc::new(store))
    }

    #[cfg(not(target_os = "linux"))]
    fn platform_store(&self, _path: &Path) -> Result<Arc<dyn Persistence>> {
        Err(Error::new(ErrorKind::NotSupported, "This platform's store is not part of this release"))
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

fn verified(store: Arc<dyn Persistence>) -> Result<Arc<dyn Persistence>> {
    store.verify()?;
    Ok(store)
}
