//! The remembered path of the item saves messages and never decides.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tokenkeep::ErrorKind;
use tokenkeep::storage::Keystore;

use crate::keyring::Keyring;
use crate::{ATTRIBUTES, assert_kind, item};

const LOGIN: &str = "/org/freedesktop/secrets/collection/login";

#[test]
fn an_item_removed_and_created_again_is_read_and_written_at_its_new_path() {
    let keyring = Keyring::start();
    let item = item(&keyring.bus);
    item.save(&b"old".into()).unwrap();
    assert_eq!(item.load().unwrap().unwrap().expose(), b"old");
    keyring.by_hand(async |hand| {
        let old = hand.search(&ATTRIBUTES).await.remove(0);
        hand.create(LOGIN, &[("somebody", "else")], b"in between").await;
        hand.delete(&old).await;
        hand.create(LOGIN, &ATTRIBUTES, b"new").await;
    });
    item.save(&b"newer".into()).unwrap();
    assert_eq!(item.load().unwrap().unwrap().expose(), b"newer");
    keyring.by_hand(async |hand| {
        let old = hand.search(&ATTRIBUTES).await.remove(0);
        hand.delete(&old).await;
    });
    assert!(item.load().unwrap().is_none());
    assert_eq!(keyring.by_hand(async |hand| hand.search(&ATTRIBUTES).await.len()), 0);
}

#[test]
fn a_second_item_that_appears_is_noticed_by_the_next_reader() {
    let keyring = Keyring::start();
    let item = item(&keyring.bus);
    item.save(&b"one".into()).unwrap();
    item.load().unwrap();
    keyring.by_hand(async |hand| hand.create(LOGIN, &ATTRIBUTES, b"two").await);
    assert_kind(&item.load().unwrap_err(), ErrorKind::Ambiguous, "2 items");
    assert_kind(&item.save(&b"three".into()).unwrap_err(), ErrorKind::Ambiguous, "2 items");
}

#[test]
fn a_keyring_locked_after_the_read_is_locked_for_the_write() {
    let keyring = Keyring::start();
    let item = item(&keyring.bus);
    item.save(&b"one".into()).unwrap();
    item.load().unwrap();
    keyring.by_hand(async |hand| {
        let collection = hand.default_collection().await;
        hand.lock(&collection).await;
    });
    assert_eq!(item.save(&b"two".into()).unwrap_err().kind(), ErrorKind::StoreLocked);
    assert_eq!(item.load().unwrap_err().kind(), ErrorKind::StoreLocked);
}

#[test]
fn a_read_and_a_write_make_three_calls_to_the_service() {
    let keyring = Keyring::start();
    let item = item(&keyring.bus);
    item.save(&b"one".into()).unwrap();
    item.load().unwrap();

    let mut monitor = keyring.bus.command("dbus-monitor");
    monitor.arg("type='method_call',path_namespace='/org/freedesktop/secrets'");
    monitor.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut monitor = monitor.spawn().expect("dbus-monitor (Debian: dbus-bin)");
    let mut calls = BufReader::new(monitor.stdout.take().unwrap())
        .lines()
        .map_while(Result::ok)
        .filter(|line| line.starts_with("method call"))
        .filter_map(|line| line.split("member=").nth(1).map(str::to_owned));
    // The monitor sees calls from the time at which it is ready.
    let began = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..200 {
                keyring.by_hand(async |hand| hand.default_collection().await);
                if began.load(Ordering::SeqCst) {
                    return;
                }
                thread::sleep(Duration::from_millis(50));
            }
        });
        assert_eq!(calls.next().as_deref(), Some("ReadAlias"), "the monitor sees nothing");
        began.store(true, Ordering::SeqCst);
    });
    item.load().unwrap();
    item.save(&b"two".into()).unwrap();
    keyring.by_hand(async |hand| hand.lock(&hand.default_collection().await).await);
    let seen: Vec<_> =
        calls.skip_while(|call| call == "ReadAlias").take_while(|call| call != "ReadAlias").collect();
    monitor.kill().unwrap();
    monitor.wait().unwrap();
    // The search comes last, because it confirms the content that was read.
    assert_eq!(seen, ["GetSecret", "SearchItems", "SetSecret"]);
}
