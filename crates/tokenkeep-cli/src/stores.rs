//! Finds the store of a cache from the flags, or from the format of an existing file, and opens it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokenkeep::event::Event;
use tokenkeep::key_source::{KernelKeyring, KeyFile, KeySource, Passphrase, Portal};
use tokenkeep::options::{DataProtectionScope, OnDamage, Store, WaitOptions};
use tokenkeep::preset::{CachePlace, Names, PlaceKind, Preset};
use tokenkeep::storage::FilePersistence;
use tokenkeep::{Backend, Config, ErrorKind, Persistence, Secret, TokenCache, environment, schema};

use crate::arguments::{self, Key, Kind};
use crate::exit::{Failure, Outcome};
use crate::platform::HAS_KEYCHAIN;
use crate::words::move_away;

/// How long to wait for the lock and the keystore without `--timeout`.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// One cache: its store and location.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) kind: Kind,
    /// The cache file or marker; a read of a keystore item does not need it.
    pub(crate) path: Option<PathBuf>,
    /// Service and account.
    pub(crate) names: Option<(String, String)>,
    pub(crate) key: Option<Key>,
    /// The preset's location, if the cache of another library or program is in its own store.
    pub(crate) place: Option<CachePlace>,
}

/// The format of the file at a path, from its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DetectedFormat {
    Nothing,
    /// An empty file or `{}`: an empty cache, or the marker of a keystore item.
    Vacant,
    /// A token cache.
    Plaintext,
    /// Encrypted by this library.
    Sealed,
    /// Encrypted by Windows.
    DataProtection,
    /// Something else: a torn token cache, or another program's file.
    Other,
    /// The file cannot be read.
    Unreadable,
}

/// The content of a file in the place of a keystore item's marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Occupant {
    /// A plaintext token cache, which the next program moves into the item.
    Cache,
    /// An encrypted file, which stays.
    Encrypted,
    /// A torn cache or another program's file, which the next program copies aside.
    Foreign,
}

impl Occupant {
    /// Says what it is and what becomes of it.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Cache => {
                "holds a plaintext token cache; the next program with tokenkeep that uses this keystore item moves it there"
            }
            Self::Encrypted => {
                "is an encrypted file, in the place of the keystore item's marker: programs cannot use the item"
            }
            Self::Foreign => {
                "holds neither a token cache nor a marker; the next program with tokenkeep that uses this keystore item \
                 keeps a copy of it, and sign-ins go on in the keystore"
            }
        }
    }
}

/// Reads a file's format without waiting.
pub(crate) fn detected_format(path: &Path) -> DetectedFormat {
    let loaded = FilePersistence::new(path).and_then(|file| file.load(None));
    match loaded.map(|loaded| loaded.content) {
        Ok(None) => DetectedFormat::Nothing,
        Ok(Some(content)) => match schema::without_bom(content.expose()).trim_ascii() {
            b"" | b"{}" => DetectedFormat::Vacant,
            text if schema::is_msal_cache(text) => DetectedFormat::Plaintext,
            _ => DetectedFormat::Other,
        },
        Err(error) if error.kind() == ErrorKind::MissingKey => {
            // The first bytes of the library's own files are in docs/format.md.
            match std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"\x89TKS")) {
                true => DetectedFormat::Sealed,
                false => DetectedFormat::DataProtection,
            }
        }
        Err(_) => DetectedFormat::Unreadable,
    }
}

impl Named {
    /// A file of unknown kind, by its detected format.
    pub(crate) fn file(path: PathBuf) -> Self {
        let kind = match detected_format(&path) {
            DetectedFormat::Sealed => Kind::EncryptedFile,
            DetectedFormat::DataProtection => Kind::DpapiFile,
            DetectedFormat::Other if cfg!(windows) => Kind::DpapiFile,
            _ => Kind::PlaintextFile,
        };
        Self { kind, path: Some(path), names: None, key: None, place: None }
    }

    /// A keystore item, and the path of its marker.
    pub(crate) fn item(path: Option<PathBuf>, service: &str, account: &str) -> Self {
        let names = Some((service.to_owned(), account.to_owned()));
        Self { kind: Kind::Keystore, path, names, key: None, place: None }
    }

