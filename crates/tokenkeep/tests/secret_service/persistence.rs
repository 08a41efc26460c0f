//! The item with its marker file: what peers notice, what is never overwritten, who excludes whom.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;

use tokenkeep::{
    Backend, CacheLock, Error, ErrorKind, Persistence, Protection, Result, Secret, TokenCache,
    event::Event,
    options::WaitOptions,
    storage::{Keystore, KeystorePersistence},
};

use crate::item;
use crate::keyring::{Bus, Keyring};

fn marker(bus: &Bus) -> PathBuf {
    bus.folder().join("caches/a cache.json")
}

fn persistence_at(bus: &Bus, path: &Path) -> KeystorePersistence {
    KeystorePersistence::new(path, item(bus)).unwrap().lock_directory(bus.folder().join("locks"))
}

fn persistence(bus: &Bus) -> KeystorePersistence {
    persistence_at(bus, &marker(bus))
}

/// A cache as another process would have it: nothing in common with other caches.
fn cache(bus: &Bus) -> TokenCache {
    TokenCache::new(Arc::new(persistence(bus)))
}

fn write(cache: &TokenCache, content: &[u8]) {
    cache.begin_write().unwrap().commit(content).unwrap();
}

fn read(cache: &TokenCache) -> Option<Vec<u8>> {
    cache.read().unwrap().map(|content| content.expose().to_vec())
}

#[test]
fn what_is_written_is_noticed_by_others_and_the_marker_is_private() {
    let keyring = Keyring::start();
    let (ours, theirs) = (cache(&keyring.bus), cache(&keyring.bus));
    assert_eq!(read(&theirs), None);
    for content in [&b"{\"a\":1}"[..], b"{\"a\":2}", b"{\"a\":3}"] {
        write(&ours, content);
        assert_eq!(read(&theirs).as_deref(), Some(content));
    }
    assert_eq!(fs::read(marker(&keyring.bus)).unwrap(), b"{}");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&marker(&keyring.bus)), 0o600);
    assert_eq!(mode(marker(&keyring.bus).parent().unwrap()), 0o700);
    assert_eq!(mode(&keyring.bus.folder().join("locks")), 0o700);
}

#[test]
fn an_unchanged_marker_saves_the_way_to_the_keyring() {
    let keyring = Keyring::start();
    let cache = cache(&keyring.bus);
    write(&cache, b"{}");
    keyring.kill();
    assert_eq!(read(&cache).as_deref(), Some(&b"{}"[..]));
}

#[test]
fn a_missing_marker_hides_nothing_and_comes_back_with_a_commit() {
    let keyring = Keyring::start();
    let (ours, theirs) = (cache(&keyring.bus), cache(&keyring.bus));
    write(&ours, b"{\"a\":1}");
    fs::remove_file(marker(&keyring.bus)).unwrap();
    assert_eq!(read(&theirs).as_deref(), Some(&b"{\"a\":1}"[..]));
    // Somebody who knows no marker writes the item alone.
    item(&keyring.bus).save(b"{\"a\":2}").unwrap();
    assert_eq!(read(&theirs).as_deref(), Some(&b"{\"a\":2}"[..]));
    assert_eq!(read(&ours).as_deref(), Some(&b"{\"a\":2}"[..]));
    write(&ours, b"{\"a\":3}");
    assert_eq!(fs::read(marker(&keyring.bus)).unwrap(), b"{}");
    assert_eq!(read(&theirs).as_deref(), Some(&b"{\"a\":3}"[..]));
}

#[test]
fn a_write_builds_on_what_was_stored_without_touching_the_marker() {
    let keyring = Keyring::start();
    let cache = cache(&keyring.bus);
    write(&cache, b"{\"a\":1}");
    item(&keyring.bus).save(b"{\"a\":2}").unwrap();
    assert_eq!(cache.begin_write().unwrap().content(), Some(&b"{\"a\":2}"[..]));
}

#[test]
fn delete_removes_the_item_keeps_the_marker_and_is_noticed() {
    let keyring = Keyring::start();
    let (ours, theirs) = (cache(&keyring.bus), cache(&keyring.bus));
    assert!(!ours.begin_write().unwrap().delete().unwrap());
    assert!(!marker(&keyring.bus).exists());
    write(&ours, b"{}");
    assert!(read(&theirs).is_some());
    assert!(ours.begin_write().unwrap().delete().unwrap());
    assert!(marker(&keyring.bus).exists());
    assert_eq!(read(&theirs), None);
    assert_eq!(read(&ours), None);
    assert_eq!(item(&keyring.bus).load().unwrap(), None);
}

