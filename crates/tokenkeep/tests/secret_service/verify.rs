//! Verification tells the truth, leaves nothing behind and stands the company of others.

use std::sync::Barrier;
use std::thread;

use tokenkeep::Keystore;

use crate::keyring::{Keyring, SCHEMA};
use crate::{ATTRIBUTES, item};

const PROBES: [(&str, &str); 2] = [("xdg:schema", SCHEMA), ("service", "tokenkeep-probe")];

fn probes(keyring: &Keyring) -> usize {
    keyring.by_hand(async |hand| hand.search(&PROBES).await.len())
}

#[test]
fn a_working_keyring_is_verified_and_left_as_it_was() {
    let keyring = Keyring::start();
    let item = item(&keyring.bus);
    item.verify().unwrap();
    assert_eq!(probes(&keyring), 0);
    assert_eq!(item.load().unwrap(), None);
    assert!(item.survives_reboot());
}

#[test]
fn an_item_that_reads_back_is_proof_enough() {
    let keyring = Keyring::start();
    let item = item(&keyring.bus);
    item.save(b"content").unwrap();
    // A probe would have to be written into the default collection, which has no room for it now.
    keyring.by_hand(async |hand| {
        hand.create("/org/freedesktop/secrets/collection/session", &ATTRIBUTES, b"content").await;
        hand.lock(&hand.default_collection().await).await;
    });
    item.verify().unwrap();
}

#[test]
fn eight_at_a_time_never_fail_and_leave_nothing() {
    let keyring = Keyring::start();
    for _ in 0..3 {
        let start = Barrier::new(8);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let item = item(&keyring.bus);
                    start.wait();
                    item.verify().unwrap();
                });
            }
        });
    }
    assert_eq!(probes(&keyring), 0);
}

#[test]
fn a_default_collection_that_ends_with_the_log_in_is_told() {
    let keyring = Keyring::start();
    keyring.by_hand(async |hand| {
        hand.set_default_collection("/org/freedesktop/secrets/collection/session").await;
    });
    let item = item(&keyring.bus);
    item.verify().unwrap();
    assert!(!item.survives_reboot());
    item.save(b"content").unwrap();
    assert!(!item.survives_reboot());
    assert_eq!(probes(&keyring), 0);
}
