//! The item with its marker file: changes that other processes notice, content that is never overwritten, and
//! exclusion.

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

/// Opens the cache like another process, without shared state.
fn cache(bus: &Bus) -> TokenCache {
    TokenCache::new(persistence(bus))
}

fn write(cache: &TokenCache, content: &[u8]) {
    cache.begin_write().unwrap().commit(content).unwrap();
}

fn read(cache: &TokenCache) -> Option<Vec<u8>> {
    cache.read().unwrap().map(|content| content.expose().to_vec())
}

#[test]
fn other_processes_notice_a_write_and_the_marker_is_private() {
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
fn a_read_with_an_unchanged_marker_makes_no_keyring_call() {
    let keyring = Keyring::start();
    let cache = cache(&keyring.bus);
    write(&cache, b"{}");
    keyring.kill();
    assert_eq!(read(&cache).as_deref(), Some(&b"{}"[..]));
}

#[test]
fn a_missing_marker_hides_no_content_and_a_commit_creates_it() {
    let keyring = Keyring::start();
    let (ours, theirs) = (cache(&keyring.bus), cache(&keyring.bus));
    write(&ours, b"{\"a\":1}");
    fs::remove_file(marker(&keyring.bus)).unwrap();
    assert_eq!(read(&theirs).as_deref(), Some(&b"{\"a\":1}"[..]));
    // A program without a marker writes only the item.
    item(&keyring.bus).save(&b"{\"a\":2}".into()).unwrap();
    assert_eq!(read(&theirs).as_deref(), Some(&b"{\"a\":2}"[..]));
    assert_eq!(read(&ours).as_deref(), Some(&b"{\"a\":2}"[..]));
    write(&ours, b"{\"a\":3}");
    assert_eq!(fs::read(marker(&keyring.bus)).unwrap(), b"{}");
    assert_eq!(read(&theirs).as_deref(), Some(&b"{\"a\":3}"[..]));
}

#[test]
fn a_write_keeps_content_that_was_stored_without_touching_the_marker() {
    let keyring = Keyring::start();
    let cache = cache(&keyring.bus);
    write(&cache, b"{\"a\":1}");
    item(&keyring.bus).save(&b"{\"a\":2}".into()).unwrap();
    assert_eq!(cache.begin_write().unwrap().content(), Some(&b"{\"a\":2}"[..]));
}

#[test]
fn delete_removes_the_item_keeps_the_marker_and_others_notice() {
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
fn an_encrypted_file_of_an_unknown_store_in_the_place_of_the_marker_is_never_overwritten() {
    let keyring = Keyring::start();
    let (bus, path) = (&keyring.bus, marker(&keyring.bus));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    // Not configured as a fallback.
    let old = b"\x89TKS\r\n\x1a\nxyz";
    fs::write(&path, old).unwrap();
    let refused = |error: Error| {
        assert_eq!(error.kind(), ErrorKind::MarkerOccupied, "{error}");
        assert_eq!(error.path(), Some(path.as_path()));
        assert!(!format!("{error:?}").contains("xyz"), "{error:?}");
    };
    refused(cache(bus).read().unwrap_err());
    refused(cache(bus).begin_write().unwrap_err());
    refused(persistence(bus).take_in(&WaitOptions::default()).unwrap_err());
    // If there is an item, its content is read; the marker file is still not overwritten.
    item(bus).save(&b"{\"a\":1}".into()).unwrap();
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
fn a_reader_does_not_trust_the_marker_during_a_write() {
    let keyring = Keyring::start();
    let cache = cache(&keyring.bus);
    write(&cache, b"{\"a\":1}");
    cache.forget();
    let lock_file = marker(&keyring.bus).with_file_name("a cache.json.lockfile");
    fs::write(&lock_file, "1").unwrap();
    assert_eq!(read(&cache).as_deref(), Some(&b"{\"a\":1}"[..]));
    fs::remove_file(&lock_file).unwrap();
    // The marker has not changed since, and the reader does not trust it.
    item(&keyring.bus).save(&b"{\"a\":2}".into()).unwrap();
    assert_eq!(read(&cache).as_deref(), Some(&b"{\"a\":2}"[..]));
}

#[test]
fn writers_through_several_marker_paths_to_one_item_lose_no_write() {
    let keyring = Keyring::start();
    let paths: Vec<_> = (0..2).map(|n| keyring.bus.folder().join(format!("cache {n}"))).collect();
    thread::scope(|scope| {
        for path in paths.iter().chain(&paths) {
            scope.spawn(|| {
                let cache = TokenCache::new(persistence_at(&keyring.bus, path));
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
fn unusable_content_is_copied_to_another_item() {
    let keyring = Keyring::start();
    let persistence = persistence(&keyring.bus);
    item(&keyring.bus).save(&b"damaged".into()).unwrap();
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
fn at_most_three_copies_of_unusable_content_are_kept_and_removed_on_request() {
    let keyring = Keyring::start();
    let persistence = persistence(&keyring.bus);
    let cache = TokenCache::new(persistence.clone());
    let mut copies = std::collections::HashSet::new();
    for round in 0..9 {
        item(&keyring.bus).save(&format!("damaged {round}").into()).unwrap();
        let guard = CacheLock::new(persistence.path()).unwrap().acquire(&WaitOptions::default()).unwrap();
        copies.insert(persistence.set_aside(&guard).unwrap());
    }
    assert!((2..=3).contains(&copies.len()), "{copies:?}");
    assert_eq!(cache.wipe_copies(&WaitOptions::default()).unwrap(), copies.len());
    assert_eq!(cache.wipe_copies(&WaitOptions::default()).unwrap(), 0);
    for copy in copies {
        let account = copy.strip_prefix("Some Service/").unwrap();
        let kept = tokenkeep::storage::SecretServiceItem::new("Some Service", account).unwrap();
        assert!(kept.on_bus(keyring.bus.address()).load().unwrap().is_none(), "{copy}");
    }
    assert_eq!(item(&keyring.bus).load().unwrap().unwrap().expose(), b"damaged 8");
}

#[test]
fn a_store_that_a_log_out_empties_causes_one_warning() {
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
fn verification_also_checks_the_path_of_the_marker() {
    let keyring = Keyring::start();
    let path = keyring.bus.folder().join("a file");
    fs::write(&path, "").unwrap();
    let error = persistence_at(&keyring.bus, &path.join("cache")).verify().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnsafeFile, "{error}");
    persistence(&keyring.bus).verify().unwrap();
    assert!(!marker(&keyring.bus).exists());
}

/// A keystore that stores all items and loses the answer.
#[derive(Debug, Default)]
struct Forgetful;

impl Keystore for Forgetful {
    fn load(&self) -> Result<Option<Secret>> {
        Ok(None)
    }

    fn save(&self, _content: &Secret) -> Result<()> {
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
fn a_change_with_an_unknown_outcome_makes_every_process_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache");
    let keystore = KeystorePersistence::new(&path, Forgetful).unwrap().lock_directory(folder.path());
    keystore.prepare().unwrap();
    let cache = TokenCache::new(keystore.clone());
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

/// In a file, a truncated object may be a write in progress, for which readers wait. A keyring stores an item whole,
/// so a program stored exactly this.
#[test]
fn a_truncated_cache_in_the_keyring_is_read_as_it_is_and_at_once() {
    let keyring = Keyring::start();
    let cache = cache(&keyring.bus);
    write(&cache, b"{}");
    let piece = b"{\"Account\": {\"key\"";
    item(&keyring.bus).save(&piece.into()).unwrap();
    let lock = CacheLock::new(marker(&keyring.bus)).unwrap();
    let held = lock.acquire(&WaitOptions::default()).unwrap();
    cache.forget();
    assert_eq!(read(&cache).as_deref(), Some(&piece[..]), "without the lock, which somebody has");
    drop(held);
    assert_eq!(cache.begin_write().unwrap().content(), Some(&piece[..]));
}

/// gnome-keyring sends no signal for `SetSecret` and counts changes of an item in whole seconds. Only a read shows a
/// change.
#[test]
fn a_write_sees_content_that_was_just_set_without_lock_or_marker() {
    let keyring = Keyring::start();
    let (cache, theirs) = (cache(&keyring.bus), item(&keyring.bus));
    for round in 0..5 {
        write(&cache, format!("{{\"ours\":{round}}}").as_bytes());
        let content = format!("{{\"theirs\":{round}}}");
        theirs.save(&content.as_str().into()).unwrap();
        assert_eq!(cache.begin_write().unwrap().content(), Some(content.as_bytes()));
    }
}
