//! KeePassXC answers each new item and each removal with a prompt, and waits inside a search while it is locked.

use std::time::{Duration, Instant};

use tokenkeep::storage::Keystore;
use tokenkeep::{ErrorKind, options::Prompting};

use crate::daemons::{Other, Questions, State};
use crate::{assert_kind, item};

#[test]
fn an_open_database_stores_gives_back_replaces_and_removes() {
    for questions in [Questions::None, Questions::Access] {
        let keepassxc = Other::keepassxc(State::Open, questions);
        let item = item(&keepassxc.bus);
        item.verify().unwrap();
        assert_eq!(item.load().unwrap(), None);
        item.save(&b"first".into()).unwrap();
        item.verify().unwrap();
        item.save(&b"second".into()).unwrap();
        assert_eq!(item.load().unwrap().unwrap().expose(), b"second");
        assert!(item.delete().unwrap());
        assert!(!item.delete().unwrap());
        assert_eq!(item.load().unwrap(), None);
    }
}

#[test]
fn a_removal_that_only_a_person_may_confirm_says_so_and_the_database_is_used() {
    let keepassxc = Other::keepassxc(State::Open, Questions::Removal);
    let item = item(&keepassxc.bus);
    item.verify().unwrap();
    item.save(&b"content".into()).unwrap();
    assert_kind(&item.delete().unwrap_err(), ErrorKind::StoreLocked, "wants a person to confirm the removal");
    assert_eq!(item.load().unwrap().unwrap().expose(), b"content");
}

#[test]
fn an_item_of_another_connection_wants_a_person_by_default_and_none_where_access_is_free() {
    for questions in [Questions::Access, Questions::None] {
        let keepassxc = Other::keepassxc(State::Open, questions);
        item(&keepassxc.bus).save(&b"content".into()).unwrap();
        let stranger = item(&keepassxc.bus);
        match stranger.load_anew() {
            Ok(content) => {
                assert_eq!((content.unwrap().expose(), questions), (&b"content"[..], Questions::None));
            }
            Err(error) => {
                assert_kind(&error, ErrorKind::StoreLocked, "wants a person to confirm");
                assert_eq!(questions, Questions::Access);
            }
        }
    }
}

#[test]
fn items_of_one_process_are_let_in_together() {
    let keepassxc = Other::keepassxc(State::Open, Questions::Access);
    item(&keepassxc.bus).save(&b"content".into()).unwrap();
    for _ in 0..3 {
        let another = item(&keepassxc.bus);
        another.verify().unwrap();
        assert_eq!(another.load().unwrap().unwrap().expose(), b"content");
    }
}

#[test]
fn a_locked_database_is_locked_at_once_where_no_person_may_be_asked() {
    let keepassxc = Other::keepassxc(State::Locked, Questions::None);
    assert!(keepassxc.is_locked());
    let item = item(&keepassxc.bus);
    let began = Instant::now();
    for error in [item.load().unwrap_err(), item.verify().unwrap_err(), item.save(&b"x".into()).unwrap_err()]
    {
        assert_kind(&error, ErrorKind::StoreLocked, "Unlock the keyring");
    }
    assert!(began.elapsed() < Duration::from_secs(5), "each waits less than its limit");
}

#[test]
fn a_locked_database_has_the_time_of_the_person_where_prompts_are_allowed() {
    let keepassxc = Other::keepassxc(State::Locked, Questions::None);
    let limit = Duration::from_secs(2);
    let item = item(&keepassxc.bus).deadline(limit / 2).prompting(Prompting::Allowed { limit });
    let began = Instant::now();
    let error = item.load().unwrap_err();
    assert_kind(&error, ErrorKind::StoreLocked, "nobody answered the prompt");
    assert!(began.elapsed() >= limit);
}
