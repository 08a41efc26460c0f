//! Keys in a keystore: one small item, created once, for a cache of any size.

use std::fs;
use std::sync::Barrier;

use tokenkeep::key_source::KeystoreItem;
use tokenkeep::{ErrorKind, Persistence, Protection};

use crate::support::{CONTENT, FileKeystore, OTHER, Opened, Place};

fn opened(place: &Place, cache: &str) -> Opened {
    let item = FileKeystore(place.path().join("item"));
    Opened::new(&place.path().join(cache), KeystoreItem::new(item).lock_directory(place.locks()), "app/cache")
}

#[test]
fn the_key_is_created_once_and_stored_as_text() {
    let place = Place::new();
    let first = opened(&place, "cache.bin");
    first.file.verify().unwrap();
    first.write(CONTENT);
    assert_eq!(first.cache.info().protection, Protection::OsUser);
    let item = fs::read_to_string(place.path().join("item")).unwrap();
    assert!(item.len() == 44 && item.is_ascii(), "{} bytes", item.len());
    let second = opened(&place, "cache.bin");
    assert_eq!(second.read().unwrap().as_deref(), Some(CONTENT));
    second.write(OTHER);
    assert_eq!(fs::read_to_string(place.path().join("item")).unwrap(), item);
    assert_eq!(first.read().unwrap().as_deref(), Some(OTHER));
}

#[test]
fn programs_that_create_the_key_at_the_same_time_agree_on_it() {
    for _ in 0..10 {
        let place = Place::new();
        let barrier = Barrier::new(8);
        std::thread::scope(|scope| {
            for number in 0..8 {
                let (place, barrier) = (&place, &barrier);
                scope.spawn(move || {
                    // Different caches, so that only the item's lock separates them.
                    let opened = opened(place, &format!("cache-{number}"));
                    barrier.wait();
                    opened.write(CONTENT);
                });
            }
        });
        for number in 0..8 {
            let again = opened(&place, &format!("cache-{number}"));
            assert_eq!(again.read().unwrap().as_deref(), Some(CONTENT), "{number}");
        }
    }
}

#[test]
fn a_removed_item_is_a_missing_key_and_a_new_file_gets_a_new_one() {
    let place = Place::new();
    opened(&place, "cache.bin").write(CONTENT);
    fs::remove_file(place.path().join("item")).unwrap();
    let other = opened(&place, "cache.bin");
    assert_eq!(other.read().unwrap_err().kind(), ErrorKind::MissingKey);
    assert_eq!(other.cache.begin_write().unwrap_err().kind(), ErrorKind::MissingKey);
    assert!(!place.path().join("item").exists());
    fs::remove_file(place.cache()).unwrap();
    other.write(OTHER);
    assert_eq!(opened(&place, "cache.bin").read().unwrap().as_deref(), Some(OTHER));
}

#[test]
fn an_item_with_other_content_is_never_overwritten() {
    let place = Place::new();
    fs::write(place.path().join("item"), CONTENT).unwrap();
    let opened = opened(&place, "cache.bin");
    assert_eq!(opened.file.verify().unwrap_err().kind(), ErrorKind::WrongKey);
    let error = opened.cache.begin_write().unwrap().commit(OTHER).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongKey);
    assert!(!format!("{error:?}").contains("somebody"));
    assert_eq!(fs::read_to_string(place.path().join("item")).unwrap(), CONTENT);
}

#[test]
fn an_empty_item_is_a_missing_key_and_gets_a_new_one() {
    let place = Place::new();
    let item = place.path().join("item");
    fs::write(&item, "").unwrap();
    let first = opened(&place, "cache.bin");
    first.file.verify().unwrap();
    first.write(CONTENT);
    assert_eq!(fs::read(&item).unwrap().len(), 44);
    assert_eq!(opened(&place, "cache.bin").read().unwrap().as_deref(), Some(CONTENT));
    // An existing file is different: a new key would not open it.
    fs::write(&item, "").unwrap();
    let other = opened(&place, "cache.bin");
    assert_eq!(other.read().unwrap_err().kind(), ErrorKind::MissingKey);
    assert_eq!(other.cache.begin_write().unwrap_err().kind(), ErrorKind::MissingKey);
    assert_eq!(fs::read(&item).unwrap(), b"");
}

#[test]
fn a_running_program_notices_a_replaced_item() {
    let place = Place::new();
    let running = opened(&place, "cache.bin");
    running.write(CONTENT);
    // A sign-out removes the file and the item; another process signs in.
    fs::remove_file(place.path().join("item")).unwrap();
    fs::remove_file(place.cache()).unwrap();
    opened(&place, "cache.bin").write(OTHER);
    assert_eq!(running.read().unwrap().as_deref(), Some(OTHER));
    running.write(CONTENT);
    assert_eq!(opened(&place, "cache.bin").read().unwrap().as_deref(), Some(CONTENT));
}
