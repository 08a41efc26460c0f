//! `put` writes the entry that each library would write, and changes no other entry.

use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use serde_json::Value;
use tokenkeep::schema::{Contents, Ids, Record, Section, put, remove_account, remove_refresh_token};

use crate::support::VECTORS;

const CLIENT: &str = "11111111-aaaa-4aaa-8aaa-000000000001";
const TENANT: &str = "22222222-bbbb-4bbb-8bbb-000000000001";
const ADA: &str = "33333333-cccc-4ccc-8ccc-000000000001.22222222-bbbb-4bbb-8bbb-000000000001";
const BOB: &str = "33333333-cccc-4ccc-8ccc-000000000009.22222222-bbbb-4bbb-8bbb-000000000001";

fn vector(library: &str) -> &'static [u8] {
    VECTORS.iter().find(|vector| vector.0 == library).unwrap().1.as_bytes()
}

fn ids<'a>(home_account_id: &'a str, environment: &'a str) -> Ids<'a> {
    Ids { home_account_id, environment, client_id: CLIENT, realm: TENANT }
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

/// Returns the records of one sign-in.
fn sign_in<'a>(ids: Ids<'a>, family: Option<&'a str>) -> [Record<'a>; 5] {
    [
        Record::access_token(
            ids,
            &["User.Read", "openid", "profile"],
            "new-access",
            at(1_800_000_000),
            at(1_800_003_600),
        ),
        Record::refresh_token(ids, family, "new-refresh"),
        Record::id_token(ids, "new-id"),
        Record::account(ids, ids.home_account_id.split('.').next().unwrap(), "somebody@example.com")
            .field("name", "José \"Joe\" \u{1F600}\u{7}")
            .field("client_info", "e30"),
        Record::app_metadata(ids, family),
    ]
}

fn json(text: &[u8]) -> Value {
    serde_json::from_slice(text).unwrap()
}

fn keys(cache: &Value, section: Section, whose: &str) -> Vec<String> {
    let whose = whose.to_lowercase();
    let keys = cache[section.name()].as_object().unwrap().keys();
    keys.filter(|key| key.to_lowercase().contains(&whose)).cloned().collect()
}

#[test]
fn new_entries_get_the_keys_that_the_library_of_the_cache_gives() {
    for library in ["msal-node", "msal-python", "msal-go", "msal4j", "msal-dotnet"] {
        let original = json(vector(library));
        let ada = original["RefreshToken"].as_object().unwrap().values().next().unwrap();
        let family = ada["family_id"].as_str().filter(|family| !family.is_empty());
        let environment = ada["environment"].as_str().unwrap();
        let next =
            json(put(Some(vector(library)), &sign_in(ids(BOB, environment), family)).unwrap().expose());
        for section in [Section::RefreshToken, Section::IdToken, Section::Account] {
            let theirs = keys(&original, section, ADA)[0].replace(ADA, BOB);
            let theirs = match (library, section) {
                // Python's key ends with the scopes; a refresh token that we store has none.
                ("msal-python", Section::RefreshToken) => theirs.replace("user.read openid profile", ""),
                _ => theirs,
            };
            assert_eq!(keys(&next, section, BOB), [theirs], "{library}: {section}");
        }
        let tokens = keys(&next, Section::AccessToken, BOB);
        let end =
            if library == "msal-node" { "user.read openid profile-" } else { "user.read openid profile" };
        assert!(tokens.len() == 1 && tokens[0].ends_with(end), "{library}: {tokens:?}");
    }
}

#[test]
fn an_entry_that_is_there_keeps_its_key_its_order_and_what_is_unknown() {
    for (library, text) in VECTORS {
        let before = json(text.as_bytes());
        let environment = Contents::parse(text.as_bytes())
            .unwrap()
            .accounts()
            .next()
            .unwrap()
            .environment()
            .unwrap()
            .into_owned();
        let next =
            put(Some(text.as_bytes()), &[Record::refresh_token(ids(ADA, &environment), None, "rotated")])
                .unwrap();
        let mut expected = before.clone();
        let entry = expected["RefreshToken"].as_object_mut().unwrap().values_mut().next().unwrap();
        entry["secret"] = "rotated".into();
        // Including the order of all members.
        assert_eq!(json(next.expose()).to_string(), expected.to_string(), "{library}");
    }
}

