//! Gets a token with the unified MSAL cache and prints the token and its account as JSON.
//!
//! `cargo run --example msal_token -- CACHE [--client ID] [--scope S] [--user NAME] [--tenant T] [--no-prompt]
//! [--list | --sign-out]`
//!
//! For the real service, whose addresses are https, add `--features azure_core/reqwest_rustls`. If TOKENKEEP_OFFLINE
//! has the address of an offline sign-in service, all requests go there.

mod offline;

use std::error::Error;

use azure_core::credentials::TokenCredential;
use serde_json::json;
use tokenkeep::{TokenCache, storage::FilePersistence};
use tokenkeep_azure::{MsalCacheCredential, MsalCacheCredentialOptions, Prompt};

/// The options of the command line.
#[derive(Default)]
struct Wishes {
    cache: Option<String>,
    client: Option<String>,
    scope: Option<String>,
    user: Option<String>,
    list: bool,
    sign_out: bool,
}

#[tokio::main(flavor = "current_thread")]
#[allow(clippy::print_stdout, clippy::print_stderr, reason = "an example may print")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut wishes = Wishes::default();
    let mut options = MsalCacheCredentialOptions::default();
    options.prompt = Some(Prompt::new(|code| eprintln!("{}", code.message)));
    if let Ok(origin) = std::env::var("TOKENKEEP_OFFLINE") {
        options.client_options.transport = Some(offline::transport(&origin)?);
    }
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match &*argument {
            "--client" => wishes.client = arguments.next(),
            "--scope" => wishes.scope = arguments.next(),
            "--user" => wishes.user = arguments.next(),
            "--tenant" => options.tenant = arguments.next().ok_or("--tenant wants a tenant")?,
            "--no-prompt" => options.prompt = None,
            "--list" => wishes.list = true,
            "--sign-out" => wishes.sign_out = true,
            _ => wishes.cache = Some(argument),
        }
    }
    options.login_hint.clone_from(&wishes.user);

    // A plaintext file, so that the example shares it with other programs that read this format. Your program would
    // call tokenkeep::Config::new("my-app").open()?
    let file = FilePersistence::new(wishes.cache.ok_or("where is the cache?")?)?;
    let cache = TokenCache::new(file);
    let client = wishes.client.unwrap_or_else(|| "00000000-0000-4000-8000-00000000c11e".to_owned());

    // Choose the account if several are signed in.
    let found = MsalCacheCredential::new(&cache, &client, Some(options.clone()))?.accounts().await?;
    options.record = found.iter().find(|account| Some(account.username()) == wishes.user.as_deref()).cloned();
    let credential = MsalCacheCredential::new(&cache, &client, Some(options.clone()))?;
    if wishes.list {
        for account in &found {
            println!("{}", account.to_json()?);
        }
        return Ok(());
    }
    if wishes.sign_out {
        let account = options.record.ok_or("nobody of that name is signed in")?;
        println!("{}", json!({ "signedOut": credential.sign_out(&account).await? }));
        return Ok(());
    }
    let scope = wishes.scope.as_deref().unwrap_or("https://api.example/read");
    let token = if wishes.user.is_some() && options.record.is_none() {
        credential.authenticate(&[scope]).await?;
        credential.get_token(&[scope], None).await?
    } else {
        credential.get_token(&[scope], None).await?
    };
    println!("{}", json!({ "token": token.token.secret(), "expires": token.expires_on.unix_timestamp() }));
    Ok(())
}
