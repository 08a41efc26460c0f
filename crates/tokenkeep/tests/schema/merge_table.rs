//! The table of the merge, row by row.

use serde_json::json;
use tokenkeep::ErrorKind;
use tokenkeep::schema::{Change, Section, merge};

use crate::support::{Cache, assert_merged, assert_same, merge_texts, merged, merged_disturbed};

fn signed_in() -> Cache {
    Cache::new()
        .account("ada", "Ada")
        .refresh("ada", "r1")
        .access("ada", "a1", "100")
        .id("ada", "i1")
        .app("1")
}

// Entries that we did not change

#[test]
fn an_entry_we_did_not_change_is_taken_from_theirs() {
    let base = signed_in();
    let theirs = base.clone().refresh("ada", "r2").access("ada", "a2", "50").account("bob", "Bob").app("2");
    let merged = merged(&base, &base, &theirs);
    assert_merged(&merged, &theirs);
    assert!(merged.unchanged);
    assert_eq!(merged.content.expose(), theirs.text());
}

#[test]
fn an_entry_others_deleted_and_we_did_not_change_stays_deleted() {
    let theirs = signed_in().without(Section::RefreshToken, "ada-rt");
    assert_merged(&merged(&signed_in(), &signed_in(), &theirs), &theirs);
}

// Added or changed by us alone

#[test]
fn an_entry_we_added_is_added() {
    let ours = signed_in().account("bob", "Bob").refresh("bob", "r1");
    assert_merged(&merged(&signed_in(), &ours, &signed_in()), &ours);
}

#[test]
fn an_entry_we_added_joins_those_others_added() {
    let ours = signed_in().refresh("bob", "r");
    let theirs = signed_in().refresh("eve", "r");
    let both = signed_in().refresh("eve", "r").refresh("bob", "r");
    assert_merged(&merged(&signed_in(), &ours, &theirs), &both);
}

#[test]
fn an_entry_only_we_changed_is_ours_even_if_its_access_token_gets_older() {
    let ours = signed_in()
        .refresh("ada", "r2")
        .access("ada", "a2", "50")
        .id("ada", "i2")
        .app("2")
        .account("ada", "A.");
    assert_merged(&merged(&signed_in(), &ours, &signed_in()), &ours);
}

#[test]
fn an_entry_we_changed_and_others_deleted_is_ours_while_the_account_exists() {
    let ours = signed_in().refresh("ada", "r2");
    let theirs = signed_in().without(Section::RefreshToken, "ada-rt");
    assert_merged(&merged(&signed_in(), &ours, &theirs), &ours);
}

#[test]
fn an_entry_we_changed_is_taken_whole_with_its_unknown_fields() {
    let entry =
        |secret: &str| json!({ "home_account_id": "ada", "secret": secret, "future": [1, { "x": null }] });
    let base = signed_in().with(Section::RefreshToken, "ada-rt", entry("r1"));
    let ours = signed_in().with(Section::RefreshToken, "ada-rt", entry("r2"));
    assert_merged(&merged(&base, &ours, &base), &ours);
}

// Added or changed by both

#[test]
fn the_later_of_two_new_access_tokens_stays() {
    for (ours, theirs, winner) in [
        (json!("200"), json!("300"), "theirs"),
        (json!("300"), json!("200"), "ours"),
        (json!("300"), json!("300"), "ours"),
        (json!("1000"), json!("999"), "ours"),
        (json!(200), json!("300"), "theirs"),
        (json!("200"), json!(300), "theirs"),
        (json!("200.5"), json!("200.25"), "ours"),
        (json!("soon"), json!("1"), "theirs"),
        (json!("1"), json!(null), "ours"),
        (json!(["9"]), json!("inf"), "ours"),
    ] {
        let changed = |name, time| signed_in().access("ada", name, time);
        let (ours, theirs) = (changed("ours", ours), changed("theirs", theirs));
        let expected = if winner == "ours" { &ours } else { &theirs };
        assert_merged(&merged(&signed_in(), &ours, &theirs), expected);
        let none = Cache::new();
        assert_merged(&merged(&none, &ours, &theirs), expected);
    }
}

