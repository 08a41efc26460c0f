//! The unified cache: the source of a token, the requests to the service, and the cache's content afterwards.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use azure_core::credentials::TokenCredential;
use azure_core::error::ErrorKind;
use azure_core::time::OffsetDateTime;
use tokenkeep::schema::{Contents, remove_account};
use tokenkeep_azure::{AuthenticationRecord, MsalCacheCredential};

use crate::support::service::{Fault, Service};
use crate::support::{ADA, CLIENT, Place, SCOPE, Signed, options, signed};

const EXPIRED: Duration = Duration::ZERO;
const HOUR: Duration = Duration::from_secs(3600);

async fn token(signed: &Signed) -> String {
    signed.credential.get_token(&[SCOPE], None).await.unwrap().token.secret().to_owned()
}

#[tokio::test]
async fn the_first_use_signs_in_and_the_next_process_needs_no_prompt() {
    let (place, service) = (Place::new(), Service::start());
    service.fail("device_code", &[Fault::Pending, Fault::Pending]);
    let one = signed(&place.open(), &service);
    let first = token(&one).await;
    assert_eq!(one.prompts.all(), ["Open the page and enter ABCD-EFGH."]);
    assert_eq!((service.count("device_code"), service.requests()), (3, 3));
    let record = one.credential.record().unwrap();
    assert_eq!((record.username(), record.tenant_id()), (ADA, "tenant-of-contoso"));

    let two = signed(&place.open(), &service);
    assert_eq!(token(&two).await, first);
    assert_eq!(two.credential.accounts().await.unwrap(), [record]);
    assert_eq!((service.requests(), two.prompts.all().len(), two.warnings.all().len()), (3, 0, 0));
}

#[tokio::test]
async fn slow_down_makes_the_pauses_between_polls_longer() {
    let (place, service) = (Place::new(), Service::start());
    service.fail("device_code", &[Fault::SlowDown]);
    let began = std::time::Instant::now();
    token(&signed(&place.open(), &service)).await;
    assert!(began.elapsed() >= Duration::from_secs(5), "it waited {:?}", began.elapsed());
}

#[tokio::test]
async fn an_expired_token_is_renewed_and_the_rotated_refresh_token_is_stored() {
    let (place, service) = (Place::new(), Service::start());
    place.sign_in(&service, "ada", EXPIRED);
    let spent = place.refresh_token().unwrap();
    let one = signed(&place.open(), &service);
    let renewed = token(&one).await;
    assert!(renewed.starts_with("access token"), "{renewed}");
    assert_ne!(place.refresh_token().unwrap(), spent);
    assert_eq!(token(&signed(&place.open(), &service)).await, renewed);
    assert_eq!(service.count("refresh_token"), 1);
    // Other scopes: the same sign-in, another token.
    let other = one.credential.get_token(&["https://other.example/.default"], None).await.unwrap();
    assert_ne!(other.token.secret(), renewed);
    assert_eq!((service.count("refresh_token"), one.prompts.all().len()), (2, 0));
    assert_eq!(token(&one).await, renewed);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tasks_at_the_moment_of_expiry_redeem_once() {
    let (place, service) = (Place::new(), Service::start());
    place.sign_in(&service, "ada", EXPIRED);
    let asking: Vec<_> = (0..24)
        .map(|_| signed(&place.open(), &service))
        .map(|signed| tokio::spawn(async move { token(&signed).await }))
        .collect();
    let mut tokens = Vec::new();
    for asked in asking {
        tokens.push(asked.await.unwrap());
    }
    tokens.dedup();
    assert_eq!((tokens.len(), service.count("refresh_token")), (1, 1));
}

#[tokio::test]
async fn a_token_due_for_replacement_is_replaced_early_or_used_if_that_fails() {
    let (place, service) = (Place::new(), Service::start());
    service.set(|behaviour| behaviour.refresh_in = Some(0));
    place.sign_in(&service, "ada", EXPIRED);
    let one = signed(&place.open(), &service);
    let first = token(&one).await;
    let second = token(&one).await;
    assert_ne!(first, second, "it was due at once");
    service.fail("refresh_token", &[Fault::InteractionRequired]);
    assert_eq!(token(&one).await, second, "nobody is asked to sign in while a token is good");
    assert_eq!(one.prompts.all().len(), 0);
}

#[tokio::test]
async fn a_needed_sign_in_shows_the_prompt_and_is_an_error_without_one() {
    let (place, service) = (Place::new(), Service::start());
    place.sign_in(&service, "ada", EXPIRED);
    let kept = place.refresh_token();
    let (mut silent, _, _) = options(&service);
    silent.prompt = None;
    let silent = MsalCacheCredential::new(&place.open(), CLIENT, Some(silent)).unwrap();
    service.fail("refresh_token", &[Fault::InteractionRequired]);
    let error = silent.get_token(&[SCOPE], None).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Credential), "{error:?}");
    assert!(error.to_string().contains("interaction_required"), "{error}");
    // That refusal concerns the user; the refresh token is still valid.
    assert_eq!(place.refresh_token(), kept);

    service.fail("refresh_token", &[Fault::InteractionRequired]);
    let asking = signed(&place.open(), &service);
    token(&asking).await;
    assert_eq!((asking.prompts.all().len(), service.count("device_code")), (1, 1));
}