#[test]
fn other_names_of_the_cloud_are_the_same_entry() {
    // Written by Python, and by another library in the meantime.
    let content = put(
        Some(vector("msal-python")),
        &[Record::refresh_token(ids(ADA, "login.microsoft.com"), None, "one")],
    )
    .unwrap();
    assert_eq!(keys(&json(content.expose()), Section::RefreshToken, ADA).len(), 1);
    let contents = Contents::parse(content.expose()).unwrap();
    let token = contents.refresh_tokens().next().unwrap();
    assert_eq!(token.environment().as_deref(), Some("login.microsoftonline.com"));
    assert_eq!(token.secret().unwrap().expose(), b"one");
    // Another cloud is another entry.
    let content = put(
        Some(content.expose()),
        &[Record::refresh_token(ids(ADA, "login.microsoftonline.us"), None, "two")],
    )
    .unwrap();
    assert_eq!(keys(&json(content.expose()), Section::RefreshToken, ADA).len(), 2);
}

#[test]
fn all_twins_of_a_refresh_token_are_renewed() {
    let twins = br#"{"RefreshToken":{
        "node":{"home_account_id":"u.t","environment":"login.windows.net","client_id":"c","credential_type":"RefreshToken","secret":"old"},
        "python":{"home_account_id":"U.T","environment":"login.microsoftonline.com","client_id":"c","credential_type":"RefreshToken","secret":"older","target":"a b"},
        "other":{"home_account_id":"u.t","environment":"login.windows.net","client_id":"d","credential_type":"RefreshToken","secret":"other"}}}"#;
    let ids = Ids { home_account_id: "u.t", environment: "login.windows.net", client_id: "c", realm: "" };
    let next = put(Some(twins), &[Record::refresh_token(ids, None, "new")]).unwrap();
    let contents = Contents::parse(next.expose()).unwrap();
    let secrets: Vec<_> = contents.refresh_tokens().map(|token| token.secret().unwrap()).collect();
    assert_eq!(
        secrets.iter().map(|secret| secret.expose()).collect::<Vec<_>>(),
        [&b"new"[..], b"new", b"other"]
    );
}

#[test]
fn an_access_token_replaces_those_that_share_some_of_its_scopes() {
    let ids = Ids { home_account_id: "u.t", environment: "e", client_id: "c", realm: "t" };
    let token = |scopes: &[&str], secret: &str| Record::access_token(ids, scopes, secret, at(1), at(2));
    let content =
        put(None, &[token(&["a", "openid"], "1"), token(&["b", "openid"], "2"), token(&["c"], "3")]).unwrap();
    assert_eq!(
        Contents::parse(content.expose()).unwrap().access_tokens().count(),
        3,
        "openid makes none alike"
    );
    let content = put(Some(content.expose()), &[token(&["B", "a"], "4")]).unwrap();
    let contents = Contents::parse(content.expose()).unwrap();
    let left: Vec<_> = contents.access_tokens().map(|token| token.secret().unwrap()).collect();
    assert_eq!(left.iter().map(|secret| secret.expose()).collect::<Vec<_>>(), [b"3", b"4"]);
}

#[test]
fn a_renewed_access_token_keeps_no_times_of_the_old_one() {
    let ids = ids(ADA, "login.windows.net");
    let token = Record::access_token(
        ids,
        &["user.read", "openid", "profile"],
        "new",
        at(1_800_000_000),
        at(1_800_003_600),
    );
    let next = put(Some(vector("msal-dotnet")), &[token]).unwrap();
    let contents = Contents::parse(next.expose()).unwrap();
    let token = contents.access_tokens().next().unwrap();
    assert_eq!((token.refresh_on(), token.field("ext_expires_on")), (None, None));
    assert_eq!(token.extended_expires_on(), Some(at(1_800_003_600)));
    assert_eq!(token.target().as_deref(), Some("openid profile User.Read"), "as .NET wrote it");
    assert_eq!(
        contents.access_tokens().filter(|token| !token.is_plain_bearer()).count(),
        2,
        "bound tokens stay"
    );
}

#[test]
fn everything_written_is_a_string_in_plain_ascii() {
    let content = put(None, &sign_in(ids(ADA, "login.windows.net"), Some("1"))).unwrap();
    assert!(content.expose().is_ascii());
    let cache = json(content.expose());
    for section in Section::ALL {
        let (_, entry) = cache[section.name()].as_object().unwrap().iter().next().unwrap();
        for (name, value) in entry.as_object().unwrap() {
            assert!(value.as_str().is_some_and(|text| !text.is_empty()), "{section}.{name} is {value}");
        }
    }
    let account = cache["Account"].as_object().unwrap().values().next().unwrap();
    assert_eq!(account["name"], "José \"Joe\" \u{1F600}\u{7}");
}