#[test]
fn our_change_of_any_other_entry_wins_over_theirs() {
    let ours = signed_in().refresh("ada", "ours").id("ada", "ours").account("ada", "ours").app("ours");
    let theirs =
        signed_in().refresh("ada", "theirs").id("ada", "theirs").account("ada", "theirs").app("theirs");
    assert_merged(&merged(&signed_in(), &ours, &theirs), &ours);
}

#[test]
fn an_equal_change_by_both_keeps_the_text_of_theirs() {
    let ours = signed_in().refresh("ada", "r2");
    let theirs =
        serde_json::to_string_pretty(&serde_json::from_slice::<serde_json::Value>(&ours.text()).unwrap())
            .unwrap();
    let base = signed_in().text();
    let merged = merge_texts(Some(&base), &ours.text(), Some(theirs.as_bytes()), false);
    assert!(merged.unchanged);
    assert_eq!(merged.content.expose(), theirs.as_bytes());
}

// Deleted by us

#[test]
fn a_token_we_deleted_is_deleted() {
    for (section, key) in
        [(Section::AccessToken, "ada-at"), (Section::RefreshToken, "ada-rt"), (Section::IdToken, "ada-id")]
    {
        let ours = signed_in().without(section, key);
        assert_merged(&merged(&signed_in(), &ours, &signed_in()), &ours);
    }
}

#[test]
fn a_token_we_deleted_and_others_changed_stays() {
    let theirs = signed_in().refresh("ada", "r2").access("ada", "a2", "2").id("ada", "i2");
    for (section, key) in
        [(Section::AccessToken, "ada-at"), (Section::RefreshToken, "ada-rt"), (Section::IdToken, "ada-id")]
    {
        let merged = merged(&signed_in(), &signed_in().without(section, key), &theirs);
        assert_same(merged.content.expose(), &theirs);
        assert_eq!(merged.undeleted, 1);
        assert!(merged.unchanged);
    }
}

#[test]
fn a_token_that_only_the_client_writes_differently_can_be_deleted() {
    // msal-node drops a `tenantProfiles` of null, so the base that it reports differs from the stored content.
    let stored = |secret| json!({ "home_account_id": "ada", "credential_type": "RefreshToken", "secret": secret, "x": null });
    let held = signed_in().with(Section::RefreshToken, "ada-rt", stored("r1"));
    let ours = signed_in().without(Section::RefreshToken, "ada-rt");
    let (held, base, ours_text) = (held.text(), signed_in().text(), ours.text());
    let change = Change { held: Some(&held), base: Some(&base), ours: &ours_text, disturbed: false };
    assert_merged(&merge(&change, Some(&held)).unwrap(), &ours);
    // Without the content that the client loaded, another process seems to have changed the token.
    let change = Change { held: None, ..change };
    assert_eq!(merge(&change, Some(&held)).unwrap().undeleted, 1);
}

#[test]
fn an_entry_both_deleted_is_deleted() {
    let ours = signed_in().without(Section::RefreshToken, "ada-rt");
    assert_merged(&merged(&signed_in(), &ours, &ours), &ours);
}

#[test]
fn app_metadata_is_never_deleted() {
    let ours = signed_in().without(Section::AppMetadata, "appmetadata");
    let merged = merged(&signed_in(), &ours, &signed_in());
    assert_same(merged.content.expose(), &signed_in());
    assert_eq!(merged.undeleted, 1);
}

#[test]
fn nothing_is_deleted_while_the_window_is_disturbed() {
    let merged = merged_disturbed(&signed_in(), &Cache::new().refresh("bob", "r"), &signed_in());
    assert_same(merged.content.expose(), &signed_in().refresh("bob", "r"));
    assert_eq!((merged.dropped, merged.undeleted), (0, 5));
}

// Signing out

#[test]
fn signing_out_removes_every_entry_of_the_account() {
    let base = signed_in().account("bob", "Bob").refresh("bob", "r");
    let ours = Cache::new().account("bob", "Bob").refresh("bob", "r").app("1");
    // In the meantime one token was refreshed, one was added, and one of an unknown kind existed all along.
    let unknown = json!({ "home_account_id": "ADA", "credential_type": "ATExt", "secret": "x" });
    let theirs = base
        .clone()
        .refresh("ada", "r2")
        .with(
            Section::AccessToken,
            "ada-at2",
            json!({ "home_account_id": "Ada", "credential_type": "AccessToken" }),
        )
        .with(Section::AccessToken, "ada-ext", unknown)
        .account("ada", "changed");
    assert_merged(&merged(&base, &ours, &theirs), &ours);
}

