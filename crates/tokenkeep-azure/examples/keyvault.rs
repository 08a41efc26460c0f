//! A client of the Azure SDK with a credential whose tokens survive the process. The second run takes its token from
//! the cache.
//!
//! `cargo run --example keyvault -- CACHE VAULT_ORIGIN`, where VAULT_ORIGIN is the address of a server that answers
//! like Key Vault; `cargo run --example keyvault -- CACHE` starts its own.
//!
//! The client, its pipeline and its bearer token policy are the real ones. Only the transport leads to this machine.
//! The wrapped credential invents its tokens and counts its calls.

mod offline;
#[path = "offline/vault.rs"]
mod vault;

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::http::ClientOptions;
use azure_core::time::{Duration, OffsetDateTime};
use azure_security_keyvault_secrets::{SecretClient, SecretClientOptions};
use tokenkeep::{TokenCache, storage::FilePersistence};
use tokenkeep_azure::{Partition, PersistentTokenCredential};

/// Stands for `DeveloperToolsCredential` and similar credentials.
#[derive(Debug, Default)]
struct Counting(AtomicU32);

#[async_trait::async_trait]
impl TokenCredential for Counting {
    async fn get_token(
        &self,
        _scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let number = self.0.fetch_add(1, Ordering::SeqCst);
        // A real credential takes time.
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        let expires = OffsetDateTime::now_utc() + Duration::hours(1);
        Ok(AccessToken::new(format!("token {number} of process {}", std::process::id()), expires))
    }
}

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::print_stdout, reason = "an example may print")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let cache = arguments.next().ok_or("where is the cache?")?;
    let origin = match arguments.next() {
        Some(origin) => origin,
        None => vault::start()?,
    };

    // Your program would call tokenkeep::Config::new("my-app").open()?
    let cache = TokenCache::new(FilePersistence::new(cache)?);
    let asked = Arc::new(Counting::default());
    let partition = Partition::new("contoso.example", "00000000-0000-4000-8000-00000000c11e");
    let credential = PersistentTokenCredential::new(Arc::clone(&asked), &cache, partition, None);

    let transport = offline::transport(&origin)?;
    let options = SecretClientOptions {
        client_options: ClientOptions { transport: Some(transport), ..ClientOptions::default() },
        ..SecretClientOptions::default()
    };
    let client = SecretClient::new("https://contoso.vault.azure.net/", credential, Some(options))?;
    let secret = client.get_secret("greeting", None).await?.into_model()?;
    println!("the secret: {}", secret.value.unwrap_or_default());
    println!("calls to the credential underneath: {}", asked.0.load(Ordering::SeqCst));
    Ok(())
}