#[test]
fn a_redeemed_refresh_token_is_removed_and_no_other_entry() {
    let removal = remove_refresh_token(vector("msal-node"), b"fake-refresh-token-of-ada").unwrap();
    assert_eq!(removal.removed, 1);
    let mut expected = json(vector("msal-node"));
    let key = keys(&expected, Section::RefreshToken, ADA).remove(0);
    expected["RefreshToken"].as_object_mut().unwrap().shift_remove(&key);
    assert_eq!(json(removal.content.expose()).to_string(), expected.to_string());
    assert_eq!(remove_refresh_token(vector("msal-node"), b"unknown").unwrap().removed, 0);
}

#[test]
fn content_that_is_not_a_cache_is_refused() {
    let error = put(Some(b"[1]"), &[Record::app_metadata(Ids::default(), None)]).unwrap_err();
    assert_eq!(error.kind(), tokenkeep::ErrorKind::Damaged);
}

fn text() -> impl Strategy<Value = String> {
    "[a-cA-C./:\"\\\\é\u{1}😀]{0,6}"
}

#[derive(Clone, Debug)]
struct Person {
    home: String,
    client: String,
    realm: String,
    scopes: Vec<String>,
    secret: String,
    family: Option<String>,
}

fn person() -> impl Strategy<Value = Person> {
    let scopes = prop::collection::vec("[a-c]{1,2}", 0..3);
    (text(), text(), text(), scopes, text(), prop::option::of("[12]")).prop_map(
        |(home, client, realm, scopes, secret, family)| Person {
            home,
            client,
            realm,
            scopes,
            secret,
            family,
        },
    )
}

fn records(person: &Person) -> Vec<Record<'_>> {
    let ids = Ids {
        home_account_id: &person.home,
        environment: "login.windows.net",
        client_id: &person.client,
        realm: &person.realm,
    };
    let scopes: Vec<&str> = person.scopes.iter().map(String::as_str).collect();
    vec![
        Record::access_token(ids, &scopes, &*person.secret, at(5), at(9)),
        Record::refresh_token(ids, person.family.as_deref(), &*person.secret),
        Record::id_token(ids, &*person.secret),
        Record::account(ids, "local", &person.secret),
        Record::app_metadata(ids, person.family.as_deref()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_stored_entry_is_found_and_storing_it_again_changes_nothing(vector in 0..VECTORS.len(), people in prop::collection::vec(person(), 1..4)) {
        let mut content = VECTORS[vector].1.as_bytes().to_vec();
        for person in &people {
            let records = records(person);
            let next = put(Some(&content), &records).unwrap();
            json(next.expose());
            let again = put(Some(next.expose()), &records).unwrap();
            prop_assert_eq!(&again, &next);
            content = next.expose().to_vec();
        }
        let last = people.last().unwrap();
        let contents = Contents::parse(&content).unwrap();
        let scopes: Vec<&str> = last.scopes.iter().map(String::as_str).collect();
        let secret = (!last.secret.is_empty()).then_some(last.secret.as_bytes());
        let mine = |home: Option<std::borrow::Cow<'_, str>>| home.unwrap_or_default().eq_ignore_ascii_case(&last.home);
        let found = contents.access_tokens().any(|token| {
            mine(token.home_account_id()) && token.covers(&scopes) && token.secret().as_ref().map(|secret| secret.expose()) == secret
        });
        prop_assert!(found);
        let found = contents.refresh_tokens().filter(|token| mine(token.home_account_id()));
        prop_assert!(found.into_iter().any(|token| token.secret().as_ref().map(|secret| secret.expose()) == secret));
    }

    #[test]
    fn the_entries_of_others_stay_byte_for_byte(vector in 0..VECTORS.len(), person in person()) {
        let person = Person { home: format!("new.{}", person.home), client: format!("new {}", person.client), ..person };
        let before = VECTORS[vector].1.as_bytes();
        let next = put(Some(before), &records(&person)).unwrap();
        let before: Value = json(before);
        let after: Value = json(next.expose());
        for section in Section::ALL {
            let (before, after) = (before[section.name()].as_object().unwrap(), after[section.name()].as_object().unwrap());
            prop_assert_eq!(after.len(), before.len() + 1, "{}", section);
            prop_assert!(before.iter().zip(after).all(|(before, after)| before == after), "{}", section);
        }
        // Signing that user out again restores the earlier content.
        let removed = remove_account(next.expose(), &person.home).unwrap();
        prop_assert_eq!(removed.removed, 4);
    }
}
