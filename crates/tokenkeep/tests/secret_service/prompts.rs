//! Prompts, with a scripted service: they complete by themselves, a person answers, refuses, or is away.

use std::time::Duration;

use tokenkeep::{
    ErrorKind,
    options::Prompting,
    storage::{Keystore, SecretServiceItem},
};

use crate::keyring::Bus;
use crate::scripted::{Habits, Prompt, Scripted};
use crate::{assert_kind, failure, item};

/// The upper limit of a short wait without a person, far below the deadline of five seconds.
const SOON: Duration = Duration::from_millis(2900);

const LIMIT: Duration = Duration::from_millis(400);

fn locked(unlock: Prompt) -> Habits {
    Habits { locked: true, unlock: Some(unlock), ..Habits::default() }
}

fn asking(bus: &Bus) -> SecretServiceItem {
    item(bus).prompting(Prompting::Allowed { limit: LIMIT })
}

#[test]
fn an_answered_prompt_unlocks_the_keyring() {
    let bus = Bus::start();
    let (service, _connection) = Scripted::serve(&bus, locked(Prompt::Completes));
    let item = asking(&bus);
    assert_eq!(item.load().unwrap(), None);
    assert_eq!(service.count("Prompt"), 1);
    // Once unlocked, there is no further prompt.
    assert_eq!(item.load().unwrap(), None);
    assert_eq!(service.count("Prompt"), 1);
}

#[test]
fn a_dismissed_prompt_leaves_the_keyring_locked() {
    let bus = Bus::start();
    let (_service, _connection) = Scripted::serve(&bus, locked(Prompt::IsDismissed));
    let (error, _) = failure(|| asking(&bus).load());
    assert_kind(&error, ErrorKind::StoreLocked, "dismissed");
}

#[test]
fn an_unanswered_prompt_is_removed_after_its_limit() {
    let bus = Bus::start();
    let (service, _connection) = Scripted::serve(&bus, locked(Prompt::Waits));
    // The time for the user is separate: it may be longer than the deadline of the operation.
    let item = asking(&bus).deadline(LIMIT / 2);
    let (error, time) = failure(|| item.load());
    assert_kind(&error, ErrorKind::StoreLocked, "nobody answered");
    assert!(time.clock >= LIMIT && time.naps < LIMIT * 3, "{time:?}");
    assert_eq!(service.count("Dismiss"), 1);
}

#[test]
fn the_end_of_the_service_during_its_prompt_ends_the_wait() {
    let bus = Bus::start();
    let (service, connection) = Scripted::serve(&bus, locked(Prompt::Waits));
    let item = item(&bus).prompting(Prompting::Allowed { limit: Duration::from_secs(60) });
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while service.count("Prompt") == 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
            zbus::block_on(connection.close()).unwrap();
        });
        let (error, time) = failure(|| item.load());
        assert_kind(&error, ErrorKind::StoreUnavailable, "no Secret Service");
        assert!(time.naps < Duration::from_secs(10), "{time:?}");
    });
}

#[test]
fn a_locked_keyring_that_needs_no_person_is_unlocked_without_permission_to_ask() {
    for at_the_end in [false, true] {
        let bus = Bus::start();
        let habits = locked(Prompt::CompletesLater(Duration::from_millis(20)));
        let habits = Habits { prompts_answer_at_their_end: at_the_end, searches_wait: true, ..habits };
        let (service, _connection) = Scripted::serve(&bus, habits);
        let item = item(&bus);
        item.verify().unwrap();
        item.save(&b"content".into()).unwrap();
        assert_eq!(item.load().unwrap().unwrap().expose(), b"content");
        assert_eq!(service.count("Prompt"), 1);
    }
}

#[test]
fn without_permission_a_prompt_that_waits_is_a_lock_soon_and_is_dismissed() {
    let bus = Bus::start();
    let (service, _connection) =
        Scripted::serve(&bus, Habits { searches_wait: true, ..locked(Prompt::Waits) });
    let item = item(&bus);
    for (error, time) in
        [failure(|| item.load()), failure(|| item.verify()), failure(|| item.save(&b"x".into()))]
    {
        assert_kind(&error, ErrorKind::StoreLocked, "not allowed");
        assert!(time.naps < SOON, "{time:?}");
    }
    assert_eq!((service.count("Dismiss"), service.count("SearchItems")), (3, 0));
}

