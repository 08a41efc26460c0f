//! A database that does not answer, or refuses: each call ends within its limit with a typed error.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use tokenkeep_server::backend::{Backend, Postgres, Redis};
use tokenkeep_server::{ErrorKind, KeyRing, TokenStore};

use crate::servers::Server;

const LIMIT: Duration = Duration::from_millis(500);
const CONTENT: &[u8] = br#"{"Account":{"a":{"home_account_id":"ada.tenant"}}}"#;

fn store<B: Backend>(backend: B) -> TokenStore<B> {
    TokenStore::new("shop", backend, KeyRing::parse(&"00".repeat(32)).unwrap()).unwrap().timeout(LIMIT)
}

/// Returns the kinds of the errors of a read and of a write, which come within the limit.
async fn kinds<B: Backend>(store: &TokenStore<B>) -> (Option<ErrorKind>, Option<ErrorKind>) {
    let own = store.own("session", "one").unwrap();
    let began = Instant::now();
    let read = own.read().await.err();
    let written = own.update(|_| Ok(CONTENT.into())).await.err();
    // Two calls, on a machine that may be busy.
    assert!(began.elapsed() < 20 * LIMIT, "{:?}", began.elapsed());
    for error in [&read, &written].into_iter().flatten() {
        assert!(!error.to_string().contains("ada"), "{error}");
    }
    (read.map(|error| error.kind()), written.map(|error| error.kind()))
}

async fn command(server: &Server, words: &[&str]) {
    let mut command = redis::cmd(words[0]);
    for word in &words[1..] {
        command.arg(*word);
    }
    let () = command.query_async(&mut server.connection().await).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_that_is_frozen_or_gone() {
    let mut server = Server::redis(&[]);
    let store = store(Redis::new(server.connection().await));
    assert_eq!(kinds(&store).await, (None, None));
    server.signal(Signal::STOP);
    let late = Some(ErrorKind::Timeout);
    assert_eq!(kinds(&store).await, (late, late));
    server.signal(Signal::CONT);
    let began = Instant::now();
    while store.own("session", "one").unwrap().read().await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(30), "it goes on");
    }
    server.kill();
    let (read, written) = kinds(&store).await;
    assert!(read.unwrap().is_retryable() && written.unwrap().is_retryable());
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_that_refuses() {
    let server = Server::redis(&[]);
    let store = store(Redis::new(server.connection().await));
    command(&server, &["REPLICAOF", "127.0.0.1", "1"]).await;
    assert_eq!(kinds(&store).await, (None, Some(ErrorKind::ReadOnly)));
    command(&server, &["REPLICAOF", "NO", "ONE"]).await;
    command(&server, &["CONFIG", "SET", "maxmemory", "1"]).await;
    assert_eq!(kinds(&store).await, (None, Some(ErrorKind::OutOfMemory)));
    command(&server, &["CONFIG", "SET", "maxmemory", "0"]).await;
    command(&server, &["ACL", "SETUSER", "default", "-@scripting"]).await;
    assert_eq!(kinds(&store).await, (None, Some(ErrorKind::Unsupported)));
    // The remedy of the error.
    let rights = "+@read +@write +eval +evalsha +scan +info";
    let words: Vec<&str> = ["ACL", "SETUSER", "default"].into_iter().chain(rights.split(' ')).collect();
    command(&server, &words).await;
    assert_eq!(kinds(&store).await, (None, None));

    // Something else has the name of a record.
    let name = tokenkeep::record::Partition::own("tk:shop", "session", "one").unwrap().name();
    command(&server, &["DEL", &name]).await;
    command(&server, &["LPUSH", &name, "an element"]).await;
    let damaged = Some(ErrorKind::Damaged);
    assert_eq!(kinds(&store).await, (damaged, damaged));
    command(&server, &["DEL", &name]).await;
    command(&server, &["SET", &name, "no record"]).await;
    assert_eq!(kinds(&store).await, (damaged, damaged));
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_that_refuses_is_frozen_or_gone() {
    let mut server = Server::postgres();
    let client = server.client().await;
    let held = Arc::clone(&client);
    let get = move || {
        let client = Arc::clone(&held);
        async move { Ok::<_, std::convert::Infallible>(client) }
    };
    let backend = Arc::new(Postgres::new(get));
    let store = store(Arc::clone(&backend));
    let missing = Some(ErrorKind::Unsupported);
    assert_eq!(kinds(&store).await, (missing, missing), "there is no table yet");
    backend.migrate().await.unwrap();
    assert_eq!(kinds(&store).await, (None, None));

    client.batch_execute("SET default_transaction_read_only = on").await.unwrap();
    assert_eq!(kinds(&store).await, (None, Some(ErrorKind::ReadOnly)));
    client.batch_execute("SET default_transaction_read_only = off").await.unwrap();
    client.batch_execute("CREATE ROLE nobody; SET ROLE nobody").await.unwrap();
    let refused = Some(ErrorKind::Unauthorized);
    assert_eq!(kinds(&store).await, (refused, refused));
    client.batch_execute("RESET ROLE").await.unwrap();

    client.batch_execute("BEGIN; LOCK TABLE tokenkeep_record IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let other = server.client().await;
    let get = move || {
        let client = Arc::clone(&other);
        async move { Ok::<_, std::convert::Infallible>(client) }
    };
    let waits = self::store(Postgres::new(get));
    let late = Some(ErrorKind::Timeout);
    assert_eq!(kinds(&waits).await, (late, late));
    client.batch_execute("ROLLBACK").await.unwrap();
    server.kill();
    let (read, written) = kinds(&store).await;
    assert!(read.unwrap().is_retryable() && written.unwrap().is_retryable());
}
