//! The unified cache of the MSAL libraries, as a credential.
//!
//! This file owns the order in which ways to a token are tried. What the cache holds is `store.rs`, what the service says
//! `service.rs` and `answer.rs`, how a person signs in `device_code.rs`.

mod answer;
mod device_code;
mod service;
mod store;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::error::{Error, ErrorKind};
use azure_core::http::{ClientOptions, Context, Url};
use azure_core::time::OffsetDateTime;
use tokenkeep::nonblocking::Nonblocking;
use tokenkeep::{Secret, TokenCache, schema};

use crate::flight::Flight;
use crate::record::AuthenticationRecord;
use crate::warning::Warnings;
use answer::SignIn;
pub use device_code::{DeviceCode, Prompt};
use device_code::{failed, is_of_the_moment};
use service::{Answer, Service};
use store::{Cached, Owner};

/// Signs people in with the cache that the MSAL libraries of all languages share: whoever is signed in there, by
/// `@azure/msal-node`, `msal` for Python or another program of this crate, is signed in here, and the other way round.
///
/// A token is looked for in this order:
/// 1. an access token in the cache that is still good;
/// 2. the refresh token in the cache, redeemed while other processes wait, so that it is spent once; the new one is kept;
/// 3. a sign-in with a device code, if there is a [`Prompt`].
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
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MsalCacheCredential {
    cache: Nonblocking,
    owner: Owner,
    service: Service,
    flight: Flight,
    account: RwLock<Option<AuthenticationRecord>>,
    prompt: Option<Prompt>,
    login_hint: Option<String>,
    expiry_margin: Duration,
    wait_limit: Duration,
    warnings: Warnings,
}

/// How a [`MsalCacheCredential`] finds its account and its service.
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

