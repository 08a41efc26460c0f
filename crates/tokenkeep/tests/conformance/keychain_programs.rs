//! Several programs on one Keychain, a locked one, and the person in front of it: over the stand-in, which has the rules
//! of Apple's source.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tempfile::TempDir;
use tokenkeep::event::Event;
use tokenkeep::key_source::KeystoreItem;
use tokenkeep::keychain::{KeychainItem, Status};
use tokenkeep::options::{Prompting, Store};
use tokenkeep::storage::{Keystore, KeystorePersistence};
use tokenkeep::{Config, ErrorKind, Secret, TokenCache};
use tokenkeep_stand_in_keychain::{Answer, Keychain, Program};

use crate::clock::timed;

/// A Mac with one keychain, and a place for markers.
struct Mac {
    keychain: Keychain,
    home: TempDir,
}

impl Mac {
    fn new() -> Self {
        Self { keychain: Keychain::default(), home: tempfile::tempdir().unwrap() }
    }

    /// A program with a Developer ID.
    fn program(&self, name: &str) -> Arc<Program> {
        Arc::new(Program::of(&self.keychain, name, &format!("teamid:{name}")))
    }

    fn item(&self, program: &Arc<Program>) -> KeychainItem {
        KeychainItem::over(Arc::<Program>::clone(program), "app", "token_cache").unwrap()
    }

    fn asking(&self, program: &Arc<Program>) -> KeychainItem {
        self.item(program).prompting(Prompting::allowed())
    }

    fn config(&self, store: Store) -> Config {
        Config::new("app")
            .path(self.home.path().join("app/cache.json"))
            .lock_directory(self.home.path().join("locks"))
            .store(store)
    }
}

#[test]
fn an_item_of_another_program_is_locked_to_a_silent_program_and_no_dialogue_is_shown() {
    let mac = Mac::new();
    mac.item(&mac.program("dotnet")).save(&b"theirs".into()).unwrap();
    let refused = mac.item(&mac.program("node")).load().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::StoreLocked, "{refused}");
    let text = refused.to_string();
    assert!(text.contains("-25293") && text.contains("encrypted file"), "{text}");
    assert!(!text.contains("remove the item"), "that would lose the sign-ins: {text}");
    assert_eq!(mac.keychain.dialogues(), [""; 0]);
}

#[test]
fn a_locked_keychain_is_locked_to_every_silent_call_and_no_dialogue_is_shown() {
    let mac = Mac::new();
    let item = mac.item(&mac.program("node"));
    item.save(&b"{}".into()).unwrap();
    mac.keychain.with(|world| world.locked = true);
    for outcome in [item.load().map(drop), item.save(&b"[]".into()), item.delete().map(drop), item.verify()] {
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::StoreLocked);
    }
    assert_eq!(mac.keychain.dialogues(), [""; 0]);
}

#[test]
fn opening_asks_nothing_about_another_programs_item_and_the_first_read_asks_once() {
    let mac = Mac::new();
    mac.item(&mac.program("dotnet")).save(&b"{\"theirs\":1}".into()).unwrap();
    mac.keychain.with(|world| world.answers = [Answer::AlwaysAllow].into());
    let cache = mac.config(Store::item(mac.asking(&mac.program("node")))).open().unwrap();
    assert_eq!(mac.keychain.dialogues(), [""; 0]);
    assert!(cache.read().unwrap().is_some());
    assert_eq!(mac.keychain.dialogues(), ["node: read app/token_cache"]);
    cache.update(|_| "{}").unwrap();
    cache.read().unwrap();
    assert_eq!(mac.keychain.dialogues(), [""; 0], "allowed for good, and now its writer");
}

#[test]
fn opening_over_a_locked_keychain_shows_the_one_dialogue_that_unlocks_it() {
    let mac = Mac::new();
    mac.keychain.with(|world| world.locked = true);
    let cache = mac.config(Store::item(mac.asking(&mac.program("node")))).open().unwrap();
    assert!(cache.read().unwrap().is_none_or(|content| content.is_empty()));
    cache.update(|_| "{}").unwrap();
    assert_eq!(mac.keychain.dialogues(), ["node: unlock"]);
}

#[test]
fn a_keychain_that_a_silent_call_has_opened_is_unlocked_by_a_dialogue_all_the_same() {
    let mac = Mac::new();
    let node = mac.program("node");
    mac.item(&node).save(&b"{}".into()).unwrap();
    mac.keychain.with(|world| world.locked = true);
    assert_eq!(mac.item(&node).load().unwrap_err().kind(), ErrorKind::StoreLocked);
    // Within the seconds in which the framework remembers that it may not ask.
    assert!(mac.asking(&node).load().unwrap().is_some());
    assert_eq!(mac.keychain.dialogues(), ["node: unlock"]);
}