#[test]
fn a_marker_with_another_stores_content_is_never_overwritten() {
    let keyring = Keyring::start();
    let (bus, path) = (&keyring.bus, marker(&keyring.bus));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    // No token cache, and nobody said that it may be of a fallback.
    let old = b"{\"secrets\": {\"k\": {\"secret\": \"xyz\"}}}";
    fs::write(&path, old).unwrap();
    let refused = |error: Error| {
        assert_eq!(error.kind(), ErrorKind::MarkerOccupied, "{error}");
        assert_eq!(error.path(), Some(path.as_path()));
        assert!(!format!("{error:?}").contains("xyz"), "{error:?}");
    };
    refused(cache(bus).read().unwrap_err());
    refused(cache(bus).begin_write().unwrap_err());
    refused(persistence(bus).take_in(&WaitOptions::default()).unwrap_err());
    // Beside an item, what is in the item counts; but still nothing is written.
    item(bus).save(b"{\"a\":1}").unwrap();
    assert_eq!(read(&cache(bus)).as_deref(), Some(&b"{\"a\":1}"[..]));
    refused(cache(bus).begin_write().unwrap().commit(b"{}").unwrap_err());
    refused(cache(bus).begin_write().unwrap().delete().unwrap_err());
    assert_eq!(fs::read(&path).unwrap(), old);
    assert_eq!(item(bus).load().unwrap().unwrap().expose(), b"{\"a\":1}");
}

#[test]
fn markers_of_all_siblings_are_vacant() {
    let keyring = Keyring::start();
    let path = marker(&keyring.bus);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    for vacant in ["", "{}", " {}\n", "\r\n"] {
        fs::write(&path, vacant).unwrap();
        write(&cache(&keyring.bus), vacant.as_bytes());
    }
}

#[test]
fn a_writer_in_the_middle_of_its_work_leaves_the_reader_in_doubt() {
    let keyring = Keyring::start();
    let cache = cache(&keyring.bus);
    write(&cache, b"{\"a\":1}");
    cache.forget();
    let lock_file = marker(&keyring.bus).with_file_name("a cache.json.lockfile");
    fs::write(&lock_file, "1").unwrap();
    assert_eq!(read(&cache).as_deref(), Some(&b"{\"a\":1}"[..]));
    fs::remove_file(&lock_file).unwrap();
    // The marker has not changed since, and is not believed.
    item(&keyring.bus).save(b"{\"a\":2}").unwrap();
    assert_eq!(read(&cache).as_deref(), Some(&b"{\"a\":2}"[..]));
}

#[test]
fn writers_through_several_paths_to_one_item_lose_nothing() {
    let keyring = Keyring::start();
    let paths: Vec<_> = (0..2).map(|n| keyring.bus.folder().join(format!("cache {n}"))).collect();
    thread::scope(|scope| {
        for path in paths.iter().chain(&paths) {
            scope.spawn(|| {
                let cache = TokenCache::new(Arc::new(persistence_at(&keyring.bus, path)));
                for _ in 0..10 {
                    let access = cache.begin_write().unwrap();
                    let count = access
                        .content()
                        .map_or(0, |content| std::str::from_utf8(content).unwrap().parse::<u32>().unwrap());
                    access.commit((count + 1).to_string()).unwrap();
                }
            });
        }
    });
    assert_eq!(item(&keyring.bus).load().unwrap().unwrap().expose(), b"40");
}

#[test]
fn content_that_cannot_be_used_is_kept_in_an_item_of_its_own() {
    let keyring = Keyring::start();
    let persistence = persistence(&keyring.bus);
    item(&keyring.bus).save(b"damaged").unwrap();
    let guard = CacheLock::new(persistence.path()).unwrap().acquire(&WaitOptions::default()).unwrap();
    let copy = persistence.set_aside(&guard).unwrap();
    assert_eq!(persistence.set_aside(&guard).unwrap(), copy);
    let account = copy.strip_prefix("Some Service/").unwrap();
    assert!(account.starts_with("an account.corrupt-"), "{copy}");
    let kept = tokenkeep::storage::SecretServiceItem::new("Some Service", account).unwrap();
    assert_eq!(kept.on_bus(keyring.bus.address()).load().unwrap().unwrap().expose(), b"damaged");
    assert_eq!(item(&keyring.bus).load().unwrap().unwrap().expose(), b"damaged");
}