#[tokio::test]
async fn a_refresh_token_that_the_service_refuses_permanently_is_not_tried_again() {
    let (place, service) = (Place::new(), Service::start());
    place.sign_in(&service, "ada", EXPIRED);
    service.fail("refresh_token", &[Fault::InvalidGrant]);
    let (mut silent, _, _) = options(&service);
    silent.prompt = None;
    let silent = MsalCacheCredential::new(&place.open(), CLIENT, Some(silent)).unwrap();
    for _ in 0..3 {
        assert!(silent.get_token(&[SCOPE], None).await.is_err());
    }
    assert_eq!((service.count("refresh_token"), place.refresh_token()), (1, None));
    let asking = signed(&place.open(), &service);
    token(&asking).await;
    assert_eq!((asking.prompts.all().len(), service.count("refresh_token")), (1, 1));
    assert!(place.refresh_token().is_some());
}

#[tokio::test]
async fn a_refresh_token_that_another_library_replaced_meanwhile_is_used_before_the_prompt() {
    let (place, service) = (Place::new(), Service::start());
    place.sign_in(&service, "ada", EXPIRED);
    let (sibling, newer) = (place.open(), service.refresh_token_for(ADA));
    let spent = place.refresh_token().unwrap();
    service.set(|behaviour| {
        behaviour.on_refresh = Some(Arc::new(move || {
            let text = |old: Option<&[u8]>| String::from_utf8(old.unwrap().to_vec()).unwrap();
            sibling.update(|old| text(old).replace(&spent, &newer)).unwrap();
        }));
    });
    // The service refuses the old token, as it does after another library has redeemed it.
    let refused = place.refresh_token().unwrap();
    service.set(|behaviour| behaviour.forget(&refused));
    let one = signed(&place.open(), &service);
    token(&one).await;
    assert_eq!((one.prompts.all().len(), service.count("refresh_token")), (0, 2));
}

#[tokio::test]
async fn a_token_from_the_future_is_not_trusted_but_a_rounded_time_is() {
    let (place, service) = (Place::new(), Service::start());
    place.sign_in(&service, "ada", HOUR);
    let kept_at = |ahead: u64| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        let mut cache = place.json();
        let entry = cache["AccessToken"].as_object_mut().unwrap().values_mut().next().unwrap();
        entry["cached_at"] = (now + ahead).to_string().into();
        place.open().update(|_| cache.to_string()).unwrap();
    };
    // The time that msal-node writes in the second half of every second.
    kept_at(1);
    assert_eq!(token(&signed(&place.open(), &service)).await, "old access token of ada");
    assert_eq!(service.requests(), 0);
    kept_at(86_400);
    assert_ne!(token(&signed(&place.open(), &service)).await, "old access token of ada");
    assert_eq!(service.count("refresh_token"), 1);
}

#[tokio::test]
async fn a_wrong_clock_of_the_service_does_not_matter() {
    for skew in [-7200, 7200] {
        let (place, service) = (Place::new(), Service::start());
        service.set(|behaviour| behaviour.skew = skew);
        place.sign_in(&service, "ada", EXPIRED);
        let one = signed(&place.open(), &service);
        let got = one.credential.get_token(&[SCOPE], None).await.unwrap();
        let left = got.expires_on - OffsetDateTime::now_utc();
        assert!(left.whole_minutes() >= 58 && left.whole_minutes() <= 60, "{left}");
        assert_eq!(token(&one).await, got.token.secret());
        assert_eq!(service.count("refresh_token"), 1);
    }
}

