//! The backends that the suite runs over.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tempfile::TempDir;
use tokenkeep::key_source::KeyFile;
use tokenkeep::{
    Backend, Persistence, Protection,
    options::Durability,
    storage::{FilePersistence, KeystorePersistence, Sealed},
};
use tokenkeep_stand_in_keychain::Program;

/// An empty location in which a backend keeps one cache.
pub(crate) trait Place: Send + Sync {
    /// Returns the cache's persistence as another process would create it, without shared state.
    fn persistence(&self) -> Arc<dyn Persistence>;

    /// Returns a persistence of the same kind for another cache.
    fn elsewhere(&self) -> Arc<dyn Persistence>;

    /// Returns the stored bytes.
    fn stored(&self) -> Option<Vec<u8>>;

    /// Returns the values that `info` must have.
    fn kind(&self) -> (Backend, Protection);

    /// Returns the directory of the cache file or the marker.
    fn directory(&self) -> &Path;
}

/// Creates a directory for one test; caches in it have a name that is not ASCII.
fn fresh() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn path(directory: &TempDir) -> PathBuf {
    directory.path().join("app données/cache für 令牌.json")
}

fn elsewhere(directory: &TempDir) -> PathBuf {
    directory.path().join("another.json")
}

fn file(persistence: FilePersistence) -> Arc<dyn Persistence> {
    let persistence = persistence.durability(Durability::Cached);
    persistence.prepare().unwrap();
    Arc::new(persistence)
}

/// A plaintext file.
pub(crate) struct PlainFile(TempDir);

impl PlainFile {
    pub(crate) fn fresh() -> Self {
        Self(fresh())
    }
}

impl Place for PlainFile {
    fn persistence(&self) -> Arc<dyn Persistence> {
        file(FilePersistence::new(path(&self.0)).unwrap())
    }

    fn elsewhere(&self) -> Arc<dyn Persistence> {
        file(FilePersistence::new(elsewhere(&self.0)).unwrap())
    }

    fn stored(&self) -> Option<Vec<u8>> {
        std::fs::read(path(&self.0)).ok()
    }

    fn kind(&self) -> (Backend, Protection) {
        (Backend::PlaintextFile, Protection::Plaintext)
    }

    fn directory(&self) -> &Path {
        self.0.path()
    }
}

/// A file encrypted with a key from a key file.
pub(crate) struct SealedFile(TempDir);

impl SealedFile {
    pub(crate) fn fresh() -> Self {
        let directory = fresh();
        write_key(&directory.path().join("key"));
        Self(directory)
    }

    fn open(&self, path: PathBuf, name: &str) -> Arc<dyn Persistence> {
        let sealed = Sealed::new(KeyFile::at(self.0.path().join("key")), name);
        file(FilePersistence::with_protector(path, sealed).unwrap())
    }
}

/// Writes a key that only this user can read, in any directory.
fn write_key(path: &Path) {
    let mut key = [0; 32];
    getrandom::fill(&mut key).unwrap();
    #[cfg(unix)]
    {
        use std::io::Write;
        use std::os::unix::fs::OpenOptionsExt;
        let mut file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(path).unwrap();
        file.write_all(&key).unwrap();
    }
    #[cfg(not(unix))]
    {
        // A file created by the library has the required access list.
        let maker = FilePersistence::new(path).unwrap();
        maker.prepare().unwrap();
        std::fs::write(path, key).unwrap();
    }
}

impl Place for SealedFile {
    fn persistence(&self) -> Arc<dyn Persistence> {
        self.open(path(&self.0), "app/cache")
    }

    fn elsewhere(&self) -> Arc<dyn Persistence> {
        self.open(elsewhere(&self.0), "app/another")
    }

    fn stored(&self) -> Option<Vec<u8>> {
        std::fs::read(path(&self.0)).ok()
    }

    fn kind(&self) -> (Backend, Protection) {
        (Backend::EncryptedFile, Protection::KeyFile)
    }

