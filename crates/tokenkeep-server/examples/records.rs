//! Reads and writes the records of the application `shop`: `records redis://127.0.0.1:6379 user ada.tenant` prints a user's cache,
//! with names of resources behind it adds an access token for each, one write after the other.
//!
//! `records postgres://tests@127.0.0.1:5432/postgres app CLIENT TENANT` does it for the application, over PostgreSQL. The keys are in
//! the environment variable `TOKENKEEP_KEYS`.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokenkeep::schema::{Ids, Record as Entry, put};
use tokenkeep_server::backend::{Backend, Postgres, Redis};
use tokenkeep_server::{ErrorKind, KeyRing, TokenStore};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let [address, place @ ..] = words.as_slice() else { return Err("give the address of a database".into()) };
    if address.starts_with("postgres") {
        let (client, connection) = tokio_postgres::connect(address, tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        let client = Arc::new(client);
        let get = move || {
            let client = Arc::clone(&client);
            async move { Ok::<_, std::convert::Infallible>(client) }
        };
        let backend = Postgres::new(get);
        backend.migrate().await?;
        return run(backend, place).await;
    }
    let client = redis::Client::open(*address)?;
    run(Redis::new(client.get_multiplexed_async_connection().await?), place).await
}

async fn run<B: Backend>(backend: B, place: &[&str]) -> Result<(), Box<dyn Error>> {
    let store = TokenStore::new("shop", backend, KeyRing::from_environment("TOKENKEEP_KEYS")?)?;
    let (record, ids, resources) = match place {
        ["user", user, resources @ ..] => {
            let realm = user.split('.').nth(1).unwrap_or_default();
            (store.user(user)?, ids(user, "shop", realm), resources)
        }
        ["app", client, tenant, resources @ ..] => {
            (store.app(client, tenant)?, ids("", client, tenant), resources)
        }
        _ => return Err("give user ID or app CLIENT TENANT".into()),
    };
    for resource in resources {
        let now = SystemTime::now();
        let scope = format!("https://{resource}/.default");
        let token =
            Entry::access_token(ids, &[&scope], "a token of Rust", now, now + Duration::from_secs(3_600));
        loop {
            match record.update(|cache| put(cache, std::slice::from_ref(&token))).await {
                Ok(_) => break,
                // Other servers were faster for five seconds. Every other error is the program's to show.
                Err(error) if error.kind() == ErrorKind::Conflict => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    if let Some(cache) = record.read().await? {
        std::io::stdout().write_all(cache.expose())?;
    }
    Ok(())
}

fn ids<'a>(home_account_id: &'a str, client_id: &'a str, realm: &'a str) -> Ids<'a> {
    Ids { home_account_id, environment: "login.windows.net", client_id, realm }
}
