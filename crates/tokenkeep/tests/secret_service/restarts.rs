//! The keyring or the bus ends between two calls, with and without a restart.

use tokenkeep::{ErrorKind, storage::Keystore};

use crate::keyring::Keyring;
use crate::{assert_kind, failure, item};

#[test]
fn a_restart_of_the_keyring_causes_no_error() {
    let keyring = Keyring::start();
    let item = item(&keyring.bus);
    item.save(&b"one".into()).unwrap();
    keyring.restart();
    assert_eq!(item.load().unwrap().unwrap().expose(), b"one");
    keyring.restart();
    item.save(&b"two".into()).unwrap();
    keyring.restart();
    assert!(item.delete().unwrap());
    keyring.restart();
    assert_eq!(item.load().unwrap(), None);
}

#[test]
fn a_restart_of_the_bus_causes_no_error() {
    let mut keyring = Keyring::start();
    let item = item(&keyring.bus);
    item.save(&b"one".into()).unwrap();
    keyring.bus.restart();
    keyring.restart();
    assert_eq!(item.load().unwrap().unwrap().expose(), b"one");
    keyring.bus.restart();
    keyring.restart();
    item.save(&b"two".into()).unwrap();
    assert_eq!(item.load().unwrap().unwrap().expose(), b"two");
}

#[test]
fn a_keyring_that_does_not_restart_is_unavailable() {
    let keyring = Keyring::start();
    let item = item(&keyring.bus);
    item.save(&b"one".into()).unwrap();
    keyring.kill();
    let (error, time) = failure(|| item.load());
    assert_kind(&error, ErrorKind::StoreUnavailable, "no Secret Service");
    assert!(time.naps.as_millis() < 1000, "{time:?}");
}

#[test]
fn a_bus_that_does_not_restart_is_unavailable() {
    let mut keyring = Keyring::start();
    let item = item(&keyring.bus);
    item.save(&b"one".into()).unwrap();
    keyring.bus.kill();
    let (error, time) = failure(|| item.save(&b"two".into()));
    assert_kind(&error, ErrorKind::StoreUnavailable, "nobody listens");
    assert!(time.naps.as_millis() < 1000, "{time:?}");
}
