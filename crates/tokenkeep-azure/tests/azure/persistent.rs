//! A wrapped credential with a persistent cache: the number of calls to the credential.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::{Error, ErrorKind};
use azure_core::time::OffsetDateTime;
use tokenkeep_azure::{Partition, PersistentTokenCredential, PersistentTokenCredentialOptions};

use crate::support::{Broken, Place, Told, eventually};

/// Invents tokens, each valid for a given time. For the scope `silence` it never answers, from the second call on.
#[derive(Debug)]
pub(crate) struct Inner {
    asked: AtomicU32,
    lifetime: Duration,
    fails: bool,
    silenced: AtomicBool,
}

impl Inner {
    fn good_for(lifetime: Duration) -> Arc<Self> {
        Arc::new(Self { asked: AtomicU32::new(0), lifetime, fails: false, silenced: AtomicBool::new(false) })
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait::async_trait]
impl TokenCredential for Inner {
    async fn get_token(
        &self,
        scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        if scopes == ["silence"] && self.silenced.swap(true, Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(Duration::from_millis(30)).await;
        if self.fails {
            return Err(Error::with_message(ErrorKind::Credential, "the credential underneath fails"));
        }
        Ok(AccessToken::new(
            format!("{number} for {}", scopes.join(" ")),
            OffsetDateTime::now_utc() + self.lifetime,
        ))
    }
}

const HOUR: Duration = Duration::from_secs(3600);

fn partition() -> Partition {
    Partition::new("contoso.example", "client").account("uid.utid")
}

async fn token(credential: &dyn TokenCredential, scopes: &[&str]) -> String {
    credential.get_token(scopes, None).await.unwrap().token.secret().to_owned()
}

#[tokio::test]
async fn the_next_process_does_not_call_the_wrapped_credential() {
    let place = Place::new();
    let inner = Inner::good_for(HOUR);
    let one = PersistentTokenCredential::new(Arc::clone(&inner), &place.open(), partition(), None);
    let first = one.get_token(&["a", "b"], None).await.unwrap();
    let other = Inner::good_for(HOUR);
    let two = PersistentTokenCredential::new(Arc::clone(&other), &place.open(), partition(), None);
    let second = two.get_token(&["B", "a"], None).await.unwrap();
    assert_eq!(first.token.secret(), second.token.secret());
    assert_eq!(second.expires_on, first.expires_on.replace_nanosecond(0).unwrap());
    assert_eq!((inner.asked(), other.asked()), (1, 0));
    assert!(!format!("{one:?}").contains("0 for"), "no token is printed");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_tasks_over_several_handles_ask_once() {
    let place = Place::new();
    let inner = Inner::good_for(HOUR);
    let shared = place.open();
    let asking: Vec<_> = (0..24)
        .map(|number| {
            let cache = if number % 2 == 0 { shared.clone() } else { place.open() };
            let credential = PersistentTokenCredential::new(Arc::clone(&inner), &cache, partition(), None);
            tokio::spawn(async move { token(&*credential, &["a"]).await })
        })
        .collect();
    for asked in asking {
        assert_eq!(asked.await.unwrap(), "0 for a");
    }
    assert_eq!(inner.asked(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cache_in_memory_is_asked_for_once_and_leaves_no_file() {
    let memory = Arc::new(tokenkeep::storage::MemoryPersistence::new());
    let cache = tokenkeep::TokenCache::new(memory);
    let inner = Inner::good_for(HOUR);
    let asking: Vec<_> = (0..8)
        .map(|_| {
            let credential = PersistentTokenCredential::new(Arc::clone(&inner), &cache, partition(), None);
            tokio::spawn(async move { token(&*credential, &["a"]).await })
        })
        .collect();
    for asked in asking {
        assert_eq!(asked.await.unwrap(), "0 for a");
    }
    assert_eq!(inner.asked(), 1);
    // The cache's path is a name. Taken for a file's path, it would create a file in the working directory.
    let here = std::fs::read_dir(".").unwrap().map(|entry| entry.unwrap().file_name());
    let left: Vec<_> = here.filter(|name| name.to_string_lossy().starts_with("memory:")).collect();
    assert_eq!(left, [""; 0]);
}

#[tokio::test]
async fn tokens_of_different_scopes_tenants_clients_accounts_and_clouds_are_not_mixed() {
    let place = Place::new();
    let cache = place.open();
    let inner = Inner::good_for(HOUR);
    let with = |partition| PersistentTokenCredential::new(Arc::clone(&inner), &cache, partition, None);
    let credential = with(partition());
    assert_eq!(token(&*credential, &["a"]).await, "0 for a");
    assert_eq!(token(&*credential, &["b"]).await, "1 for b");
    let others = [
        Partition::new("fabrikam.example", "client").account("uid.utid"),
        Partition::new("contoso.example", "other").account("uid.utid"),
        Partition::new("contoso.example", "client").account("other.utid"),
        Partition::new("contoso.example", "client"),
        partition().authority_host("login.microsoftonline.us"),
    ];
    for (number, other) in others.into_iter().enumerate() {
        assert_eq!(token(&*with(other), &["a"]).await, format!("{} for a", number + 2));
    }
    assert_eq!(
        token(&*with(partition().authority_host("login.microsoftonline.com")), &["a"]).await,
        "0 for a"
    );
    assert_eq!(token(&*credential, &["b"]).await, "1 for b");
}

#[tokio::test]
async fn a_token_within_the_margin_is_replaced_before_it_is_returned() {
    let place = Place::new();
    let inner = Inner::good_for(Duration::from_secs(4 * 60));
    let credential = PersistentTokenCredential::new(Arc::clone(&inner), &place.open(), partition(), None);
    assert_eq!(token(&*credential, &["a"]).await, "0 for a");
    assert_eq!(token(&*credential, &["a"]).await, "1 for a");
    let mut options = PersistentTokenCredentialOptions::default();
    options.expiry_margin = Duration::from_secs(60);
    options.refresh_ahead = Duration::ZERO;
    let patient =
        PersistentTokenCredential::new(Arc::clone(&inner), &place.open(), partition(), Some(options));
    assert_eq!(token(&*patient, &["a"]).await, "1 for a");
}

#[tokio::test]
async fn a_replacement_that_never_ends_stops_no_other_one() {
    let place = Place::new();
    let inner = Inner::good_for(Duration::from_secs(7 * 60));
    let credential = PersistentTokenCredential::new(Arc::clone(&inner), &place.open(), partition(), None);
    for scope in ["silence", "a"] {
        token(&*credential, &[scope]).await;
    }
    token(&*credential, &["silence"]).await;
    eventually("the replacement hangs", || inner.asked() == 3).await;
    token(&*credential, &["a"]).await;
    eventually("the other token is replaced", || inner.asked() == 4).await;
}

#[tokio::test]
async fn an_aging_token_is_returned_and_replaced_in_the_background() {
    let place = Place::new();
    let aging = Inner::good_for(Duration::from_secs(7 * 60));
    let one = PersistentTokenCredential::new(Arc::clone(&aging), &place.open(), partition(), None);
    assert_eq!(token(&*one, &["a"]).await, "0 for a");
    let inner = Inner::good_for(HOUR);
    let two = PersistentTokenCredential::new(Arc::clone(&inner), &place.open(), partition(), None);
    for _ in 0..5 {
        assert_eq!(token(&*two, &["a"]).await, "0 for a");
    }
    let kept = || place.json().to_string();
    eventually("the new token is kept", || inner.asked() == 1 && !kept().contains("\"expires_on\":\"0\""))
        .await;
    // The text is the same, but it is valid for longer; from here on there are no calls.
    let fresh = Inner::good_for(HOUR);
    let three = PersistentTokenCredential::new(Arc::clone(&fresh), &place.open(), partition(), None);
    let mut lasts = OffsetDateTime::now_utc();
    for _ in 0..200 {
        lasts = three.get_token(&["a"], None).await.unwrap().expires_on;
        if lasts > OffsetDateTime::now_utc() + HOUR / 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(lasts > OffsetDateTime::now_utc() + HOUR / 2, "the token was not replaced");
    assert!(inner.asked() + fresh.asked() <= 2 && aging.asked() == 1);
}

#[tokio::test]
async fn a_store_that_fails_costs_a_warning_and_never_a_request() {
    let place = Place::new();
    let inner = Inner::good_for(HOUR);
    let told = Told::default();
    let warned = told.clone();
    let options = PersistentTokenCredentialOptions::default().on_warning(move |text| warned.add(text));
    let cache = Broken::open(&place);
    let credential = PersistentTokenCredential::new(Arc::clone(&inner), &cache, partition(), Some(options));
    assert_eq!(token(&*credential, &["a"]).await, "0 for a");
    assert_eq!(token(&*credential, &["a"]).await, "1 for a");
    let warnings = told.all();
    assert!(warnings.len() == 2 && warnings[0].contains("keyring is locked"), "{warnings:?}");
    assert!(credential.forget().await.is_err());
}

#[tokio::test]
async fn a_damaged_cache_is_moved_aside_and_the_token_is_stored() {
    let place = Place::new();
    std::fs::write(place.cache(), "{ this is no cache").unwrap();
    let inner = Inner::good_for(HOUR);
    let credential = PersistentTokenCredential::new(Arc::clone(&inner), &place.open(), partition(), None);
    assert_eq!(token(&*credential, &["a"]).await, "0 for a");
    assert_eq!(token(&*credential, &["a"]).await, "0 for a");
    let names = std::fs::read_dir(place.directory()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().any(|name| name.to_string_lossy().contains("corrupt")), "a copy was kept");
}

#[tokio::test]
async fn an_error_of_the_wrapped_credential_is_returned_and_not_stored() {
    let place = Place::new();
    let failing = Arc::new(Inner {
        asked: AtomicU32::new(0),
        lifetime: HOUR,
        fails: true,
        silenced: AtomicBool::new(false),
    });
    let credential = PersistentTokenCredential::new(Arc::clone(&failing), &place.open(), partition(), None);
    for _ in 0..2 {
        let error = credential.get_token(&["a"], None).await.unwrap_err();
        assert!(error.to_string().contains("underneath fails"), "{error}");
    }
    assert_eq!(failing.asked(), 2);
    assert!(place.open().read().unwrap().is_none());
}

#[tokio::test]
async fn forget_causes_a_new_call_for_its_partition_alone() {
    let place = Place::new();
    let cache = place.open();
    let inner = Inner::good_for(HOUR);
    let credential = PersistentTokenCredential::new(Arc::clone(&inner), &cache, partition(), None);
    let other = PersistentTokenCredential::new(Arc::clone(&inner), &cache, Partition::new("t", "c"), None);
    assert_eq!(
        (token(&*credential, &["a"]).await, token(&*other, &["a"]).await),
        ("0 for a".into(), "1 for a".into())
    );
    credential.forget().await.unwrap();
    assert_eq!(
        (token(&*credential, &["a"]).await, token(&*other, &["a"]).await),
        ("2 for a".into(), "1 for a".into())
    );
}

#[tokio::test]
async fn a_token_from_the_future_is_not_trusted() {
    let place = Place::new();
    let inner = Inner::good_for(HOUR);
    let credential = PersistentTokenCredential::new(Arc::clone(&inner), &place.open(), partition(), None);
    assert_eq!(token(&*credential, &["a"]).await, "0 for a");
    // As if the clock had been a day ahead when the token was stored.
    place
        .open()
        .update(|old| {
            let mut cache: serde_json::Value = serde_json::from_slice(old.unwrap()).unwrap();
            let entry = cache["AccessToken"].as_object_mut().unwrap().values_mut().next().unwrap();
            for name in ["cached_at", "expires_on"] {
                let time: u64 = entry[name].as_str().unwrap().parse().unwrap();
                entry[name] = (time + 86_400).to_string().into();
            }
            cache.to_string()
        })
        .unwrap();
    assert_eq!(token(&*credential, &["a"]).await, "1 for a");
}