    /// A cache of another library or program. If the file itself has content, as the library writes it without a
    /// keystore, that is read, unless `kind` says otherwise.
    pub(crate) fn preset(place: CachePlace, kind: Option<Kind>) -> Self {
        let own = match place.kind {
            PlaceKind::Item(_) => Kind::Keystore,
            PlaceKind::ProtectedFile => Kind::DpapiFile,
            _ => Kind::PlaintextFile,
        };
        // A file of another kind than its owner's: the library's fallback without a keystore, or another program's
        // file.
        let foreign = match detected_format(&place.path) {
            DetectedFormat::Plaintext | DetectedFormat::Sealed | DetectedFormat::Unreadable => {
                own != Kind::PlaintextFile
            }
            DetectedFormat::DataProtection => own != Kind::DpapiFile,
            DetectedFormat::Other => own == Kind::Keystore,
            DetectedFormat::Nothing | DetectedFormat::Vacant => false,
        };
        if kind.is_none() && foreign {
            return Self::file(place.path);
        }
        let chosen = kind.unwrap_or(own);
        let (path, own_place) = (Some(place.path.clone()), (chosen == own).then_some(place));
        Self { kind: chosen, path, names: None, key: None, place: own_place }
    }

    /// The cache that the flags name, for a command that changes it: the flags must name one.
    ///
    /// # Errors
    /// Like [`Named::from_flags`].
    pub(crate) fn chosen(flags: &arguments::Store) -> Outcome<Self> {
        match flags.is_any() {
            true => Err(Failure::usage(
                "Name the cache: with --application, --preset, --cache-path, or --service-name and --account-name",
            )),
            false => Self::from_flags(flags),
        }
    }

    /// The cache that the flags name.
    ///
    /// # Errors
    /// Usage, if they name no cache.
    pub(crate) fn from_flags(flags: &arguments::Store) -> Outcome<Self> {
        if let Some(preset) = flags.preset {
            return Ok(Self::preset(place(preset, flags)?, flags.store));
        }
        let path = match (&flags.cache_path, &flags.application) {
            (Some(path), _) => Some(path.clone()),
            (None, Some(application)) => Some(own_path(application)?),
            (None, None) => None,
        };
        let names = names(flags)?;
        let kind = match (flags.store, &path) {
            (Some(kind), _) => kind,
            (None, None) => Kind::Keystore,
            (None, Some(path)) => match detected_format(path) {
                DetectedFormat::Sealed => Kind::EncryptedFile,
                DetectedFormat::Plaintext => Kind::PlaintextFile,
                // With a key, the user means an encrypted file, not plaintext.
                DetectedFormat::Nothing | DetectedFormat::Vacant if flags.key.is_some() => {
                    Kind::EncryptedFile
                }
                DetectedFormat::Other if cfg!(windows) => Kind::DpapiFile,
                _ if cfg!(windows) || names.is_none() => Self::file(path.clone()).kind,
                _ => Kind::Keystore,
            },
        };
        match kind {
            Kind::Keystore if names.is_none() => {
                Err(Failure::usage("A keystore item has --service-name and --account-name"))
            }
            Kind::Keystore => Ok(Self { kind, path, names, key: flags.key.clone(), place: None }),
            _ if path.is_none() => Err(Failure::usage("A file has --cache-path, or --application")),
            Kind::EncryptedFile if flags.key.is_none() => Err(keyless(path.as_deref())),
            Kind::EncryptedFile if names.is_none() => Err(Failure::usage(
                "An encrypted file is bound to the names of its cache: give --application, or --service-name and \
                 --account-name",
            )),
            _ => Ok(Self { kind, path, names, key: flags.key.clone(), place: None }),
        }
    }

