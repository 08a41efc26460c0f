//! What a Secret Service may do differently: nothing of it fails an operation.

use tokenkeep::ErrorKind;
use tokenkeep::storage::Keystore;

use crate::keyring::Bus;
use crate::scripted::{Habits, Number, Scripted};
use crate::{assert_kind, item};

#[test]
fn a_service_that_refuses_to_say_which_collection_ends_at_log_out_stores_all_the_same() {
    let bus = Bus::start();
    let habits = Habits { without_session_alias: true, without_times: true, ..Habits::default() };
    let (_service, _connection) = Scripted::serve(&bus, habits);
    let item = item(&bus);
    item.verify().unwrap();
    item.save(&b"content".into()).unwrap();
    assert_eq!(item.load().unwrap().unwrap().expose(), b"content");
    assert!(item.survives_reboot(), "as far as is known");
}

#[test]
fn an_item_whose_path_changes_with_each_write_is_found_again() {
    let bus = Bus::start();
    let (service, _connection) = Scripted::serve(&bus, Habits { items_move: true, ..Habits::default() });
    let item = item(&bus);
    for content in [&b"first"[..], b"second", b"third"] {
        item.save(&content.into()).unwrap();
        item.verify().unwrap();
        assert_eq!(item.load().unwrap().unwrap().expose(), content);
    }
    item.save(&b"fourth".into()).unwrap();
    item.save(&b"fifth".into()).unwrap();
    assert_eq!(service.contents(), [b"fifth"]);
}

#[test]
fn a_session_whose_key_services_derive_differently_is_closed_and_another_opened() {
    for number in [Number::Short, Number::Padded] {
        let bus = Bus::start();
        let habits = Habits { numbers: vec![number; 2], ..Habits::default() };
        let (service, _connection) = Scripted::serve(&bus, habits);
        let item = item(&bus);
        item.save(&b"content".into()).unwrap();
        assert_eq!(service.contents(), [b"content"]);
        assert_eq!(item.load().unwrap().unwrap().expose(), b"content");
        assert_eq!((service.count("OpenSession"), service.count("Close")), (3, 2), "{number:?}");
    }
}

#[test]
fn rubbish_that_a_session_with_another_key_keeps_is_written_again_over_a_new_one() {
    let bus = Bus::start();
    let (service, _connection) = Scripted::serve(&bus, Habits { wrong_keys: 1, ..Habits::default() });
    item(&bus).verify().unwrap();
    assert_eq!(service.contents(), [[0_u8; 0]; 0]);
    service.habits(|habits| habits.wrong_keys = 1);
    let first = item(&bus);
    first.load_anew().unwrap();
    first.save(&b"content".into()).unwrap();
    assert_eq!(service.contents(), [b"content"]);
    assert_eq!(service.count("OpenSession"), 4, "each wrong one was replaced");

    service.habits(|habits| habits.wrong_keys = 9);
    let second = item(&bus);
    second.load_anew().unwrap_err();
    assert_kind(&second.save(&b"other".into()).unwrap_err(), ErrorKind::StoreFailed, "");
}

#[test]
fn a_write_is_read_back_once_a_session() {
    let bus = Bus::start();
    let (service, _connection) = Scripted::serve(&bus, Habits::default());
    let item = item(&bus);
    for number in 0..5_u8 {
        item.save(&[number][..].into()).unwrap();
    }
    assert_eq!((service.count("GetSecret"), service.count("OpenSession")), (1, 1));
}

#[test]
fn a_session_that_the_service_has_forgotten_is_opened_again() {
    for name in
        ["org.freedesktop.Secret.Error.NoSession", "org.qtproject.QtDBus.Error.InvalidObjectPath", "Failed"]
    {
        for method in ["CreateItem", "GetSecret"] {
            let bus = Bus::start();
            let habits = Habits { errors: vec![(method, name)], ..Habits::default() };
            let (service, _connection) = Scripted::serve(&bus, habits);
            let item = item(&bus);
            item.save(&b"content".into()).unwrap();
            assert_eq!(item.load().unwrap().unwrap().expose(), b"content");
            assert_eq!((service.contents(), service.count("OpenSession")), (vec![b"content".to_vec()], 2));
        }
    }
}

#[test]
fn an_answer_that_breaks_the_protocol_is_asked_for_once_more_over_a_new_connection() {
    let bus = Bus::start();
    let (service, _connection) = Scripted::serve(&bus, Habits::default());
    let item = item(&bus);
    item.save(&b"content".into()).unwrap();
    service.habits(|habits| habits.broken_secrets = 1);
    assert_eq!(item.load().unwrap().unwrap().expose(), b"content");
    service.habits(|habits| habits.broken_secrets = 9);
    assert_kind(&item.load().unwrap_err(), ErrorKind::StoreFailed, "breaks its protocol");
}

#[test]
fn a_failure_has_the_name_and_the_words_of_the_daemon() {
    let own_name = std::fs::read_to_string("/proc/self/comm").unwrap();
    for method in ["OpenSession", "CreateItem"] {
        let bus = Bus::start();
        let habits = Habits { errors: vec![(method, "Failed"); 9], ..Habits::default() };
        let (_service, _connection) = Scripted::serve(&bus, habits);
        let error = item(&bus).save(&b"content".into()).unwrap_err();
        assert_kind(&error, ErrorKind::StoreFailed, &format!("{} says ", own_name.trim()));
        assert_kind(&error, ErrorKind::StoreFailed, "in the service's own words");
    }
}

#[test]
fn a_write_whose_time_is_over_is_not_sent() {
    let bus = Bus::start();
    let (service, _connection) = Scripted::serve(&bus, Habits::default());
    let open = item(&bus);
    open.save(&b"content".into()).unwrap();
    open.load().unwrap();
    let late = item(&bus).deadline(std::time::Duration::ZERO);
    assert_kind(&late.save(&b"late".into()).unwrap_err(), ErrorKind::StoreTimeout, "did not answer");
    assert_kind(&late.delete().unwrap_err(), ErrorKind::StoreTimeout, "did not answer");
    assert_eq!(open.load().unwrap().unwrap().expose(), b"content");
    assert_eq!((service.count("SetSecret"), service.count("Delete")), (0, 0));
}
