//! Builds the stores of a configuration and tries them in order.
//!
//! This is where a fallback is chosen.

use std::path::Path;
use std::sync::Arc;

use super::Config;
use crate::event::Event;
use crate::options::{Attempt, DataProtectionScope, Store, WaitOptions};
use crate::persistence::file::FilePersistence;
use crate::persistence::keystore::{Keystore, KeystorePersistence};
use crate::persistence::memory::MemoryPersistence;
use crate::platform::{self, ItemRequest, OwnStore};
use crate::protector::Plain;
use crate::protector::sealed::Sealed;
use crate::{Error, ErrorKind, Persistence, Protector, Result, TokenCache, moving};

/// A cache in the first store that works. See [`Config::choose`].
///
/// ```
/// use tokenkeep::{Config, options::Store};
/// # let home = tempfile::tempdir()?;
///
/// let config = Config::new("my-app").path(home.path().join("cache.json")).store(Store::PlaintextFile);
/// let choice = config.fallback([Store::Memory]).choose().map_err(tokenkeep::Error::from)?;
/// assert_eq!(choice.number, 0, "{} works; {} were tried in vain", choice.store, choice.attempts.len());
/// assert!(choice.cache.read()?.is_some_and(|content| content.is_empty()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Choice {
    /// The cache.
    pub cache: TokenCache,
    /// The store it is in.
    pub store: Store,
    /// The position of the store in the configuration: 0 for the first one tried.
    pub number: usize,
    /// The stores that failed before it.
    pub attempts: Arc<[Attempt]>,
}

/// No store of a configuration works. See [`Config::choose`].
///
/// ```
/// use tokenkeep::{Config, Error, options::{Refused, Store}};
/// # let home = tempfile::tempdir()?;
///
/// let config = Config::new("my-app").path(home.path()).store(Store::PlaintextFile); // a folder
/// let refused: Refused = config.choose().unwrap_err();
/// for attempt in &refused.attempts {
///     println!("{attempt}");
/// }
/// assert_eq!(Error::from(refused).path(), Some(home.path()));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Refused {
    /// The stores that were tried, in order; at least one.
    pub attempts: Vec<Attempt>,
}

impl From<Refused> for Error {
    fn from(Refused { mut attempts }: Refused) -> Self {
        if attempts.len() == 1 {
            let error = attempts.remove(0).error;
            return match error.is_keystore_out_of_reach() {
                true => error.or("allow another store: .fallback([Store::PlaintextFile])"),
                false => error,
            };
        }
        let kind = attempts.first().map_or(ErrorKind::NotSupported, |first| first.error.kind());
        let reasons: Vec<String> =
            attempts.iter().map(|each| format!("{}: {}", each.store, each.error.without_remedy())).collect();
        let ways =
            attempts.iter().filter_map(|each| Some(format!("{}: {}", each.store, each.error.suggestion()?)));
        Self::new(kind, format!("No store for the cache works: {}", reasons.join("; ")))
            .remedy(ways.collect::<Vec<_>>().join("; "))
    }
}

/// A store, built and not yet opened.
enum Built {
    File(FilePersistence),
    Item(KeystorePersistence),
    Memory(MemoryPersistence),
}

impl Config {
    pub(crate) fn wait_options(&self) -> &WaitOptions {
        &self.wait
    }

    /// Like [`Config::choose`], with `wait` for the locks during the opening.
    pub(crate) fn choose_within(&self, wait: &WaitOptions) -> std::result::Result<Choice, Refused> {
        let mut attempts = Vec::new();
        for (number, store) in std::iter::once(&self.store).chain(&self.fallbacks).enumerate() {
            let mut prepared = false;
            match self.try_store(number, store, wait, &mut prepared) {
                Ok(persistence) => return Ok(self.chosen(number, store, persistence, attempts.into())),
                Err(error) => {
                    // A wrong name would be as wrong in a file, and a cancelled wait is no reason to store elsewhere.
                    let over = match error.kind() {
                        ErrorKind::InvalidInput => number == 0,
                        kind => kind == ErrorKind::Cancelled,
                    };
                    attempts.push(Attempt { store: store.clone(), number, prepared, error });
                    if over {
                        break;
                    }
                }
            }
        }
        Err(Refused { attempts })
    }

    fn chosen(
        &self,
        number: usize,
        store: &Store,
        persistence: Arc<dyn Persistence>,
        attempts: Arc<[Attempt]>,
    ) -> Choice {
        if !attempts.is_empty() {
            self.events.raise(|| Event::FellBack {
                to: store.clone(),
                info: persistence.info(),
                because: Arc::clone(&attempts),
                earlier: self.cache_path().ok().and_then(|path| moving::destination(&path)),
            });
        }
        let cache = TokenCache::with(persistence, self.wait.clone(), self.damage, self.events.clone());
        Choice { cache, store: store.clone(), number, attempts }
    }

