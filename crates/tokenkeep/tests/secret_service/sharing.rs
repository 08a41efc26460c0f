//! One item with many threads and connections.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use tokenkeep::storage::Keystore;

use crate::item;
use crate::keyring::Keyring;

#[test]
fn threads_share_one_item_and_never_see_a_mixture() {
    let keyring = Keyring::start();
    let item = item(&keyring.bus);
    item.save(&[b'a'; 5000].into()).unwrap();
    let start = Barrier::new(8);
    thread::scope(|scope| {
        let (item, start) = (&item, &start);
        for letter in b'a'..b'e' {
            scope.spawn(move || {
                start.wait();
                (0..10).for_each(|_| item.save(&[letter; 5000].into()).unwrap());
            });
            scope.spawn(|| {
                start.wait();
                for _ in 0..10 {
                    let content = item.load().unwrap().unwrap();
                    let first = content.expose()[0];
                    assert!(content.len() == 5000 && content.expose().iter().all(|byte| *byte == first));
                }
            });
        }
    });
}

#[test]
fn writers_that_create_the_item_at_the_same_moment_leave_one() {
    let keyring = Keyring::start();
    for _ in 0..5 {
        let items: Vec<_> = (0..2).map(|_| item(&keyring.bus)).collect();
        let start = Barrier::new(items.len());
        thread::scope(|scope| {
            for item in &items {
                scope.spawn(|| {
                    // Connected before the race begins.
                    item.load().unwrap();
                    start.wait();
                    item.save(&b"same".into()).unwrap();
                });
            }
        });
        assert_eq!(items[0].load().unwrap().unwrap().expose(), b"same");
        assert!(items[0].delete().unwrap());
    }
}

#[test]
fn connections_are_closed_with_their_item() {
    let keyring = Keyring::start();
    let connections = || keyring.by_hand(async |hand| hand.connections().await);
    let before = connections();
    for _ in 0..20 {
        item(&keyring.bus).load().unwrap();
    }
    // The threads end by themselves, a little later.
    let start = Instant::now();
    while connections() > before {
        assert!(start.elapsed() < Duration::from_secs(60), "{} connections are left", connections() - before);
        thread::sleep(Duration::from_millis(20));
    }
}
