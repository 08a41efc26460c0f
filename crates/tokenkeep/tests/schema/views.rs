//! The typed views, on caches of the real libraries.

use std::time::{Duration, SystemTime};

use tokenkeep::schema::Contents;

use crate::support::VECTORS;

const CLIENT: &str = "11111111-aaaa-4aaa-8aaa-000000000001";
const TENANT: &str = "22222222-bbbb-4bbb-8bbb-000000000001";

#[test]
fn every_library_s_entries_are_seen_with_their_fields() {
    for (library, text) in VECTORS {
        let contents = Contents::parse(text.as_bytes()).unwrap();
        let ada = contents.accounts().next().unwrap();
        assert_eq!(ada.username().as_deref(), Some("ada@example.com"), "{library}");
        assert_eq!(ada.realm().as_deref(), Some(TENANT), "{library}");
        assert_eq!(ada.authority_type().as_deref(), Some("MSSTS"), "{library}");
        let home = ada.home_account_id().unwrap();
        assert!(home.starts_with(&*ada.local_account_id().unwrap()), "{library}");

        let token =
            contents.access_tokens().find(|token| token.home_account_id().as_ref() == Some(&home)).unwrap();
        assert!(token.is_plain_bearer(), "{library}");
        assert!(token.covers(&["user.READ"]) && !token.covers(&["User.Read", "other"]), "{library}");
        assert_eq!(token.client_id().as_deref(), Some(CLIENT), "{library}");
        let cached = token.cached_at().unwrap();
        assert!(token.secret().unwrap().expose().starts_with(b"fake"), "{library}");
        assert_eq!(
            token.expires_on().unwrap().duration_since(cached).unwrap().as_secs() / 10,
            360,
            "{library}"
        );
        assert!(
            !token.is_expired(cached) && token.is_expired(cached + Duration::from_secs(4000)),
            "{library}"
        );
        assert!(token.refresh_on().unwrap() < token.expires_on().unwrap(), "{library}");
        assert!(token.extended_expires_on().unwrap() > token.expires_on().unwrap(), "{library}");

        let refresh =
            contents.refresh_tokens().find(|token| token.home_account_id().as_ref() == Some(&home)).unwrap();
        assert!(refresh.secret().unwrap().expose().ends_with(b"of-ada"), "{library}");
        let id = contents.id_tokens().next().unwrap();
        assert_eq!(
            (id.client_id().as_deref(), id.realm().as_deref()),
            (Some(CLIENT), Some(TENANT)),
            "{library}"
        );
        let app = contents.app_metadata().next().unwrap();
        assert_eq!(app.client_id().as_deref(), Some(CLIENT), "{library}");
        assert!(app.environment().unwrap().starts_with("login."), "{library}");
    }
}

#[test]
fn a_family_is_read_and_an_empty_one_is_none() {
    let families = |text: &str| -> Vec<Option<String>> {
        let contents = Contents::parse(text.as_bytes()).unwrap();
        contents.refresh_tokens().map(|token| token.family_id().map(Into::into)).collect()
    };
    let of = |library: &str| families(VECTORS.iter().find(|vector| vector.0 == library).unwrap().1);
    assert_eq!(of("msal-node"), [None, Some("1".to_owned())]);
    // .NET writes an empty text.
    assert_eq!(of("msal-dotnet"), [None, None]);
}

#[test]
fn tokens_with_keys_and_extensions_are_no_plain_bearers() {
    let text = VECTORS.iter().find(|vector| vector.0 == "msal-dotnet").unwrap().1;
    let contents = Contents::parse(text.as_bytes()).unwrap();
    let plain: Vec<_> = contents.access_tokens().map(|token| token.is_plain_bearer()).collect();
    assert_eq!(plain, [true, true, false, false]);
    let bound = contents.access_tokens().nth(2).unwrap();
    assert_eq!(bound.key_id().as_deref(), Some("fake-key"));
}

#[test]
fn a_token_of_the_app_itself_has_no_account() {
    let text = VECTORS.iter().find(|vector| vector.0 == "msal-python").unwrap().1;
    let contents = Contents::parse(text.as_bytes()).unwrap();
    let last = contents.access_tokens().last().unwrap();
    assert_eq!(
        (last.home_account_id(), last.scopes()),
        (None, vec!["https://example.com/.default".to_owned()])
    );
}

#[test]
fn no_printed_text_contains_a_token() {
    for (library, text) in VECTORS {
        let contents = Contents::parse(text.as_bytes()).unwrap();
        let mut printed = format!("{contents:?}");
        contents.access_tokens().for_each(|view| printed += &format!("{view:?}"));
        contents.refresh_tokens().for_each(|view| printed += &format!("{view:?}"));
        contents.id_tokens().for_each(|view| printed += &format!("{view:?}"));
        contents.accounts().for_each(|view| printed += &format!("{view:?}"));
        assert!(!printed.contains("token-of") && !printed.contains("token=of"), "{library}: {printed}");
        assert!(!printed.contains("eyJhbGci"), "{library}: {printed}");
        assert!(printed.contains("ada@example.com"), "{library}: {printed}");
        let token = contents.access_tokens().next().unwrap();
        assert_eq!(token.field("secret"), None, "the way to a token says what it is");
    }
}

#[test]
fn fields_of_the_wrong_type_are_absent_and_numbers_are_read() {
    let text =
        br#"{"AccessToken":{"k":{"secret":5,"expires_on":1700000000.5,"target":["a"],"home_account_id":null,
        "client_id":{},"realm":7,"cached_at":"soon","refresh_on":"-1e999"}}}"#;
    let contents = Contents::parse(text).unwrap();
    let token = contents.access_tokens().next().unwrap();
    assert_eq!(
        (token.secret(), token.target(), token.home_account_id(), token.client_id()),
        (None, None, None, None)
    );
    assert_eq!(token.realm().as_deref(), Some("7"));
    let expected = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_500);
    assert_eq!(token.expires_on(), Some(expected));
    assert_eq!((token.cached_at(), token.refresh_on()), (None, None));
    // A token without a time must not be used.
    let timeless = Contents::parse(br#"{"AccessToken":{"k":{"secret":"s"}}}"#).unwrap();
    assert!(timeless.access_tokens().next().unwrap().is_expired(SystemTime::UNIX_EPOCH));
}

#[test]
fn an_empty_file_is_an_empty_cache_and_anything_else_is_damage() {
    assert_eq!(Contents::parse(b"").unwrap().accounts().count(), 0);
    assert_eq!(Contents::parse(b"[]").unwrap_err().kind(), tokenkeep::ErrorKind::Damaged);
    assert_eq!(Contents::parse(br#"{"Account":"#).unwrap_err().kind(), tokenkeep::ErrorKind::Damaged);
}
