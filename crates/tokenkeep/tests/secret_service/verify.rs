//! Verification gives the right answer, leaves nothing in the keyring, and runs in several processes at once.

use std::sync::Barrier;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use tokenkeep::storage::Keystore;

use crate::keyring::{Keyring, SCHEMA};
use crate::{ATTRIBUTES, item};

const PROBES: [(&str, &str); 2] = [("xdg:schema", SCHEMA), ("service", "tokenkeep-probe")];

fn probes(keyring: &Keyring) -> usize {
    keyring.by_hand(async |hand| hand.search(&PROBES).await.len())
}

#[test]
fn verification_of_a_working_keyring_succeeds_and_leaves_no_trace() {
    let keyring = Keyring::start();
    let item = item(&keyring.bus);
    item.verify().unwrap();
    assert_eq!(probes(&keyring), 0);
    assert_eq!(item.load().unwrap(), None);
    assert!(item.survives_reboot());
}

#[test]
fn an_item_that_can_be_read_is_sufficient_verification() {
    let keyring = Keyring::start();
    let item = item(&keyring.bus);
    item.save(&b"content".into()).unwrap();
    // A probe would go into the default collection, which has no room for it now.
    keyring.by_hand(async |hand| {
        hand.create("/org/freedesktop/secrets/collection/session", &ATTRIBUTES, b"content").await;
        hand.lock(&hand.default_collection().await).await;
    });
    item.verify().unwrap();
}

#[test]
fn eight_verifications_at_a_time_never_fail_and_leave_nothing() {
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
fn a_default_collection_that_ends_at_log_out_causes_a_warning() {
    let keyring = Keyring::start();
    keyring.by_hand(async |hand| {
        hand.set_default_collection("/org/freedesktop/secrets/collection/session").await;
    });
    let item = item(&keyring.bus);
    item.verify().unwrap();
    assert!(!item.survives_reboot());
    item.save(&b"content".into()).unwrap();
    assert!(!item.survives_reboot());
    assert_eq!(probes(&keyring), 0);
}

#[test]
fn probes_of_killed_processes_are_removed_and_no_others() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let mut file =
        "[keyring]\ndisplay-name=beside\nctime=1\nmtime=1\nlock-on-idle=false\nlock-after=false\n".to_owned();
    for (number, service, created) in [
        (1, "tokenkeep-probe", now - 3600),
        (2, "tokenkeep-probe", now + 3600),
        (3, "tokenkeep-probe", now),
        (4, "another service", now - 3600),
    ] {
        file += &format!(
            "\n[{number}]\nitem-type=0\ndisplay-name=x\nsecret=x\nmtime={created}\nctime={created}\n"
        );
        let attributes = [("xdg:schema", SCHEMA), ("service", service), ("account", &number.to_string())];
        for (n, (name, value)) in attributes.into_iter().enumerate() {
            file += &format!("\n[{number}:attribute{n}]\nname={name}\ntype=string\nvalue={value}\n");
        }
    }
    let keyring = Keyring::start_beside(&file);
    keyring.by_hand(async |hand| hand.unlock("/org/freedesktop/secrets/collection/beside").await);
    assert_eq!(probes(&keyring), 3);
    item(&keyring.bus).verify().unwrap();
    let (probes, others) = keyring.by_hand(async |hand| {
        let probes = hand.search(&PROBES).await;
        let others = hand.search(&[("service", "another service")]).await;
        (hand.attributes(&probes[0]).await["account"].clone(), probes.len() + others.len())
    });
    assert_eq!((probes.as_str(), others), ("3", 2));
}
