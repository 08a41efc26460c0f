//! The removal of an account.

use serde_json::json;
use tokenkeep::ErrorKind;
use tokenkeep::schema::{Section, remove_account};

use crate::support::{Cache, VECTORS, assert_same};

#[test]
fn removing_an_account_removes_all_its_entries_in_any_case_of_the_id() {
    let kept =
        Cache::new().account("bob", "Bob").refresh("bob", "r").app("1").root("Future", json!({ "a": 1 }));
    let all =
        kept.clone().account("Ada", "Ada").refresh("ADA", "r").access("ada", "a", "1").id("ada", "i").with(
            Section::AccessToken,
            "ext",
            json!({ "credential_type": "ATExt", "home_account_id": "\u{61}da" }),
        );
    let removal = remove_account(&all.text(), "aDa").unwrap();
    assert_eq!(removal.removed, 5);
    assert_same(removal.content.expose(), &kept);
}

#[test]
fn removing_a_missing_account_changes_no_byte() {
    for (name, text) in VECTORS {
        let removal = remove_account(text.as_bytes(), "nobody").unwrap();
        assert_eq!(removal.removed, 0);
        assert_eq!(removal.content.expose(), text.as_bytes(), "{name}");
    }
}

#[test]
fn every_librarys_account_can_be_removed() {
    for (name, text) in VECTORS {
        let ada = "33333333-CCCC-4ccc-8ccc-000000000001.22222222-bbbb-4bbb-8bbb-000000000001";
        let removal = remove_account(text.as_bytes(), ada).unwrap();
        let left = std::str::from_utf8(removal.content.expose()).unwrap().to_ascii_lowercase();
        assert!(removal.removed >= 4, "{name}: {}", removal.removed);
        assert!(!left.contains(&ada.to_ascii_lowercase()), "{name}: {left}");
        let ours: serde_json::Value = serde_json::from_str(&left).unwrap();
        assert_eq!(ours["account"].as_object().unwrap().len(), 1, "{name}");
    }
}

#[test]
fn an_empty_id_names_no_account() {
    assert_eq!(remove_account(b"{}", "").unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn damaged_content_is_not_touched() {
    assert_eq!(remove_account(b"{\"Account\":", "ada").unwrap_err().kind(), ErrorKind::Damaged);
}
