//! The order in which a credential looks for a token.
//!
//! The redemption of a refresh token, from the request to the save, continues when its caller stops waiting. The
//! service replaces the refresh token when it gets the request, so a dropped request would lose the new one.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use azure_core::credentials::AccessToken;
use azure_core::error::{Error, ErrorKind};
use azure_core::http::Context;
use azure_core::time::OffsetDateTime;
use tokenkeep::Secret;
use tokenkeep::inspect::printable;
use tokenkeep::nonblocking::Nonblocking;

use super::answer::SignIn;
use super::device_code::{self, Prompt, failed, is_of_the_moment};
use super::service::{Answer, Service, text};
use super::store::{self, Cached, Owner};
use crate::detached::detached;
use crate::flight::{Cleared, Flight};
use crate::moment;
use crate::record::AuthenticationRecord;
use crate::warning::Warnings;

/// The parts that a credential needs to get a token.
#[derive(Debug)]
pub(super) struct Ways {
    pub(super) cache: Nonblocking,
    pub(super) owner: Owner,
    pub(super) service: Service,
    pub(super) flight: Flight,
    pub(super) account: RwLock<Option<AuthenticationRecord>>,
    pub(super) prompt: Option<Prompt>,
    pub(super) login_hint: Option<String>,
    pub(super) expiry_margin: Duration,
    pub(super) wait_limit: Duration,
    pub(super) warnings: Warnings,
}

/// The result of a try without the user.
enum Silent {
    Token(AccessToken),
    /// A user must sign in, for this reason.
    SignInNeeded(String),
}

impl Ways {
    /// Returns the account in use: the given one, or the one that signed in.
    pub(super) fn record(&self) -> Option<AuthenticationRecord> {
        self.account.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) async fn token(
        self: &Arc<Self>,
        scopes: &[&str],
        context: &Context<'_>,
    ) -> azure_core::Result<AccessToken> {
        if scopes.is_empty() {
            return Err(Error::with_message(ErrorKind::Credential, "a token is for one scope at least"));
        }
        let (account, cached) = self.look(scopes).await?;
        if let Some(Cached { token, is_due: false }) = cached {
            return Ok(token);
        }
        let (cleared, entered) = self.enter(account.as_ref()).await?;
        if let Some(Cached { token, .. }) = cached.filter(|_| !entered) {
            return Ok(token);
        }
        let (_cleared, silent) = self.silent_to_the_end(cleared, scopes, context).await?;
        let reason = match silent {
            Silent::Token(token) => return Ok(token),
            Silent::SignInNeeded(reason) => reason,
        };
        let expected = self.record();
        let (token, _) = self.sign_in(scopes, expected.as_ref(), &reason, context).await?;
        Ok(token)
    }

    /// Like [`Ways::silent`], and runs to its end even if the caller stops waiting: other processes go on only when
    /// the service's answer is in the cache.
    async fn silent_to_the_end(
        self: &Arc<Self>,
        cleared: Cleared,
        scopes: &[&str],
        context: &Context<'_>,
    ) -> azure_core::Result<(Cleared, Silent)> {
        let (me, context) = (Arc::clone(self), context.to_owned());
        let scopes: Vec<String> = scopes.iter().map(ToString::to_string).collect();
        detached(async move {
            let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
            let silent = me.silent(&scopes, &context).await?;
            Ok((cleared, silent))
        })
        .await?
    }

    /// Lets one process at a time on for one account; returns `false` if the locks cannot be used at all.
    pub(super) async fn enter(
        &self,
        account: Option<&AuthenticationRecord>,
    ) -> azure_core::Result<(Cleared, bool)> {
        let who = account.map_or("", |account| &account.home_account_id);
        let (cleared, entered) = self.flight.enter(&[&self.owner.client_id, who], self.wait_limit).await;
        match entered {
            Ok(()) => Ok((cleared, true)),
            // Without the lock, the refresh token might be redeemed a second time.
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

    /// Returns the account to use and its entries in the cache.
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

    /// Returns the stored content. A store that fails counts as empty, so that a user can still sign in.
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
                let names: Vec<_> = several.iter().map(|account| printable(account.username())).collect();
                let names = names.join(", ");
                Err(failed(format!("several accounts are signed in ({names}); choose one by its record")))
            }
        }
    }

    /// With the request lock held: reads the cache again, then redeems the refresh token.
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
                // A library that does not wait for this lock may have replaced the token in the meantime.
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

    /// The service is unreachable: returns a token that has not expired yet.
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
        Ok(Silent::Token(token?))
    }

    /// Signs a user in with a device code.
    pub(super) async fn sign_in(
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
                printable(&person.username),
                printable(&expected.username)
            )));
        }
        let (token, kept) = self.keep(sign_in, None, scopes).await;
        let record = kept.unwrap_or_default();
        if record.is_some() {
            self.account.write().unwrap_or_else(PoisonError::into_inner).clone_from(&record);
        }
        Ok((token?, record))
    }

    /// Stores a sign-in in the cache. The token is returned even if that fails.
    async fn keep(
        &self,
        sign_in: SignIn,
        account: Option<AuthenticationRecord>,
        scopes: &[&str],
    ) -> (azure_core::Result<AccessToken>, tokenkeep::Result<Option<AuthenticationRecord>>) {
        let expires = moment::date(sign_in.expires, sign_in.obtained).unwrap_or(OffsetDateTime::UNIX_EPOCH);
        let token = text(&sign_in.access_token).map(|token| AccessToken::new(token.to_owned(), expires));
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

pub(super) fn unreadable(error: tokenkeep::Error) -> Error {
    Error::with_error(ErrorKind::Io, error, "the token cache cannot be read")
}
