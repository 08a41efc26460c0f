//! Failures of the service, the store and the process.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use azure_core::credentials::TokenCredential;
use azure_core::http::{ExponentialRetryOptions, RetryOptions};
use azure_core::time::Duration as Span;
use tokenkeep_azure::MsalCacheCredential;

use crate::support::service::{Fault, Service};
use crate::support::{Broken, CLIENT, Place, SCOPE, example, finished, options, signed};

const EXPIRED: Duration = Duration::ZERO;

/// Three attempts with short pauses.
fn hasty() -> RetryOptions {
    RetryOptions::exponential(ExponentialRetryOptions {
        initial_delay: Span::milliseconds(1),
        max_retries: 2,
        ..ExponentialRetryOptions::default()
    })
}

#[tokio::test]
async fn a_busy_service_gets_the_next_request_after_the_time_it_names() {
    let (place, service) = (Place::new(), Service::start());
    place.sign_in(&service, "ada", EXPIRED);
    service.fail("refresh_token", &[Fault::TooMany]);
    let began = std::time::Instant::now();
    let one = signed(&place.open(), &service);
    one.credential.get_token(&[SCOPE], None).await.unwrap();
    assert!(
        began.elapsed() >= Duration::from_secs(1),
        "Retry-After was 1 s, it waited {:?}",
        began.elapsed()
    );
    assert_eq!((service.count("refresh_token"), one.prompts.all().len()), (2, 0));
}

#[tokio::test]
async fn while_the_service_is_down_a_token_is_used_until_it_expires() {
    let (place, service) = (Place::new(), Service::start());
    // Within the margin: too short to be returned while the service can give a better one.
    place.sign_in(&service, "ada", Duration::from_secs(120));
    let (mut options, prompts, warnings) = options(&service);
    options.client_options.retry = hasty();
    service.fail("refresh_token", &[Fault::Unavailable; 3]);
    let credential = MsalCacheCredential::new(&place.open(), CLIENT, Some(options.clone())).unwrap();
    let token = credential.get_token(&[SCOPE], None).await.unwrap();
    assert_eq!(token.token.secret(), "old access token of ada");
    assert!(warnings.all()[0].contains("503"), "{:?}", warnings.all());

    // A service that is down causes no prompt.
    let other = Place::new();
    other.sign_in(&service, "ada", EXPIRED);
    service.fail("refresh_token", &[Fault::Unavailable; 3]);
    let credential = MsalCacheCredential::new(&other.open(), CLIENT, Some(options)).unwrap();
    assert!(credential.get_token(&[SCOPE], None).await.is_err());
    assert_eq!((service.count("refresh_token"), prompts.all().len()), (6, 0));
    // When the service is back, a new token is returned.
    assert!(credential.get_token(&[SCOPE], None).await.unwrap().token.secret().starts_with("access token"));
}

#[tokio::test]
async fn a_sign_in_by_device_code_survives_network_failures() {
    let (place, service) = (Place::new(), Service::start());
    let (mut options, _, _) = options(&service);
    options.client_options.retry = RetryOptions::none();
    service.fail("device_code", &[Fault::Pending, Fault::HangUp, Fault::Unavailable, Fault::Pending]);
    let credential = MsalCacheCredential::new(&place.open(), CLIENT, Some(options)).unwrap();
    credential.get_token(&[SCOPE], None).await.unwrap();
    assert_eq!(service.count("device_code"), 5);
}

#[tokio::test]
async fn a_user_can_sign_in_although_the_store_fails() {
    let (place, service) = (Place::new(), Service::start());
    let one = signed(&Broken::open(&place), &service);
    let token = one.credential.get_token(&[SCOPE], None).await.unwrap();
    assert!(token.token.secret().starts_with("access token"));
    let warnings = one.warnings.all();
    assert!(warnings.iter().any(|text| text.contains("could not be kept")), "{warnings:?}");
    assert!(warnings.iter().all(|text| !text.contains("access token 1")), "{warnings:?}");
}