    /// Returns whether both are one store. A file under another key is another one.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let real = |named: &Self| {
            named.path.as_ref().map(|path| path.canonicalize().unwrap_or_else(|_| path.clone()))
        };
        let same_place = match self.kind {
            Kind::Keystore => self.to_string() == other.to_string(),
            _ => real(self) == real(other),
        };
        self.kind == other.kind && self.key == other.key && same_place
    }

    /// Returns the configuration that opens the cache without changing it.
    fn config(&self, deadline: Duration) -> Config {
        let config = match (&self.place, &self.path) {
            (Some(place), _) => place.config(),
            (None, Some(path)) => self.named().path(path),
            (None, None) => self.named(),
        };
        config.keystore_deadline(deadline).create(false).verify(false).on_damage(OnDamage::Fail)
    }

    fn named(&self) -> Config {
        let (service, account) = self.names();
        Config::new(service).account(account).store(match self.kind {
            Kind::PlaintextFile => Store::PlaintextFile,
            Kind::EncryptedFile => Store::EncryptedFile(source(self.key.as_ref())),
            // Elsewhere, opening it as plaintext says why it cannot be read.
            Kind::DpapiFile if !cfg!(windows) => Store::PlaintextFile,
            Kind::DpapiFile => {
                Store::DataProtection { scope: DataProtectionScope::CurrentUser, entropy: None }
            }
            Kind::Keystore if HAS_KEYCHAIN => Store::Keychain,
            Kind::Keystore => Store::SecretService,
        })
    }

    /// Refuses an item of the Keychain. Each write makes its writer the one program that may read it, and this command is
    /// another one than the program whose sign-ins they are.
    ///
    /// # Errors
    /// `NotSupported`, with another way.
    pub(crate) fn refuse_in_keychain(&self, what: &str, remedy: &str) -> Outcome<()> {
        if !HAS_KEYCHAIN || self.kind != Kind::Keystore {
            return Ok(());
        }
        let text = format!(
            "{what} {self}: the Keychain would give the item to this command, and refuse it to the program that made it"
        );
        Err(tokenkeep::Error::new(ErrorKind::NotSupported, text).remedy(remedy).into())
    }

    /// Opens it for reading and writing; creates no file yet.
    ///
    /// # Errors
    /// Usage without a path, which the lock of a write needs; those of the library.
    pub(crate) fn open(
        &self,
        wait: WaitOptions,
        listener: impl Fn(&Event) + Send + Sync + 'static,
    ) -> Outcome<TokenCache> {
        if self.path.is_none() {
            return Err(Failure::usage(
                "To change a keystore item, name its marker file with --cache-path: the lock stands beside it",
            ));
        }
        let config = self.config(wait.limit.min(PATIENCE)).lock_limit(wait.limit).on_event(listener);
        Ok(match wait.cancel {
            Some(cancel) => config.cancel(cancel),
            None => config,
        }
        .open()?)
    }

    fn names(&self) -> (&str, &str) {
        self.names.as_ref().map_or(("", ""), |(service, account)| (service, account))
    }

    /// Returns its content; `None` if there is none.
    ///
    /// # Errors
    /// Those of the library.
    pub(crate) fn read(&self, wait: WaitOptions) -> Outcome<Option<Secret>> {
        let config = self.config(wait.limit.min(PATIENCE));
        match (&self.path, &self.place, self.kind) {
            (_, Some(_), Kind::Keystore) => Ok(config.open()?.persistence().load(None)?.content),
            // The item may exist without its marker.
            (_, None, Kind::Keystore) => Ok(config.keystore_item()?.load()?),
            (Some(_), ..) => Ok(self.open(wait, |_| {})?.read()?),
            (None, ..) => Err(Failure::usage("A file has --cache-path")),
        }
    }

    /// Returns its content, read without the lock and without a change; `None` if there is none. Waits a moment for
    /// content that is being written.
    ///
    /// # Errors
    /// Like [`Named::read`].
    pub(crate) fn peek(&self, patience: Duration) -> Outcome<Option<Secret>> {
        const LOOKS: u32 = 4;
        if self.path.is_none() || self.kind == Kind::Keystore {
            return self.read(WaitOptions::within(patience));
        }
        let cache = self.config(patience).open()?;
        let mut looks = 1;
        loop {
            let seen = cache.persistence().load(None).map(|loaded| loaded.content);
            let at_rest = match &seen {
                Ok(content) => content.as_ref().is_none_or(|content| schema::is_whole(content.expose())),
                Err(error) => error.kind() != ErrorKind::Busy,
            };
            if at_rest || looks == LOOKS {
                return Ok(seen?);
            }
            looks += 1;
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Returns the kind of store, as the library's code.
    pub(crate) fn backend(&self) -> &'static str {
        match self.kind {
            Kind::PlaintextFile => Backend::PlaintextFile.code(),
            Kind::EncryptedFile => Backend::EncryptedFile.code(),
            Kind::DpapiFile => Backend::DpapiFile.code(),
            Kind::Keystore if HAS_KEYCHAIN => Backend::Keychain.code(),
            Kind::Keystore => Backend::SecretService.code(),
        }
    }

    /// For a keystore item: says what is in the place of its marker, if that is neither a marker nor nothing.
    pub(crate) fn occupant(&self) -> Option<Occupant> {
        let path = self.path.as_ref().filter(|_| self.kind == Kind::Keystore)?;
        match detected_format(path) {
            DetectedFormat::Nothing | DetectedFormat::Vacant | DetectedFormat::Unreadable => None,
            DetectedFormat::Plaintext => Some(Occupant::Cache),
            DetectedFormat::Sealed | DetectedFormat::DataProtection => Some(Occupant::Encrypted),
            DetectedFormat::Other => Some(Occupant::Foreign),
        }
    }

    /// Says in words who can read it.
    pub(crate) fn protection(&self) -> &'static str {
        match self.kind {
            Kind::PlaintextFile => "a plaintext file: whoever can read it has these sign-ins",
            Kind::EncryptedFile => "an encrypted file",
            Kind::DpapiFile => "a file encrypted by Windows",
            Kind::Keystore if HAS_KEYCHAIN => "an item of the Keychain",
            Kind::Keystore => "an item of the Secret Service",
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(PlaceKind::Item(shape)) = self.place.as_ref().map(|place| &place.kind) {
            return write!(f, "{shape}");
        }
        match (&self.kind, &self.names, &self.path) {
            (Kind::Keystore, Some((service, account)), _) => write!(f, "{service}/{account}"),
            (_, _, Some(path)) => write!(f, "{}", path.display()),
            _ => f.write_str("-"),
        }
    }
}

