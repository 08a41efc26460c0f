//! The promises of a Keychain item beyond the suite, tested on the stand-in for Apple's framework. The rules between
//! programs are in `keychain_programs`.

use std::sync::Arc;
use std::time::Duration;

use tokenkeep::keychain::{KeychainItem, Status};
use tokenkeep::{ErrorKind, options::Prompting, storage::Keystore};
use tokenkeep_stand_in_keychain::Program;

use crate::clock::timed;

fn item(framework: &Arc<Program>) -> KeychainItem {
    KeychainItem::over(Arc::<Program>::clone(framework), "Some Service", "an account").unwrap()
}

fn content(item: &KeychainItem) -> Option<Vec<u8>> {
    item.load().unwrap().map(|content| content.expose().to_vec())
}

fn accounts(framework: &Program) -> Vec<String> {
    framework.keychain().with(|world| world.items.iter().map(|entry| entry.account.clone()).collect())
}

#[test]
fn an_item_is_added_only_if_there_is_none_and_then_updated() {
    let framework = Arc::default();
    let item = item(&framework);
    assert_eq!(content(&item), None);
    framework.asked();
    item.save(&b"one".into()).unwrap();
    assert_eq!(framework.functions(), ["update", "add"]);
    item.save(&b"two".into()).unwrap();
    assert_eq!(framework.functions(), ["update"], "an item that is there is never added again");
    assert_eq!(content(&item).as_deref(), Some(&b"two"[..]));
    assert_eq!(framework.functions(), ["find"], "a read is one call");
    assert!(item.delete().unwrap());
    assert!(!item.delete().unwrap());
}

#[test]
fn an_item_that_another_program_adds_meanwhile_is_updated() {
    let framework: Arc<Program> = Arc::default();
    let item = item(&framework);
    item.save(&b"theirs".into()).unwrap();
    // The item was absent at the update and exists at the add.
    framework.refuse("update", Status::ITEM_NOT_FOUND);
    item.save(&b"ours".into()).unwrap();
    assert_eq!(content(&item).as_deref(), Some(&b"ours"[..]));
    assert_eq!(accounts(&framework).len(), 1);
}

#[test]
fn every_refusal_is_a_typed_error_with_the_item_and_a_remedy_and_only_not_found_is_absent() {
    let framework: Arc<Program> = Arc::default();
    let silent = item(&framework);
    silent.save(&b"{}".into()).unwrap();
    let asking = silent.clone().prompting(Prompting::allowed());
    for (item, number, kind, word) in [
        (&silent, -25293, ErrorKind::StoreLocked, "unlock-keychain"),
        (&silent, -25315, ErrorKind::StoreLocked, "Always Allow"),
        (&silent, -25320, ErrorKind::StoreLocked, "encrypted file"),
        (&silent, -25308, ErrorKind::StoreUnavailable, "default-keychain"),
        (&silent, -34018, ErrorKind::StoreUnavailable, "Sign it"),
        (&silent, -25291, ErrorKind::StoreUnavailable, "default keychain"),
        (&silent, -25307, ErrorKind::StoreUnavailable, "default keychain"),
        (&silent, -25243, ErrorKind::PermissionDenied, "another program's"),
        (&silent, -25295, ErrorKind::StoreFailed, "damaged"),
        (&silent, -61, ErrorKind::PermissionDenied, "Library/Keychains"),
        (&silent, 100_013, ErrorKind::PermissionDenied, "write access"),
        (&silent, 100_028, ErrorKind::StorageFull, "Free some space"),
        (&silent, -67068, ErrorKind::StoreFailed, "Restart the program"),
        (&silent, -67671, ErrorKind::StoreFailed, "security error"),
        (&asking, -128, ErrorKind::StoreLocked, "Always Allow"),
    ] {
        for (function, outcome) in [
            ("find", {
                framework.refuse("find", Status(number));
                item.load().map(drop)
            }),
            ("update", {
                framework.refuse("update", Status(number));
                item.save(&b"{}".into())
            }),
            ("delete_reference", {
                framework.refuse("delete_reference", Status(number));
                item.delete().map(drop)
            }),
        ] {
            let error = outcome.unwrap_err();
            assert_eq!(error.kind(), kind, "{function}: {error}");
            let text = error.to_string();
            for part in [word, "Some Service/an account", &number.to_string()] {
                assert!(text.contains(part), "{function}: {part:?} is not in {text:?}");
            }
        }
    }
}

#[test]
fn no_call_prompts_unless_prompts_are_allowed() {
    let framework: Arc<Program> = Arc::default();
    let silent = item(&framework);
    silent.save(&b"{}".into()).unwrap();
    silent.load().unwrap();
    assert!(framework.asked().iter().all(|asked| asked.silently));
    let asking = item(&framework).prompting(Prompting::allowed());
    asking.load().unwrap();
    assert!(framework.asked().iter().all(|asked| !asked.silently));
}

