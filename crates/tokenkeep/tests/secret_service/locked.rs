//! A locked keyring is a typed error, at once and without a prompt.

use std::time::Duration;

use tokenkeep::{ErrorKind, storage::Keystore};

use crate::keyring::Keyring;
use crate::{ATTRIBUTES, assert_kind, failure, item};

/// The services answer within some milliseconds; a prompt would wait for a person.
const AT_ONCE: Duration = Duration::from_millis(1000);

fn lock(keyring: &Keyring) {
    keyring.by_hand(async |hand| hand.lock(&hand.default_collection().await).await);
}

#[test]
fn an_item_in_a_locked_collection_is_locked_not_absent() {
    let keyring = Keyring::start();
    let item = item(&keyring.bus);
    item.save(&b"content".into()).unwrap();
    lock(&keyring);
    for (error, time) in [
        failure(|| item.load()),
        failure(|| item.save(&b"other".into())),
        failure(|| item.delete()),
        failure(|| item.verify()),
    ] {
        assert_kind(&error, ErrorKind::StoreLocked, "Unlock the keyring");
        assert!(time.naps < AT_ONCE, "{time:?}");
    }
    // After the unlock, nothing has changed.
    keyring.restart();
    assert_eq!(item.load().unwrap().unwrap().expose(), b"content");
}

#[test]
fn a_locked_collection_without_the_item_may_hide_it_and_is_locked_too() {
    let keyring = Keyring::start();
    lock(&keyring);
    let item = item(&keyring.bus);
    for (error, time) in
        [failure(|| item.load()), failure(|| item.save(&b"x".into())), failure(|| item.delete())]
    {
        assert_kind(&error, ErrorKind::StoreLocked, "prompts are not allowed");
        assert!(time.naps < AT_ONCE, "{time:?}");
    }
}

#[test]
fn an_unlocked_item_is_used_although_another_is_locked() {
    let keyring = Keyring::start();
    keyring.by_hand(async |hand| {
        let login = hand.default_collection().await;
        hand.create(login.as_str(), &ATTRIBUTES, b"locked away").await;
        hand.create("/org/freedesktop/secrets/collection/session", &ATTRIBUTES, b"open").await;
    });
    lock(&keyring);
    assert_eq!(item(&keyring.bus).load().unwrap().unwrap().expose(), b"open");
}
