use std::time::{Duration, SystemTime};

use tokenkeep::ErrorKind;
use tokenkeep::record::{Partition, Survey, survey};

use crate::{PREFIX, ada};

const NOW: u64 = 1_800_000_000;

fn look(partition: &Partition, cache: &str) -> Survey {
    survey(partition, cache.as_bytes(), SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)).unwrap()
}

fn text(survey: &Survey) -> &str {
    std::str::from_utf8(survey.content.expose()).unwrap()
}

#[test]
fn a_users_record_takes_only_entries_of_that_user() {
    let cache = r#"{"Account":{"a":{"home_account_id":"Ada.Tenant"},"b":{"home_account_id":"bob.tenant"}},
      "AccessToken":{"app":{"secret":"s"},"b":{"home_account_id":"bob.tenant"}},
      "RefreshToken":{"a":{"home_account_id":"ada.tenant","secret":"r"}},"AppMetadata":{"m":{"client_id":"c"}},"Later":{"x":1}}"#;
    let found = look(&ada(), cache);
    assert_eq!((found.foreign, found.spent, found.is_empty, found.is_refreshable), (3, 0, false, true));
    assert_eq!(
        text(&found),
        r#"{"Account":{"a":{"home_account_id":"Ada.Tenant"}},"AccessToken":{},"RefreshToken":{"a":{"home_account_id":"ada.tenant","secret":"r"}},"AppMetadata":{"m":{"client_id":"c"}},"Later":{"x":1}}"#
    );
}

#[test]
fn an_access_token_goes_five_minutes_after_its_end() {
    let cache = |end: u64| {
        format!(
            r#"{{"AccessToken":{{"t":{{"home_account_id":"ada.tenant","expires_on":"{end}","secret":"s"}}}}}}"#
        )
    };
    let late = look(&ada(), &cache(NOW - 299));
    assert_eq!((late.spent, late.is_empty), (0, false));
    assert_eq!(late.last_expiry, Some(SystemTime::UNIX_EPOCH + Duration::from_secs(NOW - 299)));
    let spent = look(&ada(), &cache(NOW - 301));
    assert_eq!((spent.spent, spent.is_empty, spent.last_expiry), (1, true, None));
}

#[test]
fn a_cache_without_account_and_token_is_empty_whatever_metadata_it_has() {
    let signed_out =
        r#"{"Account":{},"IdToken":{},"AccessToken":{},"RefreshToken":{},"AppMetadata":{"m":{}}}"#;
    assert!(look(&ada(), signed_out).is_empty && look(&ada(), "{}").is_empty);
    assert!(!look(&ada(), r#"{"Account":{"a":{"home_account_id":"ada.tenant"}}}"#).is_empty);
}

#[test]
fn the_record_of_a_call_takes_the_tokens_of_its_assertion_and_never_a_refresh_token() {
    let call = Partition::on_behalf_of(PREFIX, "Hash", Some("ada.tenant")).unwrap();
    let cache = r#"{"AccessToken":{"t":{"home_account_id":"ada.tenant","user_assertion_hash":"Hash"},
      "o":{"home_account_id":"ada.tenant","user_assertion_hash":"Other"},"n":{"home_account_id":"ada.tenant"}},
      "RefreshToken":{"r":{"home_account_id":"ada.tenant"}},
      "Account":{"a":{"home_account_id":"ada.tenant"},"b":{"home_account_id":"bob.tenant"}},
      "IdToken":{"a":{"home_account_id":"ada.tenant"}}}"#;
    let found = look(&call, cache);
    assert_eq!((found.foreign, found.spent, found.is_empty, found.is_refreshable), (3, 1, false, false));
    let without = r#"{"AccessToken":{},"Account":{"a":{"home_account_id":"ada.tenant"}}}"#;
    assert!(look(&call, without).is_empty, "an account alone is of no use to a call");
}

#[test]
fn an_apps_record_takes_no_entry_of_a_user() {
    let app = Partition::app(PREFIX, "client", "tenant").unwrap();
    let cache =
        r#"{"AccessToken":{"t":{"home_account_id":"","secret":"s"},"u":{"home_account_id":"ada.tenant"}}}"#;
    let found = look(&app, cache);
    assert_eq!((found.foreign, found.is_empty), (1, false));
}

#[test]
fn a_record_of_the_programs_own_kind_takes_every_entry() {
    let session = Partition::own(PREFIX, "session", "1").unwrap();
    let cache = r#"{"Account":{"a":{"home_account_id":"ada.tenant"},"b":{"home_account_id":"bob.tenant"}}}"#;
    let found = look(&session, cache);
    assert_eq!((found.foreign, text(&found)), (0, cache));
}

#[test]
fn content_that_is_no_cache_is_damage() {
    let error = survey(&ada(), b"[]", SystemTime::now()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged);
}