#[test]
fn signing_out_removes_entries_added_for_the_account_in_the_same_window() {
    let ours = Cache::new().access("ada", "late", "200").app("1");
    assert_merged(&merged(&signed_in(), &ours, &signed_in()), &Cache::new().app("1"));
}

#[test]
fn signing_out_of_one_environment_keeps_the_other() {
    let elsewhere = json!({ "home_account_id": "ada", "environment": "china" });
    let base = signed_in().with(Section::Account, "ada-china", elsewhere);
    let ours = base.clone().without(Section::Account, "ada-e").without(Section::RefreshToken, "ada-rt");
    assert_merged(&merged(&base, &ours, &base), &ours);
}

#[test]
fn an_account_under_a_new_key_is_not_a_sign_out() {
    let entry = json!({ "home_account_id": "ADA", "environment": "e", "name": "Ada" });
    let ours = signed_in().without(Section::Account, "ada-e").with(Section::Account, "ada-e-tenant", entry);
    assert_merged(&merged(&signed_in(), &ours, &signed_in()), &ours);
}

#[test]
fn an_account_whose_entry_became_another_accounts_is_signed_out() {
    let other = json!({ "home_account_id": "bob", "environment": "e" });
    let ours = signed_in().with(Section::Account, "ada-e", other.clone());
    let expected = Cache::new().app("1").with(Section::Account, "ada-e", other);
    assert_merged(&merged(&signed_in(), &ours, &signed_in()), &expected);
}

#[test]
fn removing_an_account_without_an_id_removes_no_other_entry() {
    for id in [json!(""), json!(null), json!(7)] {
        let anonymous = json!({ "home_account_id": id, "environment": "e" });
        let ours = signed_in().with(
            Section::AccessToken,
            "app",
            json!({ "home_account_id": id, "credential_type": "AccessToken", "secret": "the app's own" }),
        );
        let base = ours.clone().with(Section::Account, "nobody", anonymous);
        assert_merged(&merged(&base, &ours, &base), &ours);
    }
}

// Signed out by others

#[test]
fn a_refreshed_token_of_an_account_signed_out_by_others_is_dropped_and_reported() {
    let base = signed_in().account("bob", "Bob").refresh("bob", "r1");
    let ours =
        base.clone().refresh("ada", "r2").access("ada", "a2", "200").id("ada", "new").refresh("bob", "r2");
    let theirs = Cache::new().account("bob", "Bob").refresh("bob", "r1").app("1");
    let merged = merged(&base, &ours, &theirs);
    assert_same(merged.content.expose(), &theirs.refresh("bob", "r2"));
    assert_eq!(merged.dropped, 3);
    assert_eq!(merged.conflict().unwrap().kind(), ErrorKind::Conflict);
}

#[test]
fn a_sign_out_by_others_is_no_conflict_if_we_changed_no_entry_of_the_account() {
    let base = signed_in().account("bob", "Bob");
    let theirs = Cache::new().account("bob", "Bob").app("1");
    let merged = merged(&base, &base.clone().refresh("bob", "r1"), &theirs);
    assert_merged(&merged, &theirs.refresh("bob", "r1"));
    assert!(merged.conflict().is_none());
}

#[test]
fn an_account_signed_out_by_others_and_in_again_by_us_is_written_whole() {
    for ours in [
        signed_in().account("ada", "renamed").refresh("ada", "r2"),
        signed_in().with(
            Section::Account,
            "ada-china",
            json!({ "home_account_id": "ada", "environment": "china" }),
        ),
    ] {
        let theirs = Cache::new().app("1");
        assert_merged(&merged(&signed_in(), &ours, &theirs), &ours);
    }
}

#[test]
fn an_account_others_moved_to_another_key_is_not_signed_out() {
    let ours = signed_in().refresh("ada", "r2");
    let theirs = signed_in().without(Section::Account, "ada-e").with(
        Section::Account,
        "ada-x",
        json!({ "home_account_id": "ADA" }),
    );
    let merged = merged(&signed_in(), &ours, &theirs);
    assert_merged(&merged, &theirs.refresh("ada", "r2"));
}

