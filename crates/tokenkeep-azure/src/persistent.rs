//! Wraps any credential and keeps its tokens between runs and for other processes.
//!
//! This file decides when to call the wrapped credential; `shelf.rs` stores its tokens in the cache.

mod shelf;

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use azure_core::async_runtime::get_async_runtime;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use tokenkeep::nonblocking::Nonblocking;
use tokenkeep::{ErrorKind, TokenCache};

use crate::flight::Flight;
use crate::limit::{REQUEST, within};
use crate::moment;
use crate::warning::Warnings;
pub use shelf::Partition;
pub(crate) use shelf::put;

/// Gives any credential a token cache that survives a restart and is shared by processes.
///
/// - A valid token comes from the cache, without a call to the wrapped credential.
/// - When a token is missing or about to expire, one task of one process requests a new one; the others wait and then find
///   it in the cache.
/// - A token that expires soon is replaced in the background, while requests use it.
/// - When the store fails, the wrapped credential is called as if there were no cache, and a warning is given. No request
///   fails because of the cache.
///
/// The [`Partition`] and the scopes identify a token, so one cache can serve several credentials.
///
/// ```
/// use std::sync::Arc;
/// use azure_core::credentials::TokenCredential;
/// use tokenkeep_azure::{Partition, PersistentTokenCredential};
/// # use azure_core::{credentials::{AccessToken, TokenRequestOptions}, time::{Duration, OffsetDateTime}};
/// # #[derive(Debug)]
/// # struct Underneath;
/// # #[async_trait::async_trait]
/// # impl TokenCredential for Underneath {
/// #     async fn get_token(&self, _: &[&str], _: Option<TokenRequestOptions<'_>>) -> azure_core::Result<AccessToken> {
/// #         Ok(AccessToken::new("a token", OffsetDateTime::now_utc() + Duration::hours(1)))
/// #     }
/// # }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let credential: Arc<dyn TokenCredential> = Arc::new(Underneath);
/// # let cache = tokenkeep::TokenCache::new(tokenkeep::storage::MemoryPersistence::new());
/// // `credential` is any credential of the SDK, `cache` comes from `tokenkeep::Config::new("my-app").open()`.
/// let partition = Partition::new("contoso.onmicrosoft.com", "11111111-aaaa-4aaa-8aaa-000000000001");
/// let kept = PersistentTokenCredential::new(credential, &cache, partition, None);
/// let token = kept.get_token(&["https://vault.azure.net/.default"], None).await?;
///
/// // A service refused the token although it has not expired: the next one is new.
/// kept.forget().await?;
/// let same = kept.inner().get_token(&["https://vault.azure.net/.default"], None).await?; // not kept
/// # assert_eq!(token.token.secret(), same.token.secret());
/// # Ok(())
/// # }
/// ```
pub struct PersistentTokenCredential<C: ?Sized> {
    inner: Arc<C>,
    cache: Nonblocking,
    partition: Partition,
    options: PersistentTokenCredentialOptions,
    flight: Flight,
    /// The scopes whose tokens are being replaced in the background.
    refreshing: Mutex<HashSet<Vec<String>>>,
    me: Weak<Self>,
}

/// The options of a [`PersistentTokenCredential`].
///
/// ```
/// use std::time::Duration;
/// use tokenkeep_azure::PersistentTokenCredentialOptions;
///
/// let mut options = PersistentTokenCredentialOptions::default().on_warning(|text| eprintln!("{text}"));
/// options.refresh_ahead = Duration::from_secs(20 * 60);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PersistentTokenCredentialOptions {
    /// A token that expires within this time is not returned. Default: 5 min, the time at which the clients of
    /// `azure_core` request another token.
    pub expiry_margin: Duration,
    /// A token that expires within this time is returned and replaced in the background. Default: 10 min. If it is
    /// not longer than `expiry_margin`, no token is replaced in the background.
    pub refresh_ahead: Duration,
    /// How long to wait while another process requests the same token; after that this process requests it too.
    /// Default: 30 s.
    pub wait_limit: Duration,
    warnings: Warnings,
}

impl Default for PersistentTokenCredentialOptions {
    fn default() -> Self {
        Self {
            expiry_margin: Duration::from_secs(5 * 60),
            refresh_ahead: Duration::from_secs(10 * 60),
            wait_limit: Duration::from_secs(30),
            warnings: Warnings::default(),
        }
    }
}

impl PersistentTokenCredentialOptions {
    /// Sets the listener for store failures: each is one sentence for the user, without a secret. Default: a
    /// `tracing` warning.
    #[must_use]
    pub fn on_warning(mut self, listener: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.warnings = Warnings::to(listener);
        self
    }
}

/// The result of a look into the cache.
enum Found {
    Good(AccessToken),
    /// Valid, but due to be replaced soon.
    Aging(AccessToken),
    Nothing,
}