/// The ways to a token that need no person.
enum Silent {
    Token(AccessToken),
    /// Somebody has to sign in, for this reason.
    SignInNeeded(String),
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
        Ok(Arc::new(Self {
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
        }))
    }

    /// The accounts of the cache for which this application, or its family, has tokens.
    ///
    /// # Errors
    /// `Io` when the cache cannot be read.
    pub async fn accounts(&self) -> azure_core::Result<Vec<AuthenticationRecord>> {
        let content = self.cache.read().await.map_err(unreadable)?;
        self.owner.accounts(content.as_ref().map_or(&[], Secret::expose)).map_err(unreadable)
    }

    /// The account that is used: the one that was given, or that signed in through this credential.
    pub fn record(&self) -> Option<AuthenticationRecord> {
        self.account.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Signs a person in, whether or not somebody is signed in already, and uses that account from now on.
    ///
    /// # Errors
    /// `Credential` when there is no prompt or the sign-in does not succeed; those of the pipeline.
    pub async fn authenticate(&self, scopes: &[&str]) -> azure_core::Result<AuthenticationRecord> {
        let (_cleared, _) = self.enter(None).await?;
        let context = Context::new();
        let (_, record) = self.sign_in(scopes, None, "a sign-in was asked for", &context).await?;
        record.ok_or_else(|| failed("the sign-in service does not tell who signed in".to_owned()))
    }

    /// Removes the account and all of its tokens from the cache, for all programs that share it; `false` when it was not
    /// there.
    ///
    /// # Errors
    /// `Io` when the cache cannot be written: the account is still signed in then.
    pub async fn sign_out(&self, account: &AuthenticationRecord) -> azure_core::Result<bool> {
        let gone = account.clone();
        let signed_out = self.cache.run(move |cache| store::sign_out(cache, &gone)).await;
        let signed_out = signed_out.map_err(|error| {
            Error::with_error(ErrorKind::Io, error, "the account could not be signed out")
        })?;
        let mut used = self.account.write().unwrap_or_else(PoisonError::into_inner);
        if used.as_ref().is_some_and(|used| used.is_same_person(account)) {
            *used = None;
        }
        Ok(signed_out)
    }

    async fn token(&self, scopes: &[&str], context: &Context<'_>) -> azure_core::Result<AccessToken> {
        if scopes.is_empty() {
            return Err(Error::with_message(ErrorKind::Credential, "a token is for one scope at least"));
        }
        let (account, cached) = self.look(scopes).await?;
        if let Some(Cached { token, is_due: false }) = cached {
            return Ok(token);
        }
        let (_cleared, entered) = self.enter(account.as_ref()).await?;
        if let Some(Cached { token, .. }) = cached.filter(|_| !entered) {
            return Ok(token);
        }
        let reason = match self.silent(scopes, context).await? {
            Silent::Token(token) => return Ok(token),
            Silent::SignInNeeded(reason) => reason,
        };
        let expected = self.record();
        let (token, _) = self.sign_in(scopes, expected.as_ref(), &reason, context).await?;
        Ok(token)
    }

    /// Lets one process at a time on with one account; `false` when the locks cannot be used at all.
    async fn enter(
        &self,
        account: Option<&AuthenticationRecord>,
    ) -> azure_core::Result<(crate::flight::Cleared<'_>, bool)> {
        let who = account.map_or("", |account| &account.home_account_id);
        let (cleared, entered) = self.flight.enter(&[&self.owner.client_id, who], self.wait_limit).await;
        match entered {
            Ok(()) => Ok((cleared, true)),
            // Going on would spend the refresh token a second time.
            Err(error) if error.kind() == tokenkeep::ErrorKind::Busy => Err(Error::with_error(
                ErrorKind::Credential,
                error,
                "another process is getting a token for the same account, or somebody is signing in there",
            )),
            Err(error) => {
                self.warnings
                    .warn(&format!("Not waiting for other processes that may get the same token: {error}"));
                Ok((cleared, false))
            }
        }
    }

    /// The account to use, and what the cache has for it.
    async fn look(
        &self,
        scopes: &[&str],
    ) -> azure_core::Result<(Option<AuthenticationRecord>, Option<Cached>)> {
        let content = self.content().await;
        let content = content.as_ref().map_or(&[][..], Secret::expose);
        let Some(account) = self.choose(content)? else { return Ok((None, None)) };
        let cached =
            self.owner.access_token(content, &account, scopes, SystemTime::now(), self.expiry_margin);
        Ok((Some(account), cached.unwrap_or_default()))
    }

    /// What is stored. A store that fails is one that holds nothing: somebody may sign in all the same.
    async fn content(&self) -> Option<Secret> {
        match self.cache.read().await {
            Ok(content) => content,
            Err(error) => {
                self.warnings.warn(&format!("The token cache cannot be read: {error}"));
                None
            }
        }
    }

    fn choose(&self, content: &[u8]) -> azure_core::Result<Option<AuthenticationRecord>> {
        let accounts = match self.owner.accounts(content) {
            Ok(accounts) => accounts,
            Err(error) => {
                self.warnings.warn(&format!("The token cache is damaged: {error}"));
                Vec::new()
            }
        };
        if let Some(wanted) = self.record() {
            return Ok(accounts.into_iter().find(|account| account.is_same_person(&wanted)));
        }
        match &accounts[..] {
            [] => Ok(None),
            [only] => Ok(Some(only.clone())),
            several => {
                let names: Vec<_> = several.iter().map(AuthenticationRecord::username).collect();
                let names = names.join(", ");
                Err(failed(format!("several accounts are signed in ({names}); choose one by its record")))
            }
        }
    }

    /// With other processes kept waiting: looks again, then redeems the refresh token.
    async fn silent(&self, scopes: &[&str], context: &Context<'_>) -> azure_core::Result<Silent> {
        let mut spent: Option<Secret> = None;
        let mut again = false;
        let still_good = loop {
            let (account, cached) = self.look(scopes).await?;
            let Some(account) = account else {
                return Ok(Silent::SignInNeeded("nobody is signed in".to_owned()));
            };
            let still_good = match cached {
                Some(Cached { token, is_due: false }) => return Ok(Silent::Token(token)),
                cached => cached.map(|cached| cached.token),
            };
            let content = self.content().await;
            let content = content.as_ref().map_or(&[][..], Secret::expose);
            let refresh = self.owner.refresh_token(content, &account).unwrap_or_default();
            let refresh = refresh.filter(|refresh| spent.as_ref() != Some(refresh));
            let answer = match &refresh {
                Some(refresh) => self.service.refresh(refresh, scopes, context).await,
                None => break still_good,
            };
            let refusal = match answer {
                Ok(Answer::Granted(sign_in)) => return self.keep_refreshed(sign_in, account, scopes).await,
                Ok(Answer::Refused(refusal)) => refusal,
                Err(error) if is_of_the_moment(&error) => {
                    return self.last_resort(content, &account, scopes, still_good, error);
                }
                Err(error) => return Err(error),
            };
            if refusal.is_of_the_token() {
                self.forget(refresh.clone()).await;
                spent = refresh;
                if still_good.is_some() || again {
                    break still_good;
                }
                // Perhaps a library that does not wait has replaced it meanwhile.
                again = true;
                continue;
            }
            if still_good.is_none() && !refusal.wants_interaction() {
                return Err(failed(format!("the sign-in service refuses: {}", refusal.explain())));
            }
            return Ok(still_good.map_or_else(|| Silent::SignInNeeded(refusal.explain()), Silent::Token));
        };
        let expired = || Silent::SignInNeeded("the sign-in has expired".to_owned());
        Ok(still_good.map_or_else(expired, Silent::Token))
    }

    /// The service is out of reach: a token is used to its end.
    fn last_resort(
        &self,
        content: &[u8],
        account: &AuthenticationRecord,
        scopes: &[&str],
        still_good: Option<AccessToken>,
        error: Error,
    ) -> azure_core::Result<Silent> {
        let now = SystemTime::now();
        let left = || {
            let cached = self.owner.access_token(content, account, scopes, now, Duration::ZERO);
            cached.unwrap_or_default().map(|cached| cached.token)
        };
        let Some(token) = still_good.or_else(left) else { return Err(error) };
        self.warnings.warn(&format!("The token could not be renewed yet: {error}"));
        Ok(Silent::Token(token))
    }

    async fn keep_refreshed(
        &self,
        sign_in: SignIn,
        account: AuthenticationRecord,
        scopes: &[&str],
    ) -> azure_core::Result<Silent> {
        let (token, kept) = self.keep(sign_in, Some(account), scopes).await;
        if let Ok(None) = kept {
            return Ok(Silent::SignInNeeded("the account has been signed out meanwhile".to_owned()));
        }
        Ok(Silent::Token(token))
    }

    async fn sign_in(
        &self,
        scopes: &[&str],
        expected: Option<&AuthenticationRecord>,
        reason: &str,
        context: &Context<'_>,
    ) -> azure_core::Result<(AccessToken, Option<AuthenticationRecord>)> {
        let Some(prompt) = &self.prompt else {
            return Err(failed(format!(
                "somebody has to sign in, and there is no prompt to ask them: {reason}"
            )));
        };
        let hint = self.login_hint.as_deref().or_else(|| expected.map(AuthenticationRecord::username));
        let sign_in = device_code::sign_in(&self.service, prompt, scopes, hint, context).await?;
        if let (Some(expected), Some(person)) = (expected, &sign_in.person)
            && !expected.home_account_id.eq_ignore_ascii_case(&person.home_account_id)
        {
            return Err(failed(format!(
                "{} signed in, but {} was expected",
                person.username, expected.username
            )));
        }
        let (token, kept) = self.keep(sign_in, None, scopes).await;
        let record = kept.unwrap_or_default();
        if record.is_some() {
            self.account.write().unwrap_or_else(PoisonError::into_inner).clone_from(&record);
        }
        Ok((token, record))
    }

    /// Puts a sign-in into the cache. When that fails the token is good all the same.
    async fn keep(
        &self,
        sign_in: SignIn,
        account: Option<AuthenticationRecord>,
        scopes: &[&str],
    ) -> (AccessToken, tokenkeep::Result<Option<AuthenticationRecord>>) {
        let secret = String::from_utf8_lossy(sign_in.access_token.expose()).into_owned();
        let token = AccessToken::new(secret, OffsetDateTime::from(sign_in.expires));
        let (owner, scopes) =
            (self.owner.clone(), scopes.iter().map(ToString::to_string).collect::<Vec<_>>());
        let keep = self.cache.run(move |cache| owner.keep(cache, &sign_in, account.as_ref(), &scopes));
        let kept = keep.await;
        if let Err(error) = &kept {
            self.warnings.warn(&format!("The sign-in could not be kept: {error}"));
        }
        (token, kept)
    }

    async fn forget(&self, refresh: Option<Secret>) {
        let Some(refresh) = refresh else { return };
        if let Err(error) = self.cache.run(move |cache| store::drop_refresh_token(cache, &refresh)).await {
            self.warnings.warn(&format!("A refresh token that is spent could not be removed: {error}"));
        }
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
        self.token(scopes, &options.method_options.context).await
    }
}

fn unreadable(error: tokenkeep::Error) -> Error {
    Error::with_error(ErrorKind::Io, error, "the token cache cannot be read")
}
