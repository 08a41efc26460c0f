//! What holds over every database.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokenkeep::Secret;
use tokenkeep::schema::{self, Contents, Ids, Record as Entry};
use tokenkeep_server::backend::{Backend, Memory, Postgres, Redis};
use tokenkeep_server::{ErrorKind, KeyRing, Lifetimes, TokenStore};

use crate::servers::Server;

fn keys(byte: &str) -> KeyRing {
    KeyRing::parse(&byte.repeat(32)).unwrap()
}

fn ids<'a>(user: &'a str, realm: &'a str) -> Ids<'a> {
    Ids { home_account_id: user, environment: "login.windows.net", client_id: "app", realm }
}

/// Adds a user's access token for `resource`, with its account and a refresh token.
fn signed_in(cache: Option<&[u8]>, user: &str, resource: &str) -> tokenkeep::Result<Secret> {
    let now = SystemTime::now();
    let hour = Duration::from_secs(3_600);
    let scope = format!("https://{resource}/.default");
    schema::put(
        cache,
        &[
            Entry::account(ids(user, "tenant"), "local", "ada@example.com"),
            Entry::access_token(ids(user, "tenant"), &[&scope], "the token", now, now + hour),
            Entry::refresh_token(ids(user, ""), None, "the refresh token"),
        ],
    )
}

fn tokens(cache: &Secret) -> usize {
    Contents::parse(cache.expose()).unwrap().access_tokens().count()
}

async fn holds<B: Backend + Clone + 'static>(backend: B) {
    let store = TokenStore::new("shop", backend.clone(), keys("00")).unwrap();
    let ada = store.user("ada.tenant").unwrap();
    assert!(ada.read().await.unwrap().is_none());
    let stored = ada.update(|cache| signed_in(cache, "ada.tenant", "one")).await.unwrap().unwrap();
    let other = TokenStore::new("shop", backend.clone(), keys("00")).unwrap();
    assert_eq!(other.user("ADA.tenant").unwrap().read().await.unwrap().unwrap(), stored);
    assert!(other.user("bob.tenant").unwrap().read().await.unwrap().is_none());

    // Another application has other records.
    let foreign = TokenStore::new("sync", backend.clone(), keys("00")).unwrap();
    assert!(foreign.user("ada.tenant").unwrap().read().await.unwrap().is_none());

    // Entries of others are refused, and nothing is written.
    let error = ada.update(|cache| signed_in(cache, "bob.tenant", "one")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongPartition);
    assert_eq!(ada.read().await.unwrap().unwrap(), stored);

    // An error of the change is returned as it is.
    let error = ada.update(|_| schema::put(Some(b"no cache"), &[])).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged);

    // A key that is not in the ring is an error, and not "signed out".
    let stranger = TokenStore::new("shop", backend.clone(), keys("11")).unwrap();
    let stranger_ada = stranger.user("ada.tenant").unwrap();
    assert_eq!(stranger_ada.read().await.unwrap_err().kind(), ErrorKind::MissingKey);
    let failed = stranger_ada.update(|cache| signed_in(cache, "ada.tenant", "two")).await.unwrap_err();
    assert_eq!(failed.kind(), ErrorKind::MissingKey);

    // A new key in front opens the old records and seals the next.
    let rotated = KeyRing::parse(&format!("{},{}", "11".repeat(32), "00".repeat(32))).unwrap();
    let rotated = TokenStore::new("shop", backend.clone(), rotated).unwrap();
    let rotated_ada = rotated.user("ada.tenant").unwrap();
    rotated_ada.update(|cache| signed_in(cache, "ada.tenant", "two")).await.unwrap();
    assert_eq!(tokens(&stranger_ada.read().await.unwrap().unwrap()), 2);
    assert_eq!(ada.read().await.unwrap_err().kind(), ErrorKind::MissingKey);

    // A record that is too long is refused, and the stored record stays.
    let small = TokenStore::new("shop", backend.clone(), keys("11")).unwrap().max_record(200);
    let error =
        small.user("ada.tenant").unwrap().update(|cache| signed_in(cache, "ada.tenant", "three")).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::TooLarge);
    assert_eq!(tokens(&stranger_ada.read().await.unwrap().unwrap()), 2);

    // An empty cache is no record; a removed one is gone.
    assert!(stranger_ada.update(|_| Ok(b"{}".into())).await.unwrap().is_none());
    assert!(stranger_ada.read().await.unwrap().is_none());
    assert!(stranger_ada.update(|_| Ok(b"{}".into())).await.unwrap().is_none());
    let own = store.own("session", "one").unwrap();
    own.update(|_| Ok(br#"{"Account":{"a":{"home_account_id":"x.y"}}}"#.into())).await.unwrap();
    assert!(own.remove().await.unwrap() && !own.remove().await.unwrap());
}

/// Erasing a user removes the calls on behalf of the user.
async fn erases<B: Backend + Clone + 'static>(backend: B) {
    let store = TokenStore::new("erase", backend, keys("00")).unwrap();
    // {"oid":"ada","tid":"tenant"}
    let assertion = "h.eyJvaWQiOiJhZGEiLCJ0aWQiOiJ0ZW5hbnQifQ.s";
    let ada = store.user("ada.tenant").unwrap();
    let bob = store.user("bob.tenant").unwrap();
    ada.update(|cache| signed_in(cache, "ada.tenant", "one")).await.unwrap();
    bob.update(|cache| signed_in(cache, "bob.tenant", "one")).await.unwrap();
    let call = store.on_behalf_of(assertion).unwrap();
    // The hash of the assertion, as msal-node writes it.
    let hash = "wcmuwqpbHUf-m6Cs3F1N4a1vb4Q0qRcBUyP3qcG2QxQ";
    let token = |hash: &str| {
        format!(
            r#"{{"AccessToken":{{"a":{{"home_account_id":"ada.tenant","secret":"s","expires_on":"9999999999",
                "user_assertion_hash":"{hash}"}}}}}}"#
        )
    };
    let wrong = call.update(|_| Ok(token(hash).as_bytes().into())).await.unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::WrongPartition, "the token of another call");
    let own = <base64ct::Base64UrlUnpadded as base64ct::Encoding>::encode_string(
        &<sha2::Sha256 as sha2::Digest>::digest(assertion),
    );
    call.update(|_| Ok(token(&own).as_bytes().into())).await.unwrap();
    assert!(call.read().await.unwrap().is_some());
    assert_eq!(store.erase("ada.tenant").await.unwrap(), 2);
    assert!(ada.read().await.unwrap().is_none() && call.read().await.unwrap().is_none());
    assert!(bob.read().await.unwrap().is_some());
}

