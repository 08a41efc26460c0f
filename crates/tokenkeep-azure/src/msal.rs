//! The unified cache of the MSAL libraries, as a credential.
//!
//! This file owns the public face. The order in which ways to a token are tried is `ways.rs`; what the cache holds
//! `store.rs`, what the service says `service.rs` and `answer.rs`, how a person signs in `device_code.rs`.

mod answer;
mod device_code;
mod service;
mod store;
mod ways;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::{Error, ErrorKind};
use azure_core::http::{ClientOptions, Context, Url};
use tokenkeep::{Secret, TokenCache, schema};

use crate::flight::Flight;
use crate::record::AuthenticationRecord;
use crate::warning::Warnings;
use device_code::failed;
pub use device_code::{DeviceCode, Prompt};
use service::Service;
use store::Owner;
use ways::{Ways, unreadable};

/// Signs people in with the cache that the MSAL libraries of all languages share: whoever is signed in there, by
/// `@azure/msal-node`, `msal` for Python or another program of this crate, is signed in here, and the other way round.
///
/// A token is looked for in this order:
/// 1. an access token in the cache that is still good;
/// 2. the refresh token in the cache, redeemed while other processes wait, so that it is spent once; the new one is kept;
/// 3. a sign-in with a device code, if there is a [`Prompt`].
///
/// Dropping [`get_token`](TokenCredential::get_token) cancels a wait for other processes and a sign-in, but not the redeeming of
/// a refresh token: the service has replaced it by then, so that goes on as a task of `azure_core`'s runtime until the new
/// one is in the cache. A runtime of one thread that nobody drives any more (`block_on` has returned) leaves it standing, and
/// others waiting to their limit, until it is driven again; dropping that runtime loses the new token. Wait for what you
/// asked for before you do either.
///
/// HTTP goes through `azure_core`'s pipeline, with its retries: a service that is busy is asked again after the time it
/// wants. When it stays out of reach, a token that is still good is used to its end.
///
/// ```no_run
/// use azure_core::credentials::TokenCredential;
/// use tokenkeep_azure::{MsalCacheCredential, MsalCacheCredentialOptions, Prompt};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let cache = tokenkeep::Config::new("my-app").open()?;
/// let mut options = MsalCacheCredentialOptions::default();
/// options.prompt = Some(Prompt::new(|code| eprintln!("{}", code.message)));
/// let credential = MsalCacheCredential::new(&cache, "11111111-aaaa-4aaa-8aaa-000000000001", Some(options))?;
/// let token = credential.get_token(&["https://vault.azure.net/.default"], None).await?;
/// println!("signed in: {:?}", credential.record().map(|account| account.username().to_owned()));
///
/// // Several people, and somebody else:
/// for account in credential.accounts().await? {
///     println!("{}", account.username());
/// }
/// let account = credential.authenticate(&["https://vault.azure.net/.default"]).await?;
/// credential.sign_out(&account).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MsalCacheCredential(Arc<Ways>);

/// How a [`MsalCacheCredential`] finds its account and its service.
///
/// ```
/// use tokenkeep_azure::{MsalCacheCredentialOptions, Prompt};
///
/// let mut options = MsalCacheCredentialOptions::default().on_warning(|text| eprintln!("{text}"));
/// options.tenant = "contoso.onmicrosoft.com".to_owned();
/// options.prompt = Some(Prompt::new(|code| eprintln!("{}", code.message)));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MsalCacheCredentialOptions {
    /// The tenant to sign in to, by id or domain; `organizations` (any work account), `consumers` or `common`. Default:
    /// `organizations`.
    pub tenant: String,
    /// The address of the sign-in service, https. Default: `https://login.microsoftonline.com/`.
    pub authority_host: String,
    /// Which account to use. Needed when several are signed in. Default: the only one there is.
    pub record: Option<AuthenticationRecord>,
    /// Shows a device code to a person when one has to sign in. Default: nobody can; a token that would need it is an
    /// error.
    pub prompt: Option<Prompt>,
    /// Whom the sign-in page expects. Default: the account's user name, if it is known.
    pub login_hint: Option<String>,
    /// A token that expires within this time is not handed out any more. Default: 5 min, as the clients of `azure_core`
    /// ask for another one then.
    pub expiry_margin: Duration,
    /// How long to wait while another process redeems the refresh token, or signs somebody in. Default: 60 s.
    pub wait_limit: Duration,
    /// Of the HTTP pipeline: transport, retries, policies.
    pub client_options: ClientOptions,
    warnings: Warnings,
}

