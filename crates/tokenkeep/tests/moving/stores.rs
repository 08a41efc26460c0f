//! Caches to move, and stores to move them between.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tokenkeep::key_source::KeyFile;
use tokenkeep::{
    Persistence, TokenCache,
    event::Event,
    storage::{FilePersistence, KeystorePersistence, Sealed, SecretServiceItem},
};

use crate::keyring::Keyring;
use crate::support::worker;

/// The application's name, from which the item and the partition of encrypted files follow.
pub(crate) const APP: &str = "app";

/// Returns a cache with these accounts, each with its tokens.
pub(crate) fn cache_of(people: &[&str]) -> String {
    cache_at(people, 1_700_000_000)
}

/// Like [`cache_of`], with access tokens of this second, and with secrets that contain it.
pub(crate) fn cache_at(people: &[&str], time: u64) -> String {
    let section = |name: &str, entry: &dyn Fn(&str) -> String| {
        let entries: Vec<_> = people.iter().map(|who| format!(r#""{who}-{name}":{}"#, entry(who))).collect();
        format!(r#""{name}":{{{}}}"#, entries.join(","))
    };
    let token = |kind: &'static str| {
        move |who: &str| {
            format!(
                r#"{{"home_account_id":"{who}","client_id":"c","credential_type":"{kind}","secret":"hush-{who}-{time}"}}"#
            )
        }
    };
    let access = |who: &str| {
        format!(
            r#"{{"home_account_id":"{who}","client_id":"c","credential_type":"AccessToken","secret":"hush-{who}-{time}","cached_at":"{time}"}}"#
        )
    };
    let account = |who: &str| format!(r#"{{"home_account_id":"{who}","username":"{who}@example.org"}}"#);
    let sections = [
        section("Account", &account),
        section("RefreshToken", &token("RefreshToken")),
        section("AccessToken", &access),
    ];
    format!("{{{}}}", sections.join(","))
}

/// Returns the accounts with a refresh token.
pub(crate) fn people_in(content: &[u8]) -> BTreeSet<String> {
    let Ok(cache) = serde_json::from_slice::<serde_json::Value>(content) else { return BTreeSet::new() };
    let tokens = cache["RefreshToken"].as_object().cloned().unwrap_or_default();
    let who = |token: &serde_json::Value| token["home_account_id"].as_str().unwrap().to_owned();
    let people: BTreeSet<_> = tokens.values().map(who).collect();
    let accounts = cache["Account"].as_object().cloned().unwrap_or_default();
    assert!(people.iter().all(|who| accounts.values().any(|account| account["home_account_id"] == **who)));
    people
}

pub(crate) fn set(people: &[&str]) -> BTreeSet<String> {
    people.iter().map(|&who| who.to_owned()).collect()
}

/// A directory for one test, with a key named after the application.
pub(crate) struct Home(TempDir);

impl Home {
    pub(crate) fn new() -> Self {
        // In memory if possible: the tests sync often and need no durability.
        let shared = Path::new("/dev/shm");
        let place = if shared.is_dir() { shared } else { Path::new("/tmp") };
        let home = Self(tempfile::Builder::new().prefix("tk-").tempdir_in(place).unwrap());
        home.make_key(APP);
        home
    }

    /// Creates a key file with this name.
    pub(crate) fn make_key(&self, name: &str) -> PathBuf {
        let key = self.path().join(name);
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).unwrap();
        fs::write(&key, bytes).unwrap();
        fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        key
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.path().join(APP)
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.path().join("cache.json")
    }

    /// Returns the sorted names in the directory, without locks and keys.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = crate::support::names_in(self.path());
        names.retain(|name| !name.ends_with("lock") && !name.ends_with("lockfile") && name.contains("cache"));
        names
    }

    /// Returns whether a file here contains these words in plaintext.
    pub(crate) fn shows(&self, words: &str) -> bool {
        fs::read_dir(self.path()).unwrap().any(|entry| {
            let path = entry.unwrap().path();
            path.is_file() && contains(&fs::read(path).unwrap(), words.as_bytes())
        })
    }
}

pub(crate) fn contains(bytes: &[u8], words: &[u8]) -> bool {
    bytes.windows(words.len()).any(|part| part == words)
}

/// A cache and its events.
pub(crate) struct Opened {
    pub(crate) cache: TokenCache,
    events: Arc<Mutex<Vec<Event>>>,
}

impl Opened {
    fn over<P: Persistence + 'static>(make: impl FnOnce(Listener) -> P) -> Self {
        let events: Arc<Mutex<Vec<Event>>> = Arc::default();
        let heard = Arc::clone(&events);
        let persistence: Arc<dyn Persistence> =
            Arc::new(make(Box::new(move |event| heard.lock().unwrap().push(event.clone()))));
        Self { cache: TokenCache::new(persistence), events }
    }

    pub(crate) fn plain(path: &Path) -> Self {
        Self::over(|listener| FilePersistence::new(path).unwrap().on_event(listener))
    }

    pub(crate) fn sealed(path: &Path, key: &Path) -> Self {
        Self::over(|listener| sealed_file(path, key).on_event(listener))
    }

    /// Returns the application's item in a keyring, with its marker at `path`, and a file that may have replaced it.
    pub(crate) fn item(keyring: &Keyring, path: &Path, stand_in: Option<FilePersistence>) -> Self {
        Self::over(|listener| {
            let item = SecretServiceItem::new(APP, "token_cache").unwrap().on_bus(keyring.bus.address());
            let item = KeystorePersistence::new(path, item).unwrap();
            let item = item.lock_directory(keyring.bus.folder().join("locks")).on_event(listener);
            match stand_in {
                Some(file) => item.stand_in(file).unwrap(),
                None => item,
            }
        })
    }

    pub(crate) fn write(&self, content: &str) {
        self.cache.begin_write().unwrap().commit(content).unwrap();
    }

    pub(crate) fn read(&self) -> String {
        let content = self.cache.read().unwrap();
        content.map_or_else(String::new, |content| String::from_utf8(content.expose().to_vec()).unwrap())
    }

    pub(crate) fn people(&self) -> BTreeSet<String> {
        people_in(self.read().as_bytes())
    }

    /// Returns the events since the last time.
    pub(crate) fn events(&self) -> Vec<Event> {
        std::mem::take(&mut *self.events.lock().unwrap())
    }
}