/// A limit of Apple's framework: the permission to ask belongs to the open keychain.
#[test]
fn a_keychain_that_a_prompting_call_of_the_process_has_opened_asks_for_its_password_in_silent_calls_too() {
    let mac = Mac::new();
    let node = mac.program("node");
    mac.asking(&node).save(&b"{}".into()).unwrap();
    mac.keychain.with(|world| world.locked = true);
    assert!(mac.item(&node).load().unwrap().is_some());
    assert_eq!(mac.keychain.dialogues(), ["node: unlock"]);
}

#[test]
fn a_refusal_is_told_and_the_question_is_not_repeated() {
    let mac = Mac::new();
    mac.item(&mac.program("dotnet")).save(&b"theirs".into()).unwrap();
    mac.keychain.with(|world| world.answers = [Answer::Deny].into());
    let refused = mac.asking(&mac.program("node")).load().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::StoreLocked, "{refused}");
    assert_eq!(mac.keychain.dialogues().len(), 1);
}

#[test]
fn readers_at_the_same_time_ask_one_after_the_other_and_share_a_refusal() {
    let mac = Mac::new();
    mac.item(&mac.program("dotnet")).save(&b"theirs".into()).unwrap();
    let node = mac.program("node");
    for answer in [Answer::Deny, Answer::AlwaysAllow] {
        // The person takes a moment.
        node.delay(Duration::from_millis(200));
        mac.keychain.with(|world| world.answers = [answer].into());
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let readers: Vec<_> = (0..8).map(|_| scope.spawn(|| mac.asking(&node).load().is_ok())).collect();
            readers.into_iter().map(|reader| reader.join().unwrap()).collect()
        });
        assert_eq!(outcomes, [answer == Answer::AlwaysAllow; 8]);
        assert_eq!(mac.keychain.dialogues().len(), 1, "{answer:?}");
    }
}

#[test]
fn a_prompting_operation_outlasts_a_silent_one_of_another_thread() {
    let mac = Mac::new();
    mac.item(&mac.program("dotnet")).save(&b"theirs".into()).unwrap();
    let node = mac.program("node");
    let elsewhere = KeychainItem::over(Arc::<Program>::clone(&node), "app", "another").unwrap();
    node.delay(Duration::from_millis(300));
    std::thread::scope(|scope| {
        let silent = scope.spawn(|| elsewhere.load());
        while !node.is_silent() {
            std::thread::yield_now();
        }
        assert!(mac.asking(&node).load().unwrap().is_some());
        silent.join().unwrap().unwrap();
    });
    assert_eq!(mac.keychain.dialogues(), ["node: read app/token_cache"]);
}

#[test]
fn a_session_without_a_screen_is_told_at_once() {
    let mac = Mac::new();
    mac.item(&mac.program("dotnet")).save(&b"theirs".into()).unwrap();
    mac.keychain.with(|world| world.screen = false);
    let node = mac.program("node");
    let (refused, took) = timed(|| mac.asking(&node).load().unwrap_err());
    assert_eq!(refused.kind(), ErrorKind::StoreLocked, "{refused}");
    assert!(refused.to_string().contains("no screen"), "{refused}");
    assert!(took.naps < Duration::from_millis(500), "{took:?}");
}

#[test]
fn every_write_takes_the_item_from_the_other_programs() {
    let mac = Mac::new();
    let (node, code) = (mac.program("node"), mac.program("code"));
    mac.item(&node).save(&b"one".into()).unwrap();
    mac.keychain.with(|world| world.answers = [Answer::AlwaysAllow].into());
    mac.asking(&code).load().unwrap();
    assert!(mac.item(&code).load().is_ok(), "allowed for good");
    mac.item(&node).save(&b"two".into()).unwrap();
    let refused = mac.item(&code).load().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::StoreLocked, "until the next write of the other: {refused}");
}

#[test]
fn programs_that_share_a_key_in_the_keychain_are_allowed_once_for_every_write() {
    let mac = Mac::new();
    let sealed = |program: &Arc<Program>| {
        let item = KeychainItem::over(Arc::<Program>::clone(program), "app", "cache-key").unwrap();
        let key = KeystoreItem::new(item.prompting(Prompting::allowed())).lock_directory(mac.home.path());
        mac.config(Store::encrypted_file(key)).open().unwrap()
    };
    let (node, code) = (mac.program("node"), mac.program("code"));
    sealed(&node).update(|_| "{\"one\":1}").unwrap();
    mac.keychain.with(|world| world.answers = [Answer::AlwaysAllow].into());
    for round in 0..5 {
        for program in [&node, &code] {
            // Each time another process.
            let cache = sealed(program);
            assert!(cache.read().unwrap().is_some());
            cache.update(|_| format!("{{\"round\":{round}}}")).unwrap();
        }
    }
    assert_eq!(mac.keychain.dialogues(), ["code: read app/cache-key"]);
}