#[tokio::test]
async fn a_damaged_cache_is_moved_aside_and_costs_one_sign_in() {
    let (place, service) = (Place::new(), Service::start());
    std::fs::write(place.cache(), r#"{"Account":{"k":{"home_account_id":"#).unwrap();
    let one = signed(&place.open(), &service);
    one.credential.get_token(&[SCOPE], None).await.unwrap();
    one.credential.get_token(&[SCOPE], None).await.unwrap();
    assert_eq!(one.prompts.all().len(), 1);
    assert_eq!(place.json()["Account"].as_object().unwrap().len(), 1);
    let names: Vec<_> =
        std::fs::read_dir(place.directory()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().any(|name| name.to_string_lossy().contains("corrupt")), "{names:?}");
}

#[tokio::test]
async fn the_refresh_token_is_not_redeemed_while_another_process_holds_the_lock_of_the_account() {
    let (place, service) = (Place::new(), Service::start());
    place.sign_in(&service, "ada", EXPIRED);
    let slow = service.clone();
    service.set(|behaviour| {
        behaviour.on_refresh = Some(Arc::new(move || std::thread::sleep(Duration::from_millis(1500))));
    });
    let path = place.cache();
    let first = example("msal_token", &[path.to_str().unwrap(), "--no-prompt"], Some(&service));
    crate::support::eventually("the other process redeems", || slow.count("refresh_token") == 1).await;
    let (mut options, _, _) = options(&service);
    options.wait_limit = Duration::from_millis(100);
    let credential = MsalCacheCredential::new(&place.open(), CLIENT, Some(options)).unwrap();
    let error = credential.get_token(&[SCOPE], None).await.unwrap_err();
    let pid = first.id().to_string();
    assert!(format!("{error:?}").contains(&pid), "the error names process {pid}: {error:?}");
    finished(first);
    assert_eq!(service.count("refresh_token"), 1);
    assert!(credential.get_token(&[SCOPE], None).await.is_ok());
}

#[tokio::test]
async fn a_kill_between_the_answer_and_the_save_costs_at_most_one_prompt_and_never_the_cache() {
    let service = Service::start();
    let victim: Arc<Mutex<Option<std::process::Child>>> = Arc::default();
    let mut prompts = 0;
    let mut lost = 0;
    for round in 0..24_u64 {
        let place = Place::new();
        place.sign_in(&service, "ada", EXPIRED);
        place.sign_in(&service, "bob", EXPIRED);
        let doomed = Arc::clone(&victim);
        service.set(|behaviour| {
            behaviour.answered = Some(Arc::new(move || {
                // From at once until well after the save.
                std::thread::sleep(Duration::from_micros(round * round * 250));
                if let Some(mut child) = doomed.lock().unwrap().take() {
                    child.kill().unwrap();
                    child.wait().unwrap();
                }
            }));
        });
        let path = place.cache();
        let path = path.to_str().unwrap();
        let arguments = [path, "--no-prompt", "--user", "ada@contoso.example"];
        // Hold the answer during the start, so that the service cannot be faster than this test.
        {
            let mut victim = victim.lock().unwrap();
            *victim = Some(example("msal_token", &arguments, Some(&service)));
        }
        crate::support::eventually("the process is killed", || victim.lock().unwrap().is_none()).await;
        service.set(|behaviour| behaviour.answered = None);

        // The next process signs in at most once, and the other accounts are still signed in.
        let (mut options, asked, _) = options(&service);
        let check = MsalCacheCredential::new(&place.open(), CLIENT, Some(options.clone())).unwrap();
        let accounts = check.accounts().await.unwrap();
        assert_eq!(accounts.len(), 2, "round {round}");
        options.record = accounts.into_iter().find(|account| account.username() == "ada@contoso.example");
        let credential = MsalCacheCredential::new(&place.open(), CLIENT, Some(options)).unwrap();
        for _ in 0..2 {
            credential.get_token(&[SCOPE], None).await.unwrap();
        }
        assert!(asked.all().len() <= 1, "round {round}");
        prompts += asked.all().len();
        lost += usize::from(!asked.all().is_empty());
        finished(example(
            "msal_token",
            &[path, "--no-prompt", "--user", "bob@contoso.example"],
            Some(&service),
        ));
    }
    // Both outcomes must occur, or the kills came at the wrong time and proved nothing.
    assert!(lost > 0 && prompts < 24, "{prompts} of 24 rounds ended before the save");
}

#[tokio::test]
async fn a_refresh_token_that_is_no_text_is_not_sent_with_other_bytes_in_its_place() {
    let (place, service) = (Place::new(), Service::start());
    place.sign_in(&service, "ada", EXPIRED);
    place
        .open()
        .update(|old| {
            let text = String::from_utf8(old.unwrap().to_vec()).unwrap();
            // Half of a surrogate pair, which JSON allows.
            text.replace("\"refresh token", "\"refresh\\ud800token")
        })
        .unwrap();
    let one = signed(&place.open(), &service);
    one.credential.get_token(&[SCOPE], None).await.unwrap();
    assert_eq!((service.count("refresh_token"), one.prompts.all().len()), (0, 1));
}