#[tokio::test]
async fn a_sign_out_removes_all_entries_of_the_account_and_no_others() {
    let (place, service) = (Place::new(), Service::start());
    place.sign_in(&service, "ada", HOUR);
    place.sign_in(&service, "bob", HOUR);
    let one = signed(&place.open(), &service);
    let accounts = one.credential.accounts().await.unwrap();
    let ada = accounts.iter().find(|account| account.username() == ADA).unwrap();
    assert!(one.credential.sign_out(ada).await.unwrap());
    assert!(!one.credential.sign_out(ada).await.unwrap());
    assert!(!place.json().to_string().contains("object-of-ada"));
    // Bob is the only account now, so no record is needed.
    assert_eq!(token(&one).await, "old access token of bob");
}

#[tokio::test]
async fn a_sign_out_during_a_refresh_is_not_undone() {
    let (place, service) = (Place::new(), Service::start());
    place.sign_in(&service, "ada", EXPIRED);
    let elsewhere = place.open();
    service.set(|behaviour| {
        behaviour.on_refresh = Some(Arc::new(move || {
            let home = "object-of-ada.tenant-of-contoso";
            elsewhere.update(|old| remove_account(old.unwrap(), home).unwrap().content).unwrap();
        }));
    });
    let (mut silent, _, _) = options(&service);
    silent.prompt = None;
    let credential = MsalCacheCredential::new(&place.open(), CLIENT, Some(silent)).unwrap();
    let error = credential.get_token(&[SCOPE], None).await.unwrap_err();
    assert!(error.to_string().contains("signed out meanwhile"), "{error}");
    assert!(!place.json().to_string().contains("object-of-ada"));
}

#[tokio::test]
async fn several_accounts_need_a_record_that_chooses_one() {
    let (place, service) = (Place::new(), Service::start());
    place.sign_in(&service, "ada", HOUR);
    place.sign_in(&service, "bob", HOUR);
    let error = signed(&place.open(), &service).credential.get_token(&[SCOPE], None).await.unwrap_err();
    assert!(error.to_string().contains(ADA) && error.to_string().contains("bob@"), "{error}");

    let records = signed(&place.open(), &service).credential.accounts().await.unwrap();
    for record in records {
        // The form in which a program keeps it in its settings.
        let kept = AuthenticationRecord::from_json(&record.to_json().unwrap()).unwrap();
        let (mut chosen, _, _) = options(&service);
        chosen.record = Some(kept);
        let credential = MsalCacheCredential::new(&place.open(), CLIENT, Some(chosen)).unwrap();
        let got = credential.get_token(&[SCOPE], None).await.unwrap();
        let name = record.username().split('@').next().unwrap();
        assert_eq!(got.token.secret(), format!("old access token of {name}"));
    }
    assert_eq!(service.requests(), 0);
}

#[tokio::test]
async fn a_sign_in_by_another_user_than_the_expected_one_is_refused() {
    let (place, service) = (Place::new(), Service::start());
    place.sign_in(&service, "bob", EXPIRED);
    let (mut chosen, _, _) = options(&service);
    chosen.record = signed(&place.open(), &service).credential.accounts().await.unwrap().pop();
    chosen.login_hint = Some(ADA.to_owned());
    service.fail("refresh_token", &[Fault::InteractionRequired]);
    let credential = MsalCacheCredential::new(&place.open(), CLIENT, Some(chosen)).unwrap();
    let error = credential.get_token(&[SCOPE], None).await.unwrap_err();
    assert!(error.to_string().contains("bob@contoso.example was expected"), "{error}");
    assert!(!place.json().to_string().contains("object-of-ada"), "nothing of hers is kept");
}

#[tokio::test]
async fn stored_entries_equal_those_of_the_msal_libraries() {
    let (place, service) = (Place::new(), Service::start());
    let credential = signed(&place.open(), &service).credential;
    let record = credential.authenticate(&[SCOPE]).await.unwrap();
    let cache = place.json();
    for section in ["AccessToken", "RefreshToken", "IdToken", "Account", "AppMetadata"] {
        let entries = cache[section].as_object().unwrap();
        assert_eq!(entries.len(), 1, "{section}");
        for (name, value) in entries.values().next().unwrap().as_object().unwrap() {
            assert!(value.is_string(), "{section}.{name} is {value}");
        }
    }
    let content = place.open().read().unwrap().unwrap();
    let contents = Contents::parse(content.expose()).unwrap();
    let access = contents.access_tokens().next().unwrap();
    assert!(access.covers(&[SCOPE, "openid", "profile", "offline_access"]));
    assert!(access.expires_on().unwrap() > SystemTime::now() + Duration::from_secs(3500));
    let account = contents.accounts().next().unwrap();
    assert_eq!(account.home_account_id().unwrap(), record.home_account_id());
    assert_eq!(account.environment().unwrap(), "login.windows.net");
}
