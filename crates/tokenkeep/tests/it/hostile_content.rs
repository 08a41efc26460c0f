//! Commits a client's change to content that is truncated, nested, duplicated or enormous, through the whole
//! transaction.

use std::fs;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokenkeep::schema::{Change, is_msal_cache};
use tokenkeep::{
    TokenCache,
    event::Event,
    options::{OnDamage, WaitOptions},
    storage::FilePersistence,
};

use crate::support::Place;
use crate::support::sibling::make_old;

/// Everything that is difficult for parsers: escapes, multi-byte characters, numbers, nesting, white space.
const CACHE: &str = r#"{"Account": {"a": {"home_account_id": "a", "username": "Zo\u00eb \"\\", "name": "東京 🔑",
"n": [-1.5e+3, 0, true, null, {}]}}, "Unknown": {"deep": [[["x"]]]}}"#;
const OURS: &str = r#"{"Account":{"b":{"home_account_id":"b","username":"bob"}}}"#;

/// Returns a cache on the file at the path, and the copies that it moved aside.
fn open(place: &Place) -> (TokenCache, Arc<Mutex<Vec<String>>>) {
    let copies: Arc<Mutex<Vec<String>>> = Arc::default();
    let heard = Arc::clone(&copies);
    let listen = move |event: &Event| {
        if let Event::SetAside { copy, .. } = event {
            heard.lock().unwrap().push(copy.clone());
        }
    };
    let persistence =
        FilePersistence::new(place.cache()).unwrap().durability(tokenkeep::options::Durability::Cached);
    let wait = WaitOptions::default();
    (TokenCache::with_options(persistence, wait, OnDamage::SetAside, listen), copies)
}

/// Signs an account in and returns the stored content.
fn sign_in(cache: &TokenCache) -> Value {
    let access = cache.begin_write().unwrap();
    let saved = access.commit_change(&Change::additions(OURS.as_bytes())).unwrap();
    serde_json::from_slice(saved.content.unwrap().expose()).unwrap()
}

#[test]
fn a_cache_truncated_after_any_byte_is_copied_and_never_taken_for_a_smaller_cache() {
    let place = Place::in_memory();
    let (cache, copies) = open(&place);
    let whole = CACHE.as_bytes();
    for end in 0..whole.len() {
        let cut = &whole[..end];
        fs::write(place.cache(), cut).unwrap();
        // Fresh content would be taken for a write in progress.
        make_old(&place.cache(), Duration::from_secs(1));
        assert_eq!(cache.read().unwrap().unwrap().expose(), cut, "cut at {end}");
        assert!(!is_msal_cache(cut), "cut at {end}");
        let stored = sign_in(&cache);
        assert_eq!(stored["Account"].as_object().unwrap().len(), 1, "cut at {end}");
        match (&copies.lock().unwrap().drain(..).collect::<Vec<_>>()[..], end) {
            // Empty content is not damaged and needs no copy.
            ([], 0) => {}
            ([copy], 1..) => {
                assert_eq!(fs::read(copy).unwrap(), cut, "cut at {end}");
                fs::remove_file(copy).unwrap();
            }
            (copies, _) => panic!("cut at {end}: {copies:?}"),
        }
    }
    fs::write(place.cache(), whole).unwrap();
    let accounts = |cache: &Value| cache["Account"].as_object().unwrap().len();
    let before = accounts(&serde_json::from_slice(whole).unwrap());
    assert_eq!(accounts(&sign_in(&cache)), before + 1);
    assert!(copies.lock().unwrap().is_empty());
}

#[test]
fn the_last_of_two_equal_keys_counts_as_in_every_client() {
    for text in [
        r#"{"Account":{"a":{"username":"first"},"a":{"username":"last"}}}"#,
        r#"{"Account":{"a":{"username":"first"}},"Account":{"a":{"username":"last"}}}"#,
    ] {
        let place = Place::new();
        fs::write(place.cache(), text).unwrap();
        let (cache, copies) = open(&place);
        let stored = sign_in(&cache);
        assert_eq!(stored["Account"]["a"]["username"], "last", "{text}");
        assert_eq!(stored["Account"]["b"]["username"], "bob", "{text}");
        assert!(copies.lock().unwrap().is_empty());
    }
}

#[test]
fn entries_nested_a_hundred_thousand_deep_are_kept_as_they_are() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let place = Place::new();
    fs::write(place.cache(), format!("{{\"Unknown\":{{\"deep\":{deep}}}}}")).unwrap();
    let (cache, copies) = open(&place);
    let access = cache.begin_write().unwrap();
    let saved = access.commit_change(&Change::additions(OURS.as_bytes())).unwrap();
    let text = String::from_utf8(saved.content.unwrap().expose().to_vec()).unwrap();
    assert!(text.contains(&deep) && text.contains("bob"));
    assert!(copies.lock().unwrap().is_empty());
}

#[test]
fn a_cache_of_more_than_sixty_four_megabytes_takes_another_sign_in() {
    let place = Place::in_memory();
    let padding = "x".repeat(64 << 20);
    fs::write(place.cache(), format!("{{\"Account\":{{\"a\":{{\"padding\":\"{padding}\"}}}}}}")).unwrap();
    let (cache, copies) = open(&place);
    let stored = sign_in(&cache);
    assert_eq!(stored["Account"]["a"]["padding"].as_str().map(str::len), Some(64 << 20));
    assert_eq!(stored["Account"]["b"]["username"], "bob");
    assert!(copies.lock().unwrap().is_empty());
}