#[test]
fn another_programs_item_can_be_signed_out_of_without_a_dialogue() {
    for undeletable in [false, true] {
        let mac = Mac::new();
        mac.item(&mac.program("dotnet")).save(&b"theirs".into()).unwrap();
        mac.keychain.with(|world| world.undeletable = undeletable);
        let item = mac.item(&mac.program("node"));
        assert!(item.delete().unwrap());
        assert_eq!(mac.keychain.dialogues(), [""; 0]);
        let left =
            mac.keychain.with(|world| world.items.iter().map(|one| one.content.clone()).collect::<Vec<_>>());
        assert_eq!(left, if undeletable { vec!["{}"] } else { vec![] }, "no token stays");
    }
}

#[test]
fn a_read_between_the_two_halves_of_an_update_finds_the_item() {
    let mac = Mac::new();
    let node = mac.program("node");
    let item = mac.item(&node);
    item.save(&b"{}".into()).unwrap();
    for status in [Status::ITEM_NOT_FOUND, Status::INVALID_ITEM_REF, Status::INVALID_RECORD] {
        node.refuse("find", status);
        assert_eq!(item.load().unwrap(), Some(Secret::from("{}")), "{status:?}");
        if status != Status::ITEM_NOT_FOUND {
            node.refuse("update", status);
            item.save(&b"{}".into()).unwrap();
        }
    }
    for _ in 0..50 {
        node.refuse("find", Status::INVALID_ITEM_REF);
    }
    assert_eq!(item.load().unwrap_err().kind(), ErrorKind::Busy, "an error, never an empty cache");
}

#[test]
fn without_a_default_keychain_nothing_is_taken_for_empty_and_nothing_asked() {
    let mac = Mac::new();
    mac.keychain.with(|world| world.exists = false);
    for item in [mac.item(&mac.program("node")), mac.asking(&mac.program("node"))] {
        for outcome in
            [item.load().map(drop), item.save(&b"{}".into()), item.delete().map(drop), item.verify()]
        {
            let error = outcome.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StoreUnavailable, "{error}");
            assert!(error.to_string().contains("default-keychain"), "{error}");
        }
    }
    assert_eq!(mac.keychain.dialogues(), [""; 0], "no offer to reset all keychains");
}

#[test]
fn an_item_in_a_default_keychain_that_is_not_searched_is_found_updated_and_removed() {
    let mac = Mac::new();
    mac.keychain.with(|world| world.searched = false);
    let item = mac.item(&mac.program("node"));
    for content in ["one", "two"] {
        item.save(&content.into()).unwrap();
        assert_eq!(item.load().unwrap(), Some(Secret::from(content)));
    }
    assert!(item.delete().unwrap());
    assert_eq!(item.load().unwrap(), None);
}

#[test]
fn content_that_was_there_is_looked_for_again_under_the_lock_before_it_counts_as_gone() {
    let mac = Mac::new();
    let node = mac.program("node");
    let cache = mac.config(Store::item(mac.item(&node))).open().unwrap();
    cache.update(|_| "{\"here\":1}").unwrap();
    cache.forget();
    // A sibling that removes the item and adds it again, caught in between.
    let taken = mac.keychain.with(|world| std::mem::take(&mut world.items));
    let held = mac.config(Store::item(mac.item(&node))).open().unwrap().begin_write().unwrap();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| cache.read().unwrap());
        std::thread::sleep(Duration::from_millis(100));
        mac.keychain.with(|world| world.items = taken);
        drop(held);
        assert_eq!(reader.join().unwrap(), Some(Secret::from("{\"here\":1}")));
    });
}

#[test]
fn a_program_that_is_denied_falls_back_as_asked_and_says_why() {
    let mac = Mac::new();
    mac.keychain.with(|world| world.locked = true);
    let events = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&events);
    let config = mac.config(Store::item(mac.item(&mac.program("node")))).fallback([Store::Memory]);
    config.on_event(move |event| told.lock().unwrap().push(event.clone())).open().unwrap();
    let events = events.lock().unwrap();
    assert!(matches!(&events[..], [Event::FellBack { .. }]), "{events:?}");
    assert!(events[0].to_string().contains("the keychain is locked"), "{}", events[0]);
}

#[test]
fn a_marker_and_an_item_of_another_program_can_be_cleared() {
    let mac = Mac::new();
    mac.item(&mac.program("dotnet")).save(&b"{\"theirs\":1}".into()).unwrap();
    let persistence =
        KeystorePersistence::new(mac.home.path().join("marker"), mac.item(&mac.program("node")));
    let persistence = persistence.unwrap().lock_directory(mac.home.path());
    persistence.prepare().unwrap();
    let cache = TokenCache::new(persistence);
    assert!(cache.begin_write().is_err(), "it cannot be read");
    let guard = tokenkeep::CacheLock::new(mac.home.path().join("marker")).unwrap();
    let guard = guard.acquire(&tokenkeep::options::WaitOptions::default()).unwrap();
    assert!(cache.persistence().delete(&guard).unwrap());
    assert_eq!(mac.keychain.with(|world| world.items.len()), 0);
}