    /// Builds a store and prepares it. Sets `prepared` as soon as its file exists.
    fn try_store(
        &self,
        number: usize,
        store: &Store,
        wait: &WaitOptions,
        prepared: &mut bool,
    ) -> Result<Arc<dyn Persistence>> {
        let built = self.build(number, store, &self.cache_path()?)?;
        if self.create {
            match &built {
                Built::File(file) => file.prepare()?,
                Built::Item(item) => item.prepare()?,
                Built::Memory(_) => {}
            }
        }
        *prepared = true;
        if self.verify {
            match &built {
                Built::File(file) => {
                    file.verify()?;
                    file.settle_plaintext(wait)?;
                }
                Built::Item(item) => {
                    item.verify()?;
                    item.take_in(wait)?;
                }
                Built::Memory(_) => {}
            }
        }
        Ok(match built {
            Built::File(file) => Arc::new(file),
            Built::Item(item) => Arc::new(item),
            Built::Memory(memory) => Arc::new(memory),
        })
    }

    /// Builds the store with this number; makes no request and creates no file.
    fn build(&self, number: usize, store: &Store, path: &Path) -> Result<Built> {
        if let Some(file) = self.file_of(store, path)? {
            return Ok(Built::File(file));
        }
        let absent = |what: &str| Err(Error::new(ErrorKind::NotSupported, what));
        let keystore = match store {
            Store::Memory => return Ok(Built::Memory(MemoryPersistence::new())),
            Store::SecretService if OwnStore::of_platform() != OwnStore::SecretService => {
                return absent("The Secret Service exists only on Linux");
            }
            Store::Keychain if OwnStore::of_platform() != OwnStore::Keychain => {
                return absent("The Keychain exists only on macOS");
            }
            Store::Item(keystore) => Arc::clone(keystore),
            _ => self.keystore_item()?,
        };
        let mut item = KeystorePersistence::over(path, keystore)?
            .with_events(self.events.clone())
            .on_damage(self.damage);
        if let Some(directory) = &self.locks {
            item = item.lock_directory(directory);
        }
        // Only from stores later in the order: content never moves to a store that protects it less.
        for store in self.fallbacks.iter().skip(number).chain(&self.imports) {
            if let Some(file) = self.file_of(store, path)? {
                item = item.stand_in(file)?;
            }
        }
        Ok(Built::Item(item))
    }

    /// Returns the file that `store` keeps at `path`; `None` for a store with its content elsewhere.
    fn file_of(&self, store: &Store, path: &Path) -> Result<Option<FilePersistence>> {
        let protector: Arc<dyn Protector> = match store {
            Store::PlaintextFile => Arc::new(Plain),
            Store::EncryptedFile(source) => {
                Arc::new(Sealed::shared(Arc::clone(source), self.file_partition()))
            }
            Store::DataProtection { scope, entropy } => platform::data_protection(*scope, entropy.as_ref())?,
            Store::Platform if OwnStore::of_platform() == OwnStore::DataProtection => {
                platform::data_protection(DataProtectionScope::default(), None)?
            }
            _ => return Ok(None),
        };
        let file = FilePersistence::over(path, protector)?;
        // A configuration that names a plaintext file for this path says that plaintext may stand there.
        let stores = std::iter::once(&self.store).chain(&self.fallbacks).chain(&self.imports);
        let allowed = stores.into_iter().any(|store| matches!(store, Store::PlaintextFile));
        let file = file.taking_over_plaintext(allowed);
        Ok(Some(file.durability(self.durability).with_events(self.events.clone())))
    }

    /// Returns the item with these names in the platform's keystore, without a marker file: to read it alone, or to
    /// store a [key](crate::key_source::KeystoreItem) in it. Makes no request.
    ///
    /// # Errors
    /// `InvalidInput` for names that no item can have; `NotSupported` if the platform has no keystore with items.
    ///
    /// ```no_run
    /// use tokenkeep::{Config, key_source::KeystoreItem, options::Store};
    ///
    /// let key = Config::new("my-app").account("cache-key").keystore_item()?;
    /// let large = Config::new("my-app").store(Store::encrypted_file(KeystoreItem::new(key))).open()?;
    /// # Ok::<(), tokenkeep::Error>(())
    /// ```
    pub fn keystore_item(&self) -> Result<Arc<dyn Keystore>> {
        let (service, account) = self.item_names();
        platform::keystore_item(&ItemRequest {
            service,
            account,
            shape: self.shape.as_ref(),
            prompting: self.prompting,
            deadline: self.deadline,
        })
    }
}