#[test]
fn a_store_that_ends_with_the_log_in_is_told_once() {
    let keyring = Keyring::start();
    keyring.by_hand(async |hand| {
        hand.set_default_collection("/org/freedesktop/secrets/collection/session").await;
    });
    let warnings = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&warnings);
    let persistence = persistence(&keyring.bus).on_event(move |event| {
        if let Event::Warning(text) = event {
            heard.lock().unwrap().push(text.clone());
        }
    });
    persistence.verify().unwrap();
    persistence.load(None).unwrap();
    let warnings = warnings.lock().unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("log-out"), "{warnings:?}");
    let info = persistence.info();
    assert!(!info.survives_reboot);
    assert_eq!(info.backend, Backend::SecretService);
    assert_eq!(info.protection, Protection::OsUser);
    assert_eq!(info.location, "Some Service/an account");
}

#[test]
fn verification_also_tries_the_place_of_the_marker() {
    let keyring = Keyring::start();
    let path = keyring.bus.folder().join("a file");
    fs::write(&path, "").unwrap();
    let error = persistence_at(&keyring.bus, &path.join("cache")).verify().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnsafeFile, "{error}");
    persistence(&keyring.bus).verify().unwrap();
    assert!(!marker(&keyring.bus).exists());
}

/// A keystore that takes everything and loses the answer.
#[derive(Debug, Default)]
struct Forgetful;

impl Keystore for Forgetful {
    fn load(&self) -> Result<Option<Secret>> {
        Ok(None)
    }

    fn save(&self, _content: &[u8]) -> Result<()> {
        Err(Error::new(ErrorKind::StoreTimeout, "no answer"))
    }

    fn delete(&self) -> Result<bool> {
        Err(Error::new(ErrorKind::StoreTimeout, "no answer"))
    }

    fn verify(&self) -> Result<()> {
        Ok(())
    }

    fn location(&self) -> String {
        "a/b".to_owned()
    }
}

#[test]
fn a_change_whose_outcome_is_unknown_makes_everybody_look_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    let keystore = KeystorePersistence::new(&path, Forgetful).unwrap().lock_directory(folder.path());
    keystore.prepare().unwrap();
    let cache = TokenCache::new(Arc::new(keystore.clone()));
    let before = keystore.stamp().unwrap();
    let outcomes = [
        cache.begin_write().unwrap().commit(b"{}").map(|_| ()),
        cache.begin_write().unwrap().delete().map(|_| ()),
    ];
    let mut millis = before.modified_millis();
    for outcome in outcomes {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::StoreTimeout);
    }
    let after = keystore.stamp().unwrap().modified_millis();
    assert!(after > millis);
    millis = after;
    assert!(cache.begin_write().unwrap().delete().is_err());
    assert!(keystore.stamp().unwrap().modified_millis() > millis);
    assert_eq!(keystore.info().backend, Backend::Custom);
}

/// A file that ends in the middle of an object may be a write in motion, for which readers wait. A keyring keeps what it
/// was given whole, so that this is what somebody stored.
#[test]
fn a_piece_of_a_cache_in_the_keyring_is_read_as_it_is_and_at_once() {
    let keyring = Keyring::start();
    let cache = cache(&keyring.bus);
    write(&cache, b"{}");
    let piece = b"{\"Account\": {\"key\"";
    item(&keyring.bus).save(piece).unwrap();
    let lock = CacheLock::new(marker(&keyring.bus)).unwrap();
    let held = lock.acquire(&WaitOptions::default()).unwrap();
    cache.forget();
    assert_eq!(read(&cache).as_deref(), Some(&piece[..]), "without the lock, which somebody has");
    drop(held);
    assert_eq!(cache.begin_write().unwrap().content(), Some(&piece[..]));
}

/// gnome-keyring tells nobody of a `SetSecret`, and counts an item's changes in whole seconds: only reading tells.
#[test]
fn a_writer_sees_what_was_set_a_moment_ago_without_lock_or_marker() {
    let keyring = Keyring::start();
    let (cache, theirs) = (cache(&keyring.bus), item(&keyring.bus));
    for round in 0..5 {
        write(&cache, format!("{{\"ours\":{round}}}").as_bytes());
        let content = format!("{{\"theirs\":{round}}}");
        theirs.save(content.as_bytes()).unwrap();
        assert_eq!(cache.begin_write().unwrap().content(), Some(content.as_bytes()));
    }
}