#[test]
fn an_emptied_store_signs_every_account_out() {
    let ours = signed_in().refresh("ada", "r2").account("bob", "Bob").refresh("bob", "r1");
    let expected = Cache::new().account("bob", "Bob").refresh("bob", "r1");
    for theirs in [None, Some(&b""[..]), Some(b"{}")] {
        let merged = merge_texts(Some(&signed_in().text()), &ours.text(), theirs, false);
        assert_same(merged.content.expose(), &expected);
        assert_eq!(merged.dropped, 1);
        assert!(!merged.unchanged);
    }
}

// Unknown entries

#[test]
fn entries_the_client_never_saw_stay() {
    let unknown = json!({ "home_account_id": "ada", "credential_type": "ATExt", "secret": "x" });
    let held = signed_in().with(Section::AccessToken, "ext", unknown).root("Future", json!({ "a": 1 }));
    let ours = signed_in().refresh("ada", "r2");
    let (held_text, base) = (held.text(), signed_in().text());
    let change = Change { held: Some(&held_text), base: Some(&base), ours: &ours.text(), disturbed: false };
    assert_merged(&merge(&change, Some(&held_text)).unwrap(), &held.refresh("ada", "r2"));
}

#[test]
fn an_entry_of_unknown_type_missing_from_ours_is_not_deleted() {
    let base = signed_in().with(Section::AccessToken, "ext", json!({ "credential_type": "ATExt" }));
    let merged = merged(&base, &signed_in(), &base);
    assert_same(merged.content.expose(), &base);
    assert_eq!(merged.undeleted, 1);
}

#[test]
fn an_unknown_section_follows_our_change_but_never_our_deletion_and_never_a_dispute() {
    let base = signed_in().root("Future", json!({ "a": 1 }));
    let changed = signed_in().root("Future", json!({ "a": 2 }));
    let theirs = signed_in().root("Future", json!({ "a": 3 }));
    assert_merged(&merged(&base, &changed, &base), &changed);
    assert_merged(&merged(&base, &changed, &theirs), &theirs);
    assert_merged(&merged(&base, &changed, &signed_in()), &changed);
    assert_merged(&merged(&signed_in(), &base, &signed_in()), &base);
    assert_same(merged(&base, &signed_in(), &base).content.expose(), &base);
}

// Without a base

#[test]
fn without_a_base_nothing_is_deleted() {
    let theirs = signed_in().account("bob", "Bob").refresh("bob", "r").root("Future", json!(1));
    let ours = Cache::new().account("eve", "Eve").refresh("ada", "r2").access("ada", "older", "99");
    let expected = theirs.clone().account("eve", "Eve").refresh("ada", "r2");
    for base in [None, Some(&b"torn {"[..]), Some(b"{}"), Some(b"")] {
        let merged = merge_texts(base, &ours.text(), Some(&theirs.text()), false);
        assert_merged(&merged, &expected);
    }
    let merged = merge(&Change::additions(&ours.text()), Some(&theirs.text())).unwrap();
    assert_merged(&merged, &expected);
}

#[test]
fn without_anything_stored_the_result_is_ours() {
    let merged = merge(&Change::additions(&signed_in().text()), None).unwrap();
    assert_eq!(merged.content.expose(), signed_in().text());
    assert!(!merged.unchanged);
}

// Content that cannot be merged

#[test]
fn a_stored_cache_that_is_damaged_is_an_error() {
    for theirs in [
        &b"{\"Account\":{"[..],
        b"[]",
        b"null",
        b" ",
        b"{\"Account\":[]}",
        b"{} {}",
        b"\0\0",
        b"{\"a\":\"\xFF\"}",
    ] {
        let error = merge(&Change::additions(&signed_in().text()), Some(theirs)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged, "{theirs:?}");
    }
}

#[test]
fn a_change_that_is_not_a_token_cache_is_an_error() {
    for ours in [&b""[..], b"{", b"opaque", b"{\"counter\":1}", b"{\"Account\":7}"] {
        let error = merge(&Change::additions(ours), Some(b"{}")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{ours:?}");
    }
}
