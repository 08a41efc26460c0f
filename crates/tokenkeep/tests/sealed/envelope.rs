//! The key in a real Secret Service: a small item with the key, and a cache of any size in a file.

use std::process::{Child, Command, Stdio};

use tokenkeep::key_source::KeystoreItem;
use tokenkeep::{
    ErrorKind, Persistence,
    storage::{Keystore, SecretServiceItem},
};

use crate::keyring::Keyring;
use crate::support::{CONTENT, OTHER, Opened, Place, program};

const SERVICE: &str = "sealed test";

fn item(keyring: &Keyring) -> SecretServiceItem {
    SecretServiceItem::new(SERVICE, "key").unwrap().on_bus(keyring.bus.address())
}

fn opened(keyring: &Keyring, place: &Place, cache: &str) -> Opened {
    let source = KeystoreItem::new(item(keyring)).lock_directory(place.locks());
    Opened::new(&place.path().join(cache), source, "app/cache")
}

/// Returns the example program in the session of the keyring.
fn example(keyring: &Keyring, place: &Place, cache: &str, verb: &str) -> Command {
    let mut command = keyring.bus.command(program().to_str().unwrap());
    command.arg(place.path().join(cache)).args(["app/cache", &format!("item:{SERVICE}"), verb]);
    command
}

#[test]
fn the_keyring_holds_the_key_as_text_and_nothing_else() {
    let (keyring, place) = (Keyring::start(), Place::new());
    let first = opened(&keyring, &place, "cache.bin");
    first.file.verify().unwrap();
    first.write(CONTENT);
    let key = item(&keyring).load().unwrap().unwrap();
    assert!(key.len() == 44 && key.expose().is_ascii(), "{} bytes", key.len());
    // secret-tool finds it too, with which a user would copy it.
    let found = keyring.secret_tool(&["lookup", "service", SERVICE, "account", "key"], "");
    assert_eq!(found.stdout.trim_ascii(), key.expose());
    assert_eq!(opened(&keyring, &place, "cache.bin").read().unwrap().as_deref(), Some(CONTENT));
}

#[test]
fn processes_that_create_the_key_at_the_same_time_agree_on_it() {
    const PROCESSES: usize = 6;
    let keyring = Keyring::start();
    for round in 0..3 {
        let place = Place::new();
        item(&keyring).delete().unwrap();
        // Different caches, so that only the key's lock separates them.
        let start = |number: usize| -> Child {
            let mut command = example(&keyring, &place, &format!("cache-{number}"), "write");
            command.stdin(Stdio::piped()).spawn().unwrap()
        };
        let mut children: Vec<_> = (0..PROCESSES).map(start).collect();
        for child in &mut children {
            // All wait for their input; closing it starts them.
            drop(child.stdin.take());
        }
        for mut child in children {
            assert!(child.wait().unwrap().success(), "round {round}");
        }
        keyring.by_hand(async |hand| {
            let found = hand.search(&[("service", SERVICE), ("account", "key")]).await;
            assert_eq!(found.len(), 1, "round {round}");
        });
        for number in 0..PROCESSES {
            let cache = opened(&keyring, &place, &format!("cache-{number}"));
            cache.write(CONTENT);
            let mut command = example(&keyring, &place, &format!("cache-{number}"), "read");
            let output = command.output().unwrap();
            assert_eq!(output.stdout, CONTENT.as_bytes(), "round {round}: {output:?}");
        }
    }
}

#[test]
fn a_cache_too_large_for_an_item_is_stored() {
    let (keyring, place) = (Keyring::start(), Place::new());
    let mut content = vec![b'x'; 64 << 20];
    content.push(b'.');
    assert_eq!(item(&keyring).save(&content.as_slice().into()).unwrap_err().kind(), ErrorKind::InvalidInput);
    // Without optimisation, encryption takes a second for a few megabytes.
    if std::env::var_os("TOKENKEEP_TORTURE").is_none() {
        content.drain(..56 << 20);
    }
    let began = std::time::Instant::now();
    opened(&keyring, &place, "cache.bin").cache.begin_write().unwrap().commit(content.as_slice()).unwrap();
    let written = began.elapsed();
    let read = opened(&keyring, &place, "cache.bin").cache.read().unwrap().unwrap();
    assert!(read.expose() == content, "another content came back");
    let (megabytes, took) = (content.len() >> 20, began.elapsed());
    println!("{megabytes} MB: written in {written:?}, read in {:?}", took - written);
    assert_eq!(item(&keyring).load().unwrap().unwrap().len(), 44);
}

#[test]
fn a_killed_keyring_is_a_typed_error_and_the_file_stays_unchanged() {
    let (keyring, place) = (Keyring::start(), Place::new());
    let known = opened(&keyring, &place, "cache.bin");
    known.write(CONTENT);
    let before = std::fs::read(place.cache()).unwrap();
    keyring.kill();
    // A process with the key continues to read and write; a process without it gets the reason.
    known.cache.forget();
    assert_eq!(known.read().unwrap().as_deref(), Some(CONTENT));
    let other = opened(&keyring, &place, "cache.bin");
    assert_eq!(other.read().unwrap_err().kind(), ErrorKind::StoreUnavailable);
    assert_eq!(other.cache.begin_write().unwrap_err().kind(), ErrorKind::StoreUnavailable);
    // A new file would need its key in the keyring, for the next process.
    let new = opened(&keyring, &place, "new.bin");
    assert_eq!(
        new.cache.begin_write().unwrap().commit(OTHER).unwrap_err().kind(),
        ErrorKind::StoreUnavailable
    );
    assert!(!place.path().join("new.bin").exists());
    assert_eq!(std::fs::read(place.cache()).unwrap(), before);
    keyring.restart();
    assert_eq!(other.read().unwrap().as_deref(), Some(CONTENT));
    new.write(OTHER);
    assert_eq!(opened(&keyring, &place, "new.bin").read().unwrap().as_deref(), Some(OTHER));
}

#[test]
fn a_kill_of_the_keyring_while_it_stores_the_key_leaves_no_file_without_a_key() {
    let keyring = Keyring::start();
    // Milliseconds around the time that it takes to store an item.
    for delay in [0_u64, 1, 2, 3, 4, 5, 6, 8, 10, 16, 32] {
        let place = Place::new();
        item(&keyring).delete().unwrap();
        let cache = opened(&keyring, &place, "cache.bin");
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(std::time::Duration::from_millis(delay));
                keyring.kill();
            });
            match cache.cache.begin_write().unwrap().commit(CONTENT) {
                Ok(_) => assert!(place.cache().exists()),
                Err(error) => {
                    use ErrorKind::{NotVerified, StoreFailed, StoreTimeout, StoreUnavailable};
                    let kinds = [NotVerified, StoreFailed, StoreTimeout, StoreUnavailable];
                    assert!(kinds.contains(&error.kind()), "{error}");
                    assert!(!place.cache().exists(), "a file was written without its key being kept");
                }
            }
        });
        keyring.restart();
        if place.cache().exists() {
            assert_eq!(opened(&keyring, &place, "cache.bin").read().unwrap().as_deref(), Some(CONTENT));
        }
        opened(&keyring, &place, "cache.bin").write(OTHER);
    }
}
