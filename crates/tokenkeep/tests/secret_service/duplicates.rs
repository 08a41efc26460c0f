//! Several items with the attributes of ours.

use tokenkeep::{ErrorKind, storage::Keystore};

use crate::keyring::Keyring;
use crate::{ATTRIBUTES, assert_kind, item};

const LOGIN: &str = "/org/freedesktop/secrets/collection/login";
const SESSION: &str = "/org/freedesktop/secrets/collection/session";

#[test]
fn items_with_different_content_are_an_error_that_names_them_without_their_content() {
    let keyring = Keyring::start();
    let paths = keyring.by_hand(async |hand| {
        [hand.create(LOGIN, &ATTRIBUTES, b"one secret").await, hand.create(LOGIN, &ATTRIBUTES, b"two").await]
    });
    let item = item(&keyring.bus);
    for error in [item.load().unwrap_err(), item.save(&b"three".into()).unwrap_err()] {
        assert_kind(&error, ErrorKind::Ambiguous, paths[0].as_str());
        assert_kind(&error, ErrorKind::Ambiguous, paths[1].as_str());
        assert!(!format!("{error:?}").contains("one secret"), "{error:?}");
    }
    assert_eq!(keyring.by_hand(async |hand| hand.search(&ATTRIBUTES).await.len()), 2);
}

#[test]
fn the_error_tells_items_apart_by_label_attributes_and_time() {
    let keyring = Keyring::start();
    let richer = [ATTRIBUTES[0], ATTRIBUTES[1], ATTRIBUTES[2], ("username", "somebody")];
    keyring.by_hand(async |hand| {
        hand.create(LOGIN, &ATTRIBUTES, b"one").await;
        hand.create(LOGIN, &richer, b"two").await;
    });
    let item = item(&keyring.bus);
    for error in
        [item.load().unwrap_err(), item.save(&b"three".into()).unwrap_err(), item.delete().unwrap_err()]
    {
        for words in ["2 items", "\"by hand\"", "username=\"somebody\"", "changed 0 days 0 min ago"] {
            assert_kind(&error, ErrorKind::Ambiguous, words);
        }
        assert_eq!(error.candidates().len(), 2);
    }
    assert_eq!(keyring.by_hand(async |hand| hand.search(&ATTRIBUTES).await.len()), 2);
}

#[test]
fn items_with_equal_content_and_different_attributes_are_read_written_and_removed_together() {
    let keyring = Keyring::start();
    let richer = [ATTRIBUTES[0], ATTRIBUTES[1], ATTRIBUTES[2], ("username", "somebody")];
    keyring.by_hand(async |hand| {
        hand.create(LOGIN, &ATTRIBUTES, b"same").await;
        hand.create(LOGIN, &richer, b"same").await;
    });
    let item = item(&keyring.bus);
    assert_eq!(item.load().unwrap().unwrap().expose(), b"same");
    item.verify().unwrap();
    item.save(&b"new".into()).unwrap();
    assert_eq!(item.load().unwrap().unwrap().expose(), b"new");
    // A program that searches with more attributes finds its item still, with the new content.
    let found = keyring.by_hand(async |hand| {
        let mut found = hand.search(&richer).await;
        (hand.secret(&found.remove(0)).await, hand.search(&ATTRIBUTES).await.len())
    });
    assert_eq!(found, (b"new".to_vec(), 2));
    assert!(item.delete().unwrap());
    assert_eq!(keyring.by_hand(async |hand| hand.search(&ATTRIBUTES).await.len()), 0);
}

#[test]
fn two_equal_items_are_read_and_a_write_leaves_one() {
    let keyring = Keyring::start();
    keyring.by_hand(async |hand| {
        hand.create(LOGIN, &ATTRIBUTES, b"same").await;
        hand.create(SESSION, &ATTRIBUTES, b"same").await;
    });
    let item = item(&keyring.bus);
    assert_eq!(item.load().unwrap().unwrap().expose(), b"same");
    item.save(&b"new".into()).unwrap();
    assert_eq!(keyring.by_hand(async |hand| hand.search(&ATTRIBUTES).await.len()), 1);
    assert_eq!(item.load().unwrap().unwrap().expose(), b"new");
}

#[test]
fn delete_removes_all_items_with_equal_attributes() {
    let keyring = Keyring::start();
    keyring.by_hand(async |hand| {
        hand.create(LOGIN, &ATTRIBUTES, b"one").await;
        hand.create(LOGIN, &ATTRIBUTES, b"two").await;
    });
    assert!(item(&keyring.bus).delete().unwrap());
    assert_eq!(keyring.by_hand(async |hand| hand.search(&ATTRIBUTES).await.len()), 0);
}
