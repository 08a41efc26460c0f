//! One item with many threads and connections.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use tokenkeep::options::Prompting;
use tokenkeep::storage::{Keystore, SecretServiceItem};

use crate::item;
use crate::keyring::{Bus, Keyring};

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
fn a_process_has_one_connection_to_a_bus_whatever_its_items_and_threads_do() {
    let keyring = Keyring::start();
    let connections = || keyring.by_hand(async |hand| hand.connections().await);
    let before = connections();
    let items: Vec<_> = (0..6).map(|_| item(&keyring.bus)).collect();
    thread::scope(|scope| {
        for item in &items {
            scope.spawn(|| {
                item.verify().unwrap();
                (0..10).for_each(|_| assert_eq!(item.load().unwrap(), None));
            });
        }
    });
    drop(items);
    item(&keyring.bus).verify().unwrap();
    assert_eq!(connections(), before + 1);
}

#[test]
fn an_item_that_waits_for_a_person_keeps_no_other_waiting() {
    use crate::scripted::{Habits, Prompt, Scripted};
    let bus = Bus::start();
    let (service, _connection) = Scripted::serve(&bus, Habits::default());
    item(&bus).save(&b"content".into()).unwrap();
    service.lock_items();
    service.habits(|habits| habits.unlock = Some(Prompt::Waits));
    let limit = Duration::from_secs(3);
    thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let asking = item(&bus).prompting(Prompting::Allowed { limit });
            asking.load().unwrap_err()
        });
        let start = Instant::now();
        while service.count("Prompt") == 0 {
            assert!(start.elapsed() < Duration::from_secs(60), "there is no prompt");
            thread::sleep(Duration::from_millis(5));
        }
        let other = SecretServiceItem::new("Other Service", "an account").unwrap().on_bus(bus.address());
        for content in [&b"first"[..], b"second"] {
            other.save(&content.into()).unwrap();
            assert_eq!(other.load().unwrap().unwrap().expose(), content);
        }
        assert!(!asking.is_finished(), "the others took longer than a person");
        assert!(asking.join().unwrap().to_string().contains("nobody answered"));
    });
}

#[test]
fn a_process_tries_a_keyring_once() {
    use crate::scripted::{Habits, Scripted};
    let bus = Bus::start();
    let (service, _connection) = Scripted::serve(&bus, Habits::default());
    for _ in 0..5 {
        item(&bus).verify().unwrap();
    }
    let counts = ["OpenSession", "CreateItem", "Delete"].map(|method| service.count(method));
    assert_eq!(counts, [1, 1, 1]);
}

#[test]
fn connections_are_closed_with_their_item() {
    let keyring = Keyring::start();
    let connections = || keyring.by_hand(async |hand| hand.connections().await);
    let before = connections();
    for _ in 0..20 {
        item(&keyring.bus).load().unwrap();
    }
    // It is kept for a program that opens the next item, and closed after that.
    let start = Instant::now();
    while connections() > before {
        assert!(start.elapsed() < Duration::from_secs(60), "{} connections are left", connections() - before);
        thread::sleep(Duration::from_millis(20));
    }
}
