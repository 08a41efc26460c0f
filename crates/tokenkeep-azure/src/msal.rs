//! A credential over the unified cache of the MSAL libraries.
//!
//! This file owns the public types. `ways.rs` has the order in which a token is looked for, `store.rs` the cache's
//! content, `service.rs` and `answer.rs` the sign-in service, `device_code.rs` the sign-in by a user.

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

/// Signs users in with the cache that the MSAL libraries of all languages share. An account that `@azure/msal-node`,
/// `msal` for Python or another program of this crate has signed in is signed in here too, and the other way round.
///
/// It looks for a token in this order:
/// 1. an access token in the cache that is valid;
/// 2. the refresh token in the cache. Other processes wait meanwhile, so that it is redeemed once; the new one is stored;
/// 3. a sign-in with a device code, if there is a [`Prompt`].
///
/// Dropping [`get_token`](TokenCredential::get_token) cancels a wait for other processes and a sign-in. It does not
/// cancel the request that redeems a refresh token: the service has replaced the token by then, so the request
/// continues as a task of `azure_core`'s runtime until the new token is in the cache. If no thread drives a
/// single-threaded runtime any more (`block_on` has returned), the task stops and other processes wait up to their
/// limit until the runtime is driven again. If that runtime is dropped, the new token is lost. Await `get_token` to
/// its end before you do either.
///
/// HTTP goes through `azure_core`'s pipeline with its retries: a busy service gets the next request after the time
/// that it names. While the service is unreachable, a token is used until it expires.
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
/// // Several accounts, and another user:
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

/// The options of a [`MsalCacheCredential`]: its account and its sign-in service.
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
    /// The account to use. Required when several are signed in. Default: the only account in the cache.
    pub record: Option<AuthenticationRecord>,
    /// Shows a device code to the user when a sign-in is necessary. Default: no prompt; a token that needs a sign-in
    /// is then an error.
    pub prompt: Option<Prompt>,
    /// The user name that the sign-in page proposes. Default: the account's user name, if known.
    pub login_hint: Option<String>,
    /// A token that expires within this time is not returned. Default: 5 min, the time at which the clients of
    /// `azure_core` request another token.
    pub expiry_margin: Duration,
    /// How long to wait while another process redeems the refresh token or signs a user in. Default: 60 s.
    pub wait_limit: Duration,
    /// The options of the HTTP pipeline: transport, retries, policies.
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
    /// Sets the listener for warnings about the cache: each is one sentence for the user, without a secret. Default:
    /// a `tracing` warning.
    #[must_use]
    pub fn on_warning(mut self, listener: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.warnings = Warnings::to(listener);
        self
    }
}

impl MsalCacheCredential {
    /// Creates a credential of the application `client_id` over `cache`.
    ///
    /// # Errors
    /// `Other` for a tenant, client id or address that is not valid.
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

    /// Returns the accounts in the cache for which this application, or its family, has tokens.
    ///
    /// # Errors
    /// `Io` if the cache cannot be read.
    pub async fn accounts(&self) -> azure_core::Result<Vec<AuthenticationRecord>> {
        let content = self.0.cache.read().await.map_err(unreadable)?;
        self.0.owner.accounts(content.as_ref().map_or(&[], Secret::expose)).map_err(unreadable)
    }

    /// Returns the account in use: the given one, or the one that signed in through this credential.
    pub fn record(&self) -> Option<AuthenticationRecord> {
        self.0.record()
    }

    /// Signs a user in, even if an account is signed in already, and uses that account from now on.
    ///
    /// # Errors
    /// `Credential` if there is no prompt or the sign-in does not succeed; errors of the pipeline.
    pub async fn authenticate(&self, scopes: &[&str]) -> azure_core::Result<AuthenticationRecord> {
        let (_cleared, _) = self.0.enter(None).await?;
        let context = Context::new();
        let (_, record) = self.0.sign_in(scopes, None, "a sign-in was asked for", &context).await?;
        record.ok_or_else(|| failed("the sign-in service does not tell who signed in".to_owned()))
    }

    /// Removes the account and all of its tokens from the cache, for all programs that share it. Returns `false` if
    /// the account was not in the cache.
    ///
    /// # Errors
    /// `Io` if the cache cannot be written; the account is then still signed in.
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