#[test]
fn a_locked_keyring_is_unlocked_before_a_search_that_would_wait() {
    let bus = Bus::start();
    let later = Prompt::CompletesLater(LIMIT / 2);
    let (_service, _connection) = Scripted::serve(&bus, Habits { searches_wait: true, ..locked(later) });
    let item = asking(&bus).deadline(LIMIT / 2);
    assert_eq!(item.load().unwrap(), None);
}

#[test]
fn prompts_of_an_open_keyring_that_complete_are_a_part_of_each_change() {
    for ending in [Prompt::Completes, Prompt::CompletesLater(Duration::from_millis(300))] {
        let bus = Bus::start();
        let habits = Habits { create: Some(ending), delete: Some(ending), ..Habits::default() };
        let (service, _connection) = Scripted::serve(&bus, habits);
        let item = item(&bus);
        item.verify().unwrap();
        assert_eq!(service.contents(), [[0_u8; 0]; 0], "the probe is gone");
        item.save(&b"first".into()).unwrap();
        assert_eq!(service.count("SetSecret"), 0, "what a prompt created is not written again");
        item.save(&b"second".into()).unwrap();
        assert_eq!(service.contents(), [b"second"]);
        assert!(item.delete().unwrap());
        assert_eq!(item.load().unwrap(), None);
        assert_eq!(service.count("Dismiss"), 0);
    }
}

#[test]
fn a_change_that_waits_for_a_person_says_that_the_keyring_is_open() {
    for (ending, words) in [(Prompt::Waits, "not allowed"), (Prompt::IsDismissed, "dismissed")] {
        let bus = Bus::start();
        let (service, _connection) =
            Scripted::serve(&bus, Habits { create: Some(ending), ..Habits::default() });
        let item = item(&bus);
        for (error, time) in [failure(|| item.save(&b"x".into())), failure(|| item.verify())] {
            assert_kind(
                &error,
                ErrorKind::StoreLocked,
                "is open, but wants a person to confirm the new item",
            );
            assert_kind(&error, ErrorKind::StoreLocked, words);
            assert!(time.naps < SOON, "{time:?}");
        }
        service.habits(|habits| habits.create = None);
        item.save(&b"content".into()).unwrap();
        service.habits(|habits| habits.delete = Some(ending));
        let (error, _) = failure(|| item.delete());
        assert_kind(&error, ErrorKind::StoreLocked, "confirm the removal");
        assert_eq!(item.load().unwrap().unwrap().expose(), b"content");
    }
}

#[test]
fn a_prompt_that_waits_leaves_the_deadline_where_it_is() {
    let bus = Bus::start();
    let (_service, _connection) =
        Scripted::serve(&bus, Habits { create: Some(Prompt::Waits), ..Habits::default() });
    let (error, time) = failure(|| item(&bus).deadline(LIMIT).save(&b"x".into()));
    assert_kind(&error, ErrorKind::StoreLocked, "confirm the new item");
    assert!(time.naps < LIMIT * 3, "{time:?}");
}

#[test]
fn a_person_has_the_time_of_the_prompt_for_a_change_of_an_open_keyring() {
    let bus = Bus::start();
    let later = Some(Prompt::CompletesLater(LIMIT / 2));
    let (_service, _connection) =
        Scripted::serve(&bus, Habits { create: later, delete: later, ..Habits::default() });
    let item = asking(&bus).deadline(LIMIT / 4);
    item.save(&b"content".into()).unwrap();
    assert!(item.delete().unwrap());
}

#[test]
fn items_that_an_open_keyring_locks_are_unlocked_or_want_a_person() {
    let bus = Bus::start();
    let (service, _connection) = Scripted::serve(&bus, Habits::default());
    item(&bus).save(&b"content".into()).unwrap();
    service.lock_items();
    service.habits(|habits| habits.unlock = Some(Prompt::Waits));
    assert_kind(
        &item(&bus).load().unwrap_err(),
        ErrorKind::StoreLocked,
        "wants a person to confirm the access",
    );
    service.habits(|habits| habits.unlock = Some(Prompt::Completes));
    assert_eq!(item(&bus).load().unwrap().unwrap().expose(), b"content");
}

#[test]
fn a_missing_default_collection_is_created_through_a_prompt() {
    let bus = Bus::start();
    let habits = Habits { without_collection: true, ..locked(Prompt::Completes) };
    let (service, _connection) = Scripted::serve(&bus, habits);
    assert_kind(&item(&bus).load().unwrap_err(), ErrorKind::StoreUnavailable, "no default collection");
    assert_eq!(asking(&bus).load().unwrap(), None);
    assert_eq!(service.count("Prompt"), 1);
}