type Listener = Box<dyn Fn(&Event) + Send + Sync>;

/// Returns an encrypted file as a configuration of the application would create it.
pub(crate) fn sealed_file(path: &Path, key: &Path) -> FilePersistence {
    FilePersistence::with_protector(path, Sealed::new(KeyFile::at(key), format!("{APP}/token_cache")))
        .unwrap()
}

/// Returns the `torture` program in the session of the keyring, or in a session without a bus.
pub(crate) fn program(home: &Home, keyring: Option<&Keyring>, words: &[&str]) -> Command {
    let mut command = Command::new(worker::program());
    command.args(words).env_clear().env("HOME", home.path()).env("PATH", "/usr/bin:/bin");
    let address = keyring.map_or("unix:path=/nonexistent/bus", |keyring| keyring.bus.address());
    command.env("DBUS_SESSION_BUS_ADDRESS", address).env("XDG_RUNTIME_DIR", home.path());
    command
}

/// Runs [`program`] to its end and returns its answer: `ok ...` or `err ...`.
pub(crate) fn answer(home: &Home, keyring: Option<&Keyring>, words: &[&str]) -> String {
    let output = program(home, keyring, words).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.status.success() && !said.is_empty(),
        "{words:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    said.trim_end().to_owned()
}

/// Like [`answer`], for a call that must succeed; returns the text after `ok`.
pub(crate) fn succeed(home: &Home, keyring: Option<&Keyring>, words: &[&str]) -> String {
    let said = answer(home, keyring, words);
    match said.strip_prefix("ok") {
        Some(rest) => rest.trim_start().to_owned(),
        None => panic!("{words:?}: {said}"),
    }
}

/// Returns the accounts that a configuration with these fallbacks finds.
pub(crate) fn people_of(home: &Home, keyring: Option<&Keyring>, fallbacks: &str) -> BTreeSet<String> {
    let said = succeed(home, keyring, &["open", home.cache().to_str().unwrap(), APP, fallbacks, "read"]);
    people_in(said.replace("\\\"", "\"").as_bytes())
}

/// Signs an account in through a configuration with these fallbacks.
pub(crate) fn sign_in(home: &Home, keyring: Option<&Keyring>, fallbacks: &str, who: &str) {
    let cache = cache_of(&[who]);
    succeed(home, keyring, &["open", home.cache().to_str().unwrap(), APP, fallbacks, "add", &cache]);
}
