//! The promises of a Keychain item beyond the suite, tested on the stand-in for Apple's framework.

use std::sync::Arc;
use std::time::Duration;

use tokenkeep::keychain::{KeychainItem, Status};
use tokenkeep::{ErrorKind, options::Prompting, storage::Keystore};

use crate::clock::timed;
use crate::fake_keychain::FakeKeychain;

fn item(framework: &Arc<FakeKeychain>) -> KeychainItem {
    KeychainItem::over(Arc::<FakeKeychain>::clone(framework), "Some Service", "an account").unwrap()
}

fn content(item: &KeychainItem) -> Option<Vec<u8>> {
    item.load().unwrap().map(|content| content.expose().to_vec())
}

#[test]
fn an_item_is_added_only_if_there_is_none_and_then_updated_in_place() {
    let framework = Arc::default();
    let item = item(&framework);
    assert_eq!(content(&item), None);
    item.save(&b"one".into()).unwrap();
    let added = framework.items();
    assert_eq!(framework.functions(), ["find", "update", "add"]);
    item.save(&b"two".into()).unwrap();
    assert_eq!(framework.functions(), ["update"], "an item that is there is never added again");
    assert_eq!(framework.items(), added, "it is the same item, with whoever may read it");
    assert_eq!(content(&item).as_deref(), Some(&b"two"[..]));
    assert!(item.delete().unwrap());
    assert!(!item.delete().unwrap());
}

#[test]
fn an_item_that_another_program_adds_meanwhile_is_updated() {
    let framework: Arc<FakeKeychain> = Arc::default();
    let item = item(&framework);
    item.save(&b"theirs".into()).unwrap();
    // The item was absent at the update and exists at the add.
    framework.refuse("update", Status::ITEM_NOT_FOUND);
    item.save(&b"ours".into()).unwrap();
    assert_eq!(content(&item).as_deref(), Some(&b"ours"[..]));
    assert_eq!(framework.items().len(), 1);
}

#[test]
fn every_refusal_is_a_typed_error_with_the_item_and_a_remedy_and_only_not_found_is_absent() {
    let framework: Arc<FakeKeychain> = Arc::default();
    let item = item(&framework);
    for (number, kind, word) in [
        (-25308, ErrorKind::StoreLocked, "unlock-keychain"),
        (-25293, ErrorKind::PermissionDenied, "Access Control"),
        (-128, ErrorKind::StoreLocked, "Always Allow"),
        (-34018, ErrorKind::StoreUnavailable, "Sign it"),
        (-25291, ErrorKind::StoreUnavailable, "default keychain"),
        (-25307, ErrorKind::StoreUnavailable, "default keychain"),
        (-67671, ErrorKind::StoreFailed, "security error"),
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
            ("delete", {
                framework.refuse("delete", Status(number));
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
    let framework: Arc<FakeKeychain> = Arc::default();
    let silent = item(&framework);
    silent.save(&b"{}".into()).unwrap();
    silent.load().unwrap();
    assert!(framework.asked().iter().all(|asked| asked.silently));
    let asking = item(&framework).prompting(Prompting::allowed());
    asking.load().unwrap();
    assert!(framework.asked().iter().all(|asked| !asked.silently));
}

#[test]
fn a_prompting_operation_outlasts_a_silent_one_of_another_thread() {
    let framework: Arc<FakeKeychain> = Arc::default();
    let asking = item(&framework).prompting(Prompting::allowed());
    asking.save(&b"{}".into()).unwrap();
    framework.refuse("find", Status::INTERACTION_NOT_ALLOWED);
    framework.refuse("find", Status::INTERACTION_NOT_ALLOWED);
    assert!(asking.load().unwrap().is_some());
}

#[test]
fn a_keychain_and_a_user_that_never_answer_are_typed_errors_in_time() {
    let framework: Arc<FakeKeychain> = Arc::default();
    framework.delay(Duration::from_secs(3));
    let limit = Duration::from_millis(100);
    let (errors, took) = timed(|| {
        let silent = item(&framework).deadline(limit).load();
        let asking = item(&framework).prompting(Prompting::Allowed { limit }).load();
        [silent, asking].map(|outcome| outcome.unwrap_err().kind())
    });
    assert_eq!(errors, [ErrorKind::StoreTimeout, ErrorKind::StoreLocked]);
    assert!(took.naps < Duration::from_secs(2), "{took:?}");
}

#[test]
fn verification_tries_the_keychain_once_without_a_prompt_and_leaves_nothing() {
    let framework: Arc<FakeKeychain> = Arc::default();
    let item = item(&framework).prompting(Prompting::allowed());
    item.verify().unwrap();
    let asked = framework.asked();
    let functions: Vec<_> = asked.iter().map(|asked| asked.function).collect();
    assert_eq!(functions, ["find", "update", "add", "find", "delete"]);
    assert!(asked[1..].iter().all(|asked| asked.silently && asked.item.service == "tokenkeep-probe"));
    assert_eq!(framework.items(), []);
    item.clone().verify().unwrap();
    assert_eq!(framework.functions(), ["find"], "once per process is enough");
}

#[test]
fn an_item_that_can_be_read_is_sufficient_verification() {
    let framework: Arc<FakeKeychain> = Arc::default();
    item(&framework).save(&b"{}".into()).unwrap();
    framework.asked();
    item(&framework).verify().unwrap();
    assert_eq!(framework.functions(), ["find"]);
}

#[test]
fn a_failed_verification_is_an_error_removes_its_probe_and_is_repeated() {
    let framework: Arc<FakeKeychain> = Arc::default();
    let item = item(&framework);
    framework.refuse("add", Status::MISSING_ENTITLEMENT);
    assert_eq!(item.verify().unwrap_err().kind(), ErrorKind::StoreUnavailable);
    assert_eq!(framework.functions().last(), Some(&"delete"));
    item.verify().unwrap();
    assert!(framework.functions().contains(&"add"));
    assert_eq!(framework.items(), []);
}

#[test]
fn the_access_group_and_the_data_protection_keychain_are_in_every_call() {
    let framework: Arc<FakeKeychain> = Arc::default();
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
    let framework: Arc<FakeKeychain> = Arc::default();
    for (service, account) in [("", "a"), ("s", ""), ("s\0", "a"), ("s", "a\0")] {
        let refused =
            KeychainItem::over(Arc::<FakeKeychain>::clone(&framework), service, account).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    }
}