impl Default for MsalCacheCredentialOptions {
    fn default() -> Self {
        Self {
            tenant: "organizations".to_owned(),
            authority_host: "https://login.microsoftonline.com/".to_owned(),
            record: None,
            prompt: None,
            login_hint: None,
            expiry_margin: Duration::from_secs(5 * 60),
            wait_limit: Duration::from_secs(60),
            client_options: ClientOptions::default(),
            warnings: Warnings::default(),
        }
    }
}

impl MsalCacheCredentialOptions {
    /// Who is told when the cache cannot be used as it should: one sentence for a person, without any secret. Default:
    /// `tracing`, as a warning.
    #[must_use]
    pub fn on_warning(mut self, listener: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.warnings = Warnings::to(listener);
        self
    }
}

impl MsalCacheCredential {
    /// A credential of the application `client_id` over `cache`.
    ///
    /// # Errors
    /// `Other` for a tenant, client id or address that cannot be used.
    pub fn new(
        cache: &TokenCache,
        client_id: &str,
        options: Option<MsalCacheCredentialOptions>,
    ) -> azure_core::Result<Arc<Self>> {
        let options = options.unwrap_or_default();
        let host = Url::parse(&options.authority_host).map_err(|error| {
            Error::with_error(ErrorKind::Other, error, "the address of the sign-in service cannot be used")
        })?;
        let any = ["organizations", "common", "consumers"];
        let tenant = (!any.contains(&&*options.tenant.to_ascii_lowercase())).then(|| options.tenant.clone());
        let environment = schema::cache_environment(host.host_str().unwrap_or_default()).to_owned();
        let ways = Ways {
            cache: cache.nonblocking(),
            owner: Owner { client_id: client_id.to_owned(), environment, tenant },
            service: Service::new(&host, &options.tenant, client_id, options.client_options)?,
            flight: Flight::new(cache),
            account: RwLock::new(options.record),
            prompt: options.prompt,
            login_hint: options.login_hint,
            expiry_margin: options.expiry_margin,
            wait_limit: options.wait_limit,
            warnings: options.warnings,
        };
        Ok(Arc::new(Self(Arc::new(ways))))
    }

    /// The accounts of the cache for which this application, or its family, has tokens.
    ///
    /// # Errors
    /// `Io` when the cache cannot be read.
    pub async fn accounts(&self) -> azure_core::Result<Vec<AuthenticationRecord>> {
        let content = self.0.cache.read().await.map_err(unreadable)?;
        self.0.owner.accounts(content.as_ref().map_or(&[], Secret::expose)).map_err(unreadable)
    }

    /// The account that is used: the one that was given, or that signed in through this credential.
    pub fn record(&self) -> Option<AuthenticationRecord> {
        self.0.record()
    }

    /// Signs a person in, whether or not somebody is signed in already, and uses that account from now on.
    ///
    /// # Errors
    /// `Credential` when there is no prompt or the sign-in does not succeed; those of the pipeline.
    pub async fn authenticate(&self, scopes: &[&str]) -> azure_core::Result<AuthenticationRecord> {
        let (_cleared, _) = self.0.enter(None).await?;
        let context = Context::new();
        let (_, record) = self.0.sign_in(scopes, None, "a sign-in was asked for", &context).await?;
        record.ok_or_else(|| failed("the sign-in service does not tell who signed in".to_owned()))
    }

    /// Removes the account and all of its tokens from the cache, for all programs that share it; `false` when it was not
    /// there.
    ///
    /// # Errors
    /// `Io` when the cache cannot be written: the account is still signed in then.
    pub async fn sign_out(&self, account: &AuthenticationRecord) -> azure_core::Result<bool> {
        let gone = account.clone();
        let signed_out = self.0.cache.run(move |cache| store::sign_out(cache, &gone)).await;
        let signed_out = signed_out.map_err(|error| {
            Error::with_error(ErrorKind::Io, error, "the account could not be signed out")
        })?;
        let mut used = self.0.account.write().unwrap_or_else(PoisonError::into_inner);
        if used.as_ref().is_some_and(|used| used.is_same_person(account)) {
            *used = None;
        }
        Ok(signed_out)
    }
}

#[async_trait::async_trait]
impl TokenCredential for MsalCacheCredential {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let options = options.unwrap_or_default();
        self.0.token(scopes, &options.method_options.context).await
    }
}
