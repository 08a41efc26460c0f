//! Requests that are dropped: by a time limit, an aborted task, the other branch of a `select`.
//!
//! The service replaces a refresh token when it gets the request. Wherever the request is dropped, the cache must
//! then hold a valid refresh token, and the next request must get a token without a prompt.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use azure_core::credentials::TokenCredential;
use tokenkeep_azure::MsalCacheCredential;

use crate::support::service::Service;
use crate::support::{CLIENT, Place, SCOPE, eventually, options};

/// A credential like that of another process, without a prompt.
fn silent(place: &Place, service: &Service) -> Arc<MsalCacheCredential> {
    let (mut options, _, _) = options(service);
    options.prompt = None;
    MsalCacheCredential::new(&place.open(), CLIENT, Some(options)).unwrap()
}

/// Polls at most `polls` times, once for each wake-up; returns `None` if the future was not ready by then.
async fn polled<F: Future>(mut future: Pin<&mut F>, polls: usize) -> Option<F::Output> {
    let mut left = polls;
    poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            // The future is dropped while it is pending, as a time limit does it.
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Checks that the next request gets a token and that the service still accepts the refresh token in the cache.
async fn unharmed(place: &Place, service: &Service, when: &str) {
    let next = silent(place, service).get_token(&[SCOPE], None).await;
    next.unwrap_or_else(|error| panic!("{when}: the next one has to sign in: {error:?}"));
    let kept = place.refresh_token().unwrap_or_else(|| panic!("{when}: there is no refresh token"));
    assert!(service.takes(&kept), "{when}: the cache holds a refresh token that is spent");
    assert_eq!(service.count("refresh_token"), 1, "{when}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_after_any_number_of_polls_the_sign_in_is_still_good() {
    for polls in 1..64 {
        let (place, service) = (Place::new(), Service::start());
        place.sign_in(&service, "ada", Duration::ZERO);
        let credential = silent(&place, &service);
        let mut asking = Box::pin(credential.get_token(&[SCOPE], None));
        let output = polled(asking.as_mut(), polls).await;
        drop(asking);
        let finished = output.is_some();
        unharmed(&place, &service, &format!("dropped after {polls} polls")).await;
        if finished {
            assert!(polls > 3, "it was done after {polls} polls: this shows nothing");
            return;
        }
    }
    panic!("it was never done");
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_while_the_service_answers_the_new_refresh_token_is_kept() {
    // From before the answer is written until well after the save.
    for round in 0..16_u64 {
        let (place, service) = (Place::new(), Service::start());
        place.sign_in(&service, "ada", Duration::ZERO);
        let old = place.refresh_token().unwrap();
        let reached = Arc::new(AtomicUsize::new(0));
        let seen = Arc::clone(&reached);
        service.set(|behaviour| {
            let seen = move || {
                seen.fetch_add(1, Ordering::SeqCst);
                // The answer to a dropped request comes late.
                if round < 4 {
                    std::thread::sleep(Duration::from_millis(50));
                }
            };
            match round < 8 {
                true => behaviour.on_refresh = Some(Arc::new(seen)),
                false => behaviour.answered = Some(Arc::new(seen)),
            }
        });
        let credential = silent(&place, &service);
        let asking = tokio::spawn(async move { credential.get_token(&[SCOPE], None).await });
        eventually("the refresh token is redeemed", || reached.load(Ordering::SeqCst) == 1).await;
        tokio::time::sleep(Duration::from_micros(200 * (round % 8))).await;
        asking.abort();
        drop(asking.await);
        unharmed(&place, &service, &format!("round {round}")).await;
        assert_ne!(place.refresh_token().unwrap(), old, "round {round}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_while_it_waits_for_another_it_asks_nothing_and_lets_go() {
    let (place, service) = (Place::new(), Service::start());
    place.sign_in(&service, "ada", Duration::ZERO);
    let slow = || std::thread::sleep(Duration::from_millis(300));
    service.set(|behaviour| behaviour.on_refresh = Some(Arc::new(slow)));
    let first = silent(&place, &service);
    let first = tokio::spawn(async move { first.get_token(&[SCOPE], None).await });
    eventually("the first one redeems", || service.count("refresh_token") == 1).await;
    let second = silent(&place, &service);
    let second = tokio::time::timeout(Duration::from_millis(30), second.get_token(&[SCOPE], None)).await;
    assert!(second.is_err(), "it waited");
    let token = first.await.unwrap().unwrap();
    unharmed(&place, &service, "after the first one").await;
    let kept = silent(&place, &service).get_token(&[SCOPE], None).await.unwrap();
    assert_eq!(kept.token.secret(), token.token.secret());
}

#[test]
fn a_redemption_dropped_in_an_idle_runtime_keeps_its_lock_and_finishes_when_the_runtime_is_driven_again() {
    let (place, service) = (Place::new(), Service::start());
    place.sign_in(&service, "ada", Duration::ZERO);
    let old = place.refresh_token().unwrap();
    let slow = || std::thread::sleep(Duration::from_millis(300));
    service.set(|behaviour| behaviour.on_refresh = Some(Arc::new(slow)));
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (undriven, other) = (runtime(), runtime());
    let credential = silent(&place, &service);
    undriven.block_on(async {
        tokio::select! {
            _ = credential.get_token(&[SCOPE], None) => panic!("the service has not answered yet"),
            () = eventually("it is redeemed", || service.count("refresh_token") == 1) => {}
        }
    });

    // The answer has arrived, but the runtime is idle. Another request waits up to its limit and does not redeem the
    // token again.
    let (mut options, _, _) = options(&service);
    (options.prompt, options.wait_limit) = (None, Duration::from_millis(600));
    let second = MsalCacheCredential::new(&place.open(), CLIENT, Some(options)).unwrap();
    assert!(other.block_on(second.get_token(&[SCOPE], None)).is_err(), "it did not wait for the first");
    assert_eq!((place.refresh_token().unwrap(), service.count("refresh_token")), (old.clone(), 1));

    let kept = || place.refresh_token().is_some_and(|token| token != old);
    undriven.block_on(eventually("the new refresh token is kept", kept));
    other.block_on(unharmed(&place, &service, "driven again"));
}
