//! The keyring or the bus goes away between calls, and comes back or does not.

use tokenkeep::{ErrorKind, storage::Keystore};

use crate::keyring::Keyring;
use crate::{assert_kind, failure, item};

#[test]
fn a_restart_of_the_keyring_goes_unnoticed() {
    let keyring = Keyring::start();
    let item = item(&keyring.bus);
    item.save(b"one").unwrap();
    keyring.restart();
    assert_eq!(item.load().unwrap().unwrap().expose(), b"one");
    keyring.restart();
    item.save(b"two").unwrap();
    keyring.restart();
    assert!(item.delete().unwrap());
    keyring.restart();
    assert_eq!(item.load().unwrap(), None);
}

#[test]
fn a_restart_of_the_bus_goes_unnoticed() {
    let mut keyring = Keyring::start();
    let item = item(&keyring.bus);
    item.save(b"one").unwrap();
    keyring.bus.restart();
    keyring.restart();
    assert_eq!(item.load().unwrap().unwrap().expose(), b"one");
    keyring.bus.restart();
    keyring.restart();
    item.save(b"two").unwrap();
    assert_eq!(item.load().unwrap().unwrap().expose(), b"two");
}

#[test]
fn a_keyring_that_does_not_come_back_is_unavailable() {
    let keyring = Keyring::start();
    let item = item(&keyring.bus);
    item.save(b"one").unwrap();
    keyring.kill();
    let (error, time) = failure(|| item.load());
    assert_kind(&error, ErrorKind::StoreUnavailable, "no Secret Service");
    assert!(time.as_millis() < 1000, "{time:?}");
}

#[test]
fn a_bus_that_does_not_come_back_is_unavailable() {
    let mut keyring = Keyring::start();
    let item = item(&keyring.bus);
    item.save(b"one").unwrap();
    keyring.bus.kill();
    let (error, time) = failure(|| item.save(b"two"));
    assert_kind(&error, ErrorKind::StoreUnavailable, "nobody listens");
    assert!(time.as_millis() < 1000, "{time:?}");
}
