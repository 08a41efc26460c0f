//! One way to open: the order of stores, what a keystore imports, and the macOS Keychain by its stand-in.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tokenkeep::event::Event;
use tokenkeep::key_source::KeyFile;
use tokenkeep::keychain::KeychainItem;
use tokenkeep::options::{DataProtectionScope, Store};
use tokenkeep::schema::Change;
use tokenkeep::{Backend, Config, Error, ErrorKind, TokenCache};
use tokenkeep_stand_in_keychain::Program;

use crate::fixed_key::FixedKey;

const ADA: &str = r#"{"Account":{"ada":{"home_account_id":"ada.tenant"}}}"#;
const BOB: &str = r#"{"Account":{"bob":{"home_account_id":"bob.tenant"}}}"#;

/// A machine with a keychain, a place for the cache and an operator's key.
struct Machine {
    keychain: Arc<Program>,
    home: TempDir,
}

impl Machine {
    fn new() -> Self {
        Self { keychain: Arc::default(), home: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.home.path().join("app").join("cache.json")
    }

    fn keychain(&self) -> Store {
        Store::item(KeychainItem::over(Arc::<Program>::clone(&self.keychain), "app", "token_cache").unwrap())
    }

    fn sealed(&self) -> Store {
        Store::encrypted_file(FixedKey)
    }

    /// A program that keeps its cache in the keychain, and where that does not work in an encrypted file.
    fn config(&self) -> Config {
        Config::new("app")
            .path(self.path())
            .lock_directory(self.home.path().join("locks"))
            .store(self.keychain())
            .fallback([self.sealed()])
    }

    fn lock(&self, locked: bool) {
        self.keychain.keychain().with(|world| world.locked = locked);
    }

    /// A session over ssh: the Keychain would have to ask a person.
    fn over_ssh(&self) -> TokenCache {
        self.lock(true);
        let away = self.config().open().unwrap();
        self.lock(false);
        away
    }
}

fn sign_in(cache: &TokenCache, account: &str) {
    cache.begin_write().unwrap().commit_change(&Change::additions(account.as_bytes())).unwrap();
}

fn has(cache: &TokenCache, account: &str) -> bool {
    cache.read().unwrap().is_some_and(|content| String::from_utf8_lossy(content.expose()).contains(account))
}

/// The lock-out of macOS: an encrypted file written over ssh kept the user from the Keychain for ever.
#[test]
fn sign_ins_made_while_the_keychain_was_away_are_imported_when_it_is_back() {
    let machine = Machine::new();
    sign_in(&machine.config().open().unwrap(), ADA);
    let away = machine.over_ssh();
    assert_eq!(away.info().backend, Backend::EncryptedFile);
    sign_in(&away, BOB);
    let events = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&events);
    let config = machine.config().on_event(move |event| told.lock().unwrap().push(event.clone()));
    let back = config.open().unwrap();
    assert_eq!(back.info().backend, Backend::Keychain);
    assert!(has(&back, "ada.tenant") && has(&back, "bob.tenant"));
    assert_eq!(fs::read(machine.path()).unwrap(), b"{}");
    let events = events.lock().unwrap();
    assert!(events.iter().any(|event| matches!(event, Event::Moved { .. })), "{events:?}");
}

/// A program that opens one store alone and has to name the others that kept its cache.
#[test]
fn a_store_without_fallbacks_imports_from_those_it_is_told_of() {
    let machine = Machine::new();
    sign_in(&machine.over_ssh(), ADA);
    let alone = machine.config().fallback([] as [Store; 0]);
    let refused = alone.open().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::MarkerOccupied, "{refused}");
    assert!(has(&alone.import_from([machine.sealed()]).open().unwrap(), "ada.tenant"));
}

#[test]
fn the_choice_tells_its_store_and_each_one_that_was_tried_before() {
    let machine = Machine::new();
    machine.lock(true);
    let nowhere = Store::encrypted_file(KeyFile::at(machine.home.path().join("nowhere")));
    let events = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&events);
    let config = machine.config().fallback([nowhere, machine.sealed(), Store::PlaintextFile]);
    let config = config.on_event(move |event| told.lock().unwrap().push(event.clone()));
    let choice = config.choose().map_err(Error::from).unwrap();
    assert_eq!((choice.number, choice.cache.info().backend), (2, Backend::EncryptedFile));
    let tried: Vec<_> =
        choice.attempts.iter().map(|one| (one.number, one.prepared, one.error.kind())).collect();
    assert_eq!(tried, [(0, true, ErrorKind::StoreLocked), (1, true, ErrorKind::MissingKey)]);
    let events = events.lock().unwrap();
    let [event @ Event::FellBack { to: Store::EncryptedFile(_), because, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(because.len(), 2);
    let text = event.to_string();
    assert!(
        text.starts_with("The cache is kept in an encrypted file, with ") && text.contains("nowhere"),
        "{text}"
    );
}

#[test]
fn stores_of_other_platforms_are_not_supported_and_the_next_one_is_tried() {
    let machine = Machine::new();
    let windows = Store::DataProtection { scope: DataProtectionScope::LocalMachine, entropy: None };
    let mut others = vec![windows, Store::Keychain, Store::SecretService];
    others.retain(|store| match store {
        Store::DataProtection { .. } => !cfg!(windows),
        Store::Keychain => !cfg!(target_os = "macos"),
        _ => !cfg!(target_os = "linux"),
    });
    for store in others {
        let config = machine.config().store(store).fallback([Store::Memory]);
        let choice = config.choose().map_err(Error::from).unwrap();
        assert_eq!(choice.attempts[0].error.kind(), ErrorKind::NotSupported);
        assert!(!choice.attempts[0].prepared);
        assert_eq!(choice.cache.info().backend, Backend::Memory);
    }
}

#[test]
fn without_create_and_verify_no_store_is_contacted_and_nothing_is_made() {
    let machine = Machine::new();
    let config = machine.config();
    config.clone().create(false).verify(false).open().unwrap();
    assert!(!machine.path().parent().unwrap().exists());
    config.clone().verify(false).open().unwrap();
    assert_eq!(fs::read(machine.path()).unwrap(), b"");
    assert!(machine.keychain.functions().is_empty());
    fs::remove_file(machine.path()).unwrap();
    config.create(false).open().unwrap();
    assert!(!machine.path().exists(), "verified, and the marker not created");
    assert!(!machine.keychain.functions().is_empty());
}

#[test]
fn names_that_are_not_given_follow_from_the_application() {
    let config = Config::new("app");
    assert_eq!(config.item_names(), ("app", "token_cache"));
    assert_eq!(config.file_partition(), "app/token_cache");
    assert!(config.cache_path().unwrap().ends_with(Path::new("app").join("token_cache.json")));
    for name in ["", ".", "..", "a/b", "a\0b"] {
        assert_eq!(Config::new(name).cache_path().unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    let named = config.service("s").account("a").path("here");
    assert_eq!((named.item_names(), named.file_partition()), (("s", "a"), "s/a".to_owned()));
    assert_eq!(named.cache_path().unwrap(), Path::new("here"));
    assert_eq!(named.partition("p").file_partition(), "p");
}