#[test]
fn a_keychain_and_a_user_that_never_answer_are_typed_errors_in_time_and_not_asked_again() {
    let framework: Arc<Program> = Arc::default();
    framework.delay(Duration::from_secs(3));
    let limit = Duration::from_millis(100);
    let silent = item(&framework).deadline(limit);
    let asking = item(&framework).prompting(Prompting::Allowed { limit });
    let (errors, took) = timed(|| [silent.load(), asking.load()].map(|outcome| outcome.unwrap_err().kind()));
    assert_eq!(errors, [ErrorKind::StoreTimeout, ErrorKind::StoreLocked]);
    assert!(took.naps < Duration::from_secs(2), "{took:?}");
    assert!(!framework.is_silent(), "other code of the process may ask again");
    let patient = item(&framework).prompting(Prompting::allowed());
    let (again, took) = timed(|| [silent.load(), patient.load()].map(|outcome| outcome.unwrap_err()));
    assert!(took.naps < Duration::from_secs(1), "{took:?}: no second thread, and no second dialogue");
    assert_eq!(again.each_ref().map(tokenkeep::Error::kind), errors);
    assert!(again[1].to_string().contains("still shows"), "{}", again[1]);
}

#[test]
fn a_write_whose_caller_has_given_up_changes_nothing_any_more() {
    let framework: Arc<Program> = Arc::default();
    let item = item(&framework).deadline(Duration::from_millis(100));
    item.save(&b"{}".into()).unwrap();
    framework.delay(Duration::from_millis(600));
    assert_eq!(item.set_aside().unwrap_err().kind(), ErrorKind::StoreTimeout, "the read is slow");
    framework.delay(Duration::ZERO);
    std::thread::sleep(Duration::from_millis(800));
    assert_eq!(accounts(&framework), ["an account"]);
}

#[test]
fn verification_tries_the_keychain_with_an_item_of_its_own_and_leaves_nothing() {
    let framework: Arc<Program> = Arc::default();
    item(&framework).verify().unwrap();
    let asked = framework.asked();
    let functions: Vec<_> = asked.iter().map(|asked| asked.function).collect();
    assert_eq!(functions, ["update", "add", "find", "exists", "delete_reference", "exists"]);
    assert!(asked.iter().all(|asked| asked.item.service == "tokenkeep-probe"), "the item is not read");
    assert_eq!(accounts(&framework), [""; 0]);
    framework.keychain().with(|world| world.locked = true);
    let again = item(&framework).verify().unwrap_err();
    assert_eq!(again.kind(), ErrorKind::StoreLocked, "it was locked since: {again}");
}

#[test]
fn the_probe_of_a_killed_process_is_removed_by_the_next_verification_and_a_young_one_is_not() {
    let framework: Arc<Program> = Arc::default();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let probe = |age: u64| format!("{:x}-0123", now - age);
    for age in [600, 5] {
        let left = KeychainItem::over(Arc::<Program>::clone(&framework), "tokenkeep-probe", probe(age));
        left.unwrap().save(&b"x".into()).unwrap();
    }
    item(&framework).verify().unwrap();
    assert_eq!(accounts(&framework), [probe(5)]);
}

#[test]
fn a_failed_verification_is_an_error_removes_its_probe_and_is_repeated() {
    let framework: Arc<Program> = Arc::default();
    let item = item(&framework);
    framework.refuse("add", Status::MISSING_ENTITLEMENT);
    assert_eq!(item.verify().unwrap_err().kind(), ErrorKind::StoreUnavailable);
    item.verify().unwrap();
    assert!(framework.functions().contains(&"add"));
    assert_eq!(accounts(&framework), [""; 0]);
}

#[test]
fn the_access_group_and_the_data_protection_keychain_are_in_every_call() {
    let framework: Arc<Program> = Arc::default();
    let grouped = item(&framework).access_group("TEAM.group");
    grouped.save(&b"{}".into()).unwrap();
    grouped.load().unwrap();
    for asked in framework.asked() {
        assert_eq!(asked.item.access_group.as_deref(), Some("TEAM.group"));
        assert!(asked.item.data_protection);
    }
    assert_eq!(content(&item(&framework)), None, "the default keychain is another one");
    let protected = item(&framework).in_data_protection_keychain();
    assert_eq!(content(&protected), None, "and so is no group");
}

#[test]
fn names_that_cannot_be_searched_are_refused_at_once() {
    let framework: Arc<Program> = Arc::default();
    for (service, account) in [("", "a"), ("s", ""), ("s\0", "a"), ("s", "a\0")] {
        let refused = KeychainItem::over(Arc::<Program>::clone(&framework), service, account).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    }
}