/// Writers on several connections lose nothing.
async fn joins<B: Backend + 'static>(backends: Vec<B>) {
    const EACH: usize = 12;
    let count = backends.len() * EACH;
    let tasks: Vec<_> = backends
        .into_iter()
        .enumerate()
        .map(|(writer, backend)| {
            tokio::spawn(async move {
                let store = TokenStore::new("crowd", backend, keys("00")).unwrap();
                let store = store.timeout(Duration::from_secs(20));
                let ada = store.user("ada.tenant").unwrap();
                for nth in 0..EACH {
                    let resource = format!("resource-{writer}-{nth}");
                    loop {
                        match ada.update(|cache| signed_in(cache, "ada.tenant", &resource)).await {
                            Ok(_) => break,
                            // The remedy of this error is to try again.
                            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
                        }
                    }
                }
                store
            })
        })
        .collect();
    let mut stores = Vec::new();
    for task in tasks {
        stores.push(task.await.unwrap());
    }
    let cache = stores[0].user("ada.tenant").unwrap().read().await.unwrap().unwrap();
    assert_eq!(tokens(&cache), count);
}

/// A record is gone when its life is over.
async fn expires<B: Backend>(backend: B) {
    let lives = Lifetimes { refresh_token: Duration::from_millis(300), ..Lifetimes::default() };
    let store = TokenStore::new("life", backend, keys("00")).unwrap().lives(lives);
    let ada = store.user("ada.tenant").unwrap();
    ada.update(|cache| signed_in(cache, "ada.tenant", "one")).await.unwrap();
    let record = ada.read().await.unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(ada.read().await.unwrap().is_none());
    drop(record);
    ada.update(|cache| signed_in(cache, "ada.tenant", "two")).await.unwrap();
}

async fn all<B: Backend + Clone + 'static>(backends: Vec<B>) {
    holds(backends[0].clone()).await;
    erases(backends[0].clone()).await;
    expires(backends[0].clone()).await;
    joins(backends).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_memory() {
    let memory = Memory::default();
    all(vec![memory.clone(), memory.clone(), memory]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_redis() {
    let server = Server::redis(&[]);
    let mut backends = Vec::new();
    for _ in 0..4 {
        backends.push(Redis::new(server.connection().await));
    }
    all(backends).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_postgres() {
    let server = Server::postgres();
    let mut backends = Vec::new();
    for _ in 0..4 {
        let client = server.client().await;
        let get = move || {
            let client = Arc::clone(&client);
            async move { Ok::<_, std::convert::Infallible>(client) }
        };
        let backend = Postgres::new(get).table("shop_tokens").unwrap();
        backend.migrate().await.unwrap();
        backends.push(Arc::new(backend));
    }
    all(backends).await;
}
