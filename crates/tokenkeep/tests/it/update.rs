//! `update` and `clear`: whole transactions in one call.

use std::fs;

use crate::support::{Place, open, read};

#[test]
fn update_passes_the_stored_content_and_stores_the_returned_content() {
    let place = Place::new();
    let cache = place.open();
    cache.update(|old| format!("first after {}", old.is_some())).unwrap();
    let elsewhere = open(&place.cache());
    elsewhere.update(|old| [old.unwrap(), b" and second"].concat()).unwrap();
    assert_eq!(read(&cache).unwrap(), "first after false and second");
}

#[test]
fn an_update_that_changes_nothing_does_not_touch_the_file() {
    let place = Place::new();
    let cache = place.open();
    let written = cache.update(|_| "content").unwrap();
    let before = fs::metadata(place.cache()).unwrap().modified().unwrap();
    let again = cache.update(|old| old.unwrap().to_vec()).unwrap();
    assert_eq!(again.generation, written.generation);
    assert_eq!(fs::metadata(place.cache()).unwrap().modified().unwrap(), before);
}

#[test]
fn clear_removes_the_content_and_returns_whether_there_was_any() {
    let place = Place::new();
    let cache = place.open();
    assert!(!cache.clear().unwrap());
    cache.update(|_| "content").unwrap();
    assert!(open(&place.cache()).clear().unwrap());
    assert_eq!(read(&cache), None);
}

#[test]
fn a_panic_in_an_update_writes_nothing_and_leaves_the_lock_free() {
    let place = Place::new();
    let cache = place.open();
    cache.update(|_| "content").unwrap();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        cache.update(|_| -> Vec<u8> { panic!("a mistake of the program") })
    }));
    assert!(panicked.is_err());
    cache.update(|old| old.unwrap().to_ascii_uppercase()).unwrap();
    assert_eq!(read(&cache).unwrap(), "CONTENT");
}