    fn directory(&self) -> &Path {
        self.0.path()
    }
}

/// A file encrypted by Windows.
#[cfg(windows)]
pub(crate) struct DataProtectionFile(TempDir);

#[cfg(windows)]
impl DataProtectionFile {
    pub(crate) fn fresh() -> Self {
        Self(fresh())
    }

    fn open(path: PathBuf) -> Arc<dyn Persistence> {
        let protector = tokenkeep::storage::DataProtection::default();
        file(FilePersistence::with_protector(path, protector).unwrap())
    }
}

#[cfg(windows)]
impl Place for DataProtectionFile {
    fn persistence(&self) -> Arc<dyn Persistence> {
        Self::open(path(&self.0))
    }

    fn elsewhere(&self) -> Arc<dyn Persistence> {
        Self::open(elsewhere(&self.0))
    }

    fn stored(&self) -> Option<Vec<u8>> {
        std::fs::read(path(&self.0)).ok()
    }

    fn kind(&self) -> (Backend, Protection) {
        (Backend::DpapiFile, Protection::OsUser)
    }

    fn directory(&self) -> &Path {
        self.0.path()
    }
}

/// A Keychain item in the stand-in for Apple's framework.
pub(crate) struct Keychain {
    directory: TempDir,
    framework: Arc<Program>,
}

impl Keychain {
    pub(crate) fn fresh() -> Self {
        Self { directory: fresh(), framework: Arc::default() }
    }

    fn open(&self, path: PathBuf, account: &str) -> Arc<dyn Persistence> {
        let framework = Arc::<Program>::clone(&self.framework);
        let item = tokenkeep::keychain::KeychainItem::over(framework, "Some Service", account).unwrap();
        let persistence = KeystorePersistence::new(path, item).unwrap();
        persistence.prepare().unwrap();
        Arc::new(persistence)
    }
}

impl Place for Keychain {
    fn persistence(&self) -> Arc<dyn Persistence> {
        self.open(path(&self.directory), "an account")
    }

    fn elsewhere(&self) -> Arc<dyn Persistence> {
        self.open(elsewhere(&self.directory), "another account")
    }

    /// The framework hides its items from other users and programs.
    fn stored(&self) -> Option<Vec<u8>> {
        std::fs::read(path(&self.directory)).ok()
    }

    fn kind(&self) -> (Backend, Protection) {
        (Backend::Keychain, Protection::OsUser)
    }

    fn directory(&self) -> &Path {
        self.directory.path()
    }
}

/// An item of a real Secret Service on its own bus.
#[cfg(target_os = "linux")]
pub(crate) struct SecretService {
    directory: TempDir,
    keyring: crate::keyring::Keyring,
}

#[cfg(target_os = "linux")]
impl SecretService {
    pub(crate) fn fresh() -> Self {
        Self { directory: fresh(), keyring: crate::keyring::Keyring::start() }
    }

    fn open(&self, path: PathBuf, account: &str) -> Arc<dyn Persistence> {
        let item = tokenkeep::storage::SecretServiceItem::new("Some Service", account)
            .unwrap()
            .on_bus(self.keyring.bus.address());
        let persistence = KeystorePersistence::new(path, item).unwrap();
        persistence.prepare().unwrap();
        Arc::new(persistence)
    }
}

#[cfg(target_os = "linux")]
impl Place for SecretService {
    fn persistence(&self) -> Arc<dyn Persistence> {
        self.open(path(&self.directory), "an account")
    }

    fn elsewhere(&self) -> Arc<dyn Persistence> {
        self.open(elsewhere(&self.directory), "another account")
    }

    fn stored(&self) -> Option<Vec<u8>> {
        std::fs::read(path(&self.directory)).ok()
    }

    fn kind(&self) -> (Backend, Protection) {
        (Backend::SecretService, Protection::OsUser)
    }

    fn directory(&self) -> &Path {
        self.directory.path()
    }
}