fn source(key: Option<&Key>) -> Arc<dyn KeySource> {
    match key {
        Some(Key::Kernel(name)) => Arc::new(KernelKeyring::new(name)),
        Some(Key::File(path)) => Arc::new(KeyFile::at(path)),
        Some(Key::Variable(name)) => Arc::new(KeyFile::from_environment(name)),
        Some(Key::Passphrase(name)) => Arc::new(Passphrase::from_environment(name)),
        Some(Key::Portal) => Arc::new(Portal::new()),
        // A key that matches no file: known caches are found without the user's request.
        None => Arc::new(KeyFile::from_environment("")),
    }
}

/// The failure for an encrypted file without the source of its key.
fn keyless(path: Option<&Path>) -> Failure {
    let name = "Name the source of its key with --key, such as kernel:NAME or file:PATH";
    Failure::usage("The file is encrypted").remedied(match path {
        Some(path) => {
            format!("{name}; if the key is lost, move the file away: {}", move_away(path))
        }
        None => name.to_owned(),
    })
}

/// Returns the location of a preset's cache, with the values that its program chose.
fn place(preset: Preset, flags: &arguments::Store) -> Outcome<CachePlace> {
    let mut names = Names::default();
    if let Some(path) = &flags.cache_path {
        names = names.path(path);
    }
    if let Some(service) = &flags.service_name {
        names = names.service(service);
    }
    if let Some(account) = &flags.account_name {
        names = names.account(account);
    }
    if let Some(schema) = &flags.schema {
        names = names.schema(schema);
    }
    if let Some(name) = &flags.cache_name {
        names = names.cache_name(name);
    }
    for (name, value) in &flags.attribute {
        names = names.attribute(name, value);
    }
    Ok(preset.place(&names)?)
}

/// Returns the cache file or marker that the flags name, with any content.
///
/// # Errors
/// Usage, if they name none.
pub(crate) fn path(flags: &arguments::Store) -> Outcome<PathBuf> {
    if let Some(preset) = flags.preset {
        return Ok(place(preset, flags)?.path);
    }
    match (&flags.cache_path, &flags.application) {
        (Some(path), _) => Ok(path.clone()),
        (None, Some(application)) => own_path(application),
        (None, None) => Err(Failure::usage(
            "Name the cache whose lock is meant, with --cache-path, --application or --preset",
        )),
    }
}

/// Returns the service and account that the flags name, or an application's default ones.
fn names(flags: &arguments::Store) -> Outcome<Option<(String, String)>> {
    let service = flags.service_name.as_ref().or(flags.application.as_ref());
    let names = |config: Config| {
        let (service, account) = config.item_names();
        Ok(Some((service.to_owned(), account.to_owned())))
    };
    match (service, &flags.account_name) {
        (Some(service), Some(account)) => names(Config::new(service).account(account)),
        (Some(service), None) if flags.application.is_some() => names(Config::new(service)),
        (None, None) => Ok(None),
        _ => Err(Failure::usage("--service-name and --account-name belong together")),
    }
}

/// Returns the default cache path of an application.
fn own_path(application: &str) -> Outcome<PathBuf> {
    Config::new(application).cache_path().map_err(|_| {
        Failure::usage(match environment::data_directory() {
            Some(_) => "The application's name cannot be part of a path; give --cache-path",
            None if cfg!(windows) => "No home directory is known: set LOCALAPPDATA, or give --cache-path",
            None => "No home directory is known: set HOME, or give --cache-path",
        })
    })
}