impl<C: TokenCredential + ?Sized + 'static> PersistentTokenCredential<C> {
    /// Creates a credential that keeps the tokens of `credential` in `cache`, under `partition`.
    ///
    /// The partition must identify the owner of the tokens: two credentials for different identities must not share
    /// one.
    pub fn new(
        credential: Arc<C>,
        cache: &TokenCache,
        partition: Partition,
        options: Option<PersistentTokenCredentialOptions>,
    ) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            inner: credential,
            cache: cache.nonblocking(),
            partition,
            options: options.unwrap_or_default(),
            flight: Flight::new(cache),
            refreshing: Mutex::default(),
            me: me.clone(),
        })
    }

    /// Returns the wrapped credential.
    pub fn inner(&self) -> &Arc<C> {
        &self.inner
    }

    /// Removes the tokens of this partition from the cache, so that the next request calls the wrapped credential.
    /// Use it when a service refuses a token that has not expired.
    ///
    /// # Errors
    /// `Io` if the cache cannot be written.
    pub async fn forget(&self) -> azure_core::Result<()> {
        let partition = self.partition.clone();
        let forgotten = self.cache.run(move |cache| shelf::clear(cache, &partition)).await;
        forgotten.map_err(|error| azure_core::Error::new(azure_core::error::ErrorKind::Io, error))
    }

    /// Reads the cache. Returns `None` after a warning if it cannot be read.
    async fn look(&self, scopes: &[&str]) -> Option<Found> {
        let content = match self.cache.read().await {
            Ok(content) => content,
            Err(error) => {
                self.warn("The token cache cannot be read", &error);
                // The next write moves a damaged cache aside; other errors may be temporary.
                return (error.kind() == ErrorKind::Damaged).then_some(Found::Nothing);
            }
        };
        let Some(content) = content else { return Some(Found::Nothing) };
        let now = SystemTime::now();
        match shelf::find(content.expose(), &self.partition, scopes, now) {
            Ok(Some(token)) => {
                let left = moment::time(token.expires_on).duration_since(now).unwrap_or_default();
                Some(if left <= self.options.expiry_margin {
                    Found::Nothing
                } else if left <= self.options.refresh_ahead {
                    Found::Aging(token)
                } else {
                    Found::Good(token)
                })
            }
            Ok(None) => Some(Found::Nothing),
            Err(error) => {
                // A write moves the damaged cache aside, so that the warning is not repeated.
                self.warn("The token cache is damaged", &error);
                Some(Found::Nothing)
            }
        }
    }

    /// Calls the wrapped credential, unless another process has just done so, and stores the token.
    async fn renew(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
        aging_will_do: bool,
    ) -> azure_core::Result<AccessToken> {
        let name: Vec<&str> = self.partition.name().into_iter().chain(scopes.iter().copied()).collect();
        let (_cleared, entered) = self.flight.enter(&name, self.options.wait_limit).await;
        if let Err(error) = entered {
            self.warn("Not waiting for other processes that may ask for the same token", &error);
        }
        match self.look(scopes).await {
            Some(Found::Good(token)) => return Ok(token),
            Some(Found::Aging(token)) if aging_will_do => return Ok(token),
            Some(_) => {}
            None => return self.inner.get_token(scopes, options).await,
        }
        let asked = SystemTime::now();
        let token = self.inner.get_token(scopes, options).await?;
        let (partition, scopes) =
            (self.partition.clone(), scopes.iter().map(ToString::to_string).collect::<Vec<_>>());
        let kept = token.clone();
        let save = self.cache.run(move |cache| shelf::keep(cache, &partition, &scopes, &kept, asked));
        if let Err(error) = save.await {
            self.warn("The token could not be kept", &error);
        }
        Ok(token)
    }

    fn renew_in_background(&self, scopes: &[&str]) {
        let Some(me) = self.me.upgrade() else { return };
        let scopes: Vec<String> = scopes.iter().map(ToString::to_string).collect();
        if !self.refreshing.lock().unwrap_or_else(PoisonError::into_inner).insert(scopes.clone()) {
            return;
        }
        let task = get_async_runtime().spawn(Box::pin(async move {
            let _done = Done { refreshing: &me.refreshing, scopes: &scopes };
            let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
            // A credential that never answers must not end all replacements.
            if let Err(error) = within(REQUEST, me.renew(&scopes, None, false)).await {
                me.options
                    .warnings
                    .warn(&format!("A token that expires soon could not be replaced yet: {error}"));
            }
        }));
        // The task continues without its handle.
        drop(task);
    }

    fn warn(&self, what: &str, error: &tokenkeep::Error) {
        self.options.warnings.warn(&format!("{what}: {error}"));
    }
}

/// Lets the next task for these scopes begin when this one ends, also by a panic.
struct Done<'a> {
    refreshing: &'a Mutex<HashSet<Vec<String>>>,
    scopes: &'a Vec<String>,
}

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.refreshing.lock().unwrap_or_else(PoisonError::into_inner).remove(self.scopes);
    }
}

#[async_trait::async_trait]
impl<C: TokenCredential + ?Sized + 'static> TokenCredential for PersistentTokenCredential<C> {
    async fn get_token(
        &self,
        scopes: &[&str],
        options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        match self.look(scopes).await {
            Some(Found::Good(token)) => Ok(token),
            Some(Found::Aging(token)) => {
                self.renew_in_background(scopes);
                Ok(token)
            }
            Some(Found::Nothing) => self.renew(scopes, options, true).await,
            None => self.inner.get_token(scopes, options).await,
        }
    }
}

impl<C: fmt::Debug + ?Sized> fmt::Debug for PersistentTokenCredential<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PersistentTokenCredential")
            .field("inner", &&self.inner)
            .field("partition", &self.partition)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
