//! Reads and writes one application's entries in the unified cache.

use std::time::{Duration, SystemTime};

use azure_core::credentials::AccessToken;
use tokenkeep::schema::{self, Contents, Ids, Record};
use tokenkeep::{Result, Secret, TokenCache};

use super::answer::SignIn;
use crate::moment;
use crate::persistent::put;
use crate::record::AuthenticationRecord;

/// msal-node rounds times to whole seconds, so a token that it just stored may have a time in the next second.
const ROUNDING: Duration = Duration::from_secs(1);

/// The application and cloud whose entries are used.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    pub(super) client_id: String,
    pub(super) environment: String,
    /// The tenant to get tokens for; `None` for the account's own.
    pub(super) tenant: Option<String>,
}

/// A token from the cache.
pub(super) struct Cached {
    pub(super) token: AccessToken,
    /// The service asked for a replacement by now.
    pub(super) is_due: bool,
}

impl Owner {
    /// Returns the accounts that can be used without a sign-in, each user once.
    pub(super) fn accounts(&self, content: &[u8]) -> Result<Vec<AuthenticationRecord>> {
        let contents = Contents::parse(content)?;
        let mut records: Vec<AuthenticationRecord> = Vec::new();
        for account in contents.accounts() {
            let (Some(home), Some(environment)) = (account.home_account_id(), account.environment()) else {
                continue;
            };
            let record = AuthenticationRecord::new(
                &environment,
                &self.client_id,
                &home,
                &account.realm().unwrap_or_default(),
                &account.username().unwrap_or_default(),
            );
            let known = records.iter().any(|known| known.is_same_person(&record));
            if !known
                && schema::is_same_cloud(&environment, &self.environment)
                && self.holds(&contents, &home)
            {
                records.push(record);
            }
        }
        Ok(records)
    }

    /// Returns whether the account has a token of this application or of its family.
    fn holds(&self, contents: &Contents<'_>, home: &str) -> bool {
        contents.refresh_tokens().any(|token| self.may_redeem(&token, home))
            || contents.access_tokens().any(|token| {
                is(token.home_account_id(), home)
                    && is(token.client_id(), &self.client_id)
                    && token.is_plain_bearer()
            })
    }

    /// Returns an access token that is valid for longer than `margin`.
    pub(super) fn access_token(
        &self,
        content: &[u8],
        account: &AuthenticationRecord,
        scopes: &[&str],
        now: SystemTime,
        margin: Duration,
    ) -> Result<Option<Cached>> {
        let contents = Contents::parse(content)?;
        let realm = self.tenant.as_deref().unwrap_or(&account.tenant_id);
        let good = contents.access_tokens().filter(|token| {
            token.is_plain_bearer()
                && is(token.home_account_id(), &account.home_account_id)
                && is(token.client_id(), &self.client_id)
                && is(token.realm(), realm)
                && schema::is_same_cloud(&token.environment().unwrap_or_default(), &self.environment)
                && token.covers(scopes)
                // A time in the future means that a clock was wrong then or is wrong now.
                && token.cached_at().is_some_and(|cached| cached.duration_since(now).unwrap_or_default() <= ROUNDING)
                && now.checked_add(margin).is_some_and(|then| !token.is_expired(then))
                // Of a time that no token has nothing is known.
                && token.expires_on().is_some_and(|time| moment::date(time, now).is_some())
        });
        let longest = good.max_by_key(schema::AccessToken::expires_on);
        Ok(longest.and_then(|token| {
            let secret = String::from_utf8(token.secret()?.expose().to_vec()).ok()?;
            Some(Cached {
                token: AccessToken::new(secret, moment::date(token.expires_on()?, now)?),
                is_due: token.refresh_on().is_some_and(|due| due <= now),
            })
        }))
    }

    /// Returns the refresh token to redeem: the application's own, or that of its family.
    pub(super) fn refresh_token(
        &self,
        content: &[u8],
        account: &AuthenticationRecord,
    ) -> Result<Option<Secret>> {
        let contents = Contents::parse(content)?;
        let usable =
            contents.refresh_tokens().filter(|token| self.may_redeem(token, &account.home_account_id));
        // Of two with one client id, take the one that a library marked as the latest.
        let best = usable.max_by_key(|token| (is(token.client_id(), &self.client_id), token.last_modified()));
        // One that is no text is none of the service's.
        Ok(best.and_then(|token| token.secret()).filter(|token| std::str::from_utf8(token.expose()).is_ok()))
    }

    fn may_redeem(&self, token: &schema::RefreshToken<'_>, home: &str) -> bool {
        is(token.home_account_id(), home)
            && token.user_assertion_hash().is_none()
            && schema::is_same_cloud(&token.environment().unwrap_or_default(), &self.environment)
            && (is(token.client_id(), &self.client_id) || token.family_id().is_some())
    }

    /// Stores a sign-in in the cache and returns its account.
    ///
    /// `account` is the account that the sign-in was requested for. If it has been signed out in the meantime, this
    /// function writes nothing and returns `None`.
    pub(super) fn keep(
        &self,
        cache: &TokenCache,
        sign_in: &SignIn,
        account: Option<&AuthenticationRecord>,
        scopes: &[String],
    ) -> Result<Option<AuthenticationRecord>> {
        let write = cache.begin_write()?;
        let content = write.content().unwrap_or_default();
        // Content that is not a cache is not a sign-out.
        let known = self.accounts(content).unwrap_or_default();
        let present =
            |account: &AuthenticationRecord| known.iter().find(|known| known.is_same_person(account));
        if account.is_some_and(|account| present(account).is_none()) && Contents::parse(content).is_ok() {
            return Ok(None);
        }
        let Some(mut record) = self.record(sign_in).or_else(|| account.cloned()) else { return Ok(None) };
        // An account keeps the cloud's host under which the cache has it.
        record.authority = present(&record).map_or(&self.environment, |known| &known.authority).clone();
        put(write, &self.records(sign_in, &record, scopes))?;
        Ok(Some(record))
    }

    fn record(&self, sign_in: &SignIn) -> Option<AuthenticationRecord> {
        let person = sign_in.person.as_ref()?;
        Some(AuthenticationRecord::new(
            &self.environment,
            &self.client_id,
            &person.home_account_id,
            &person.tenant_id,
            &person.username,
        ))
    }

    fn records<'a>(
        &self,
        sign_in: &'a SignIn,
        record: &'a AuthenticationRecord,
        scopes: &[String],
    ) -> Vec<Record<'a>> {
        let ids = Ids {
            home_account_id: &record.home_account_id,
            environment: &record.authority,
            client_id: &record.client_id,
            realm: &record.tenant_id,
        };
        let family = sign_in.family_id.as_deref();
        let granted: Vec<&str> = match &sign_in.scope {
            Some(scope) => scope.split_whitespace().collect(),
            None => scopes.iter().map(String::as_str).collect(),
        };
        // The service may return other names for the granted scopes; store the requested ones, by which the token is
        // looked up.
        let asked = scopes.iter().map(String::as_str);
        let more = asked.filter(|scope| !granted.iter().any(|granted| granted.eq_ignore_ascii_case(scope)));
        let target: Vec<&str> = more.chain(granted.iter().copied()).collect();
        let mut token = Record::access_token(
            ids,
            &target,
            sign_in.access_token.clone(),
            sign_in.obtained,
            sign_in.expires,
        );
        if let Some(time) = sign_in.extended_expires {
            token = token.extended_expires_on(time);
        }
        if let Some(time) = sign_in.refresh {
            token = token.refresh_on(time);
        }
        let mut records = vec![token];
        records.extend(
            sign_in.refresh_token.iter().map(|token| Record::refresh_token(ids, family, token.clone())),
        );
        records.extend(sign_in.id_token.iter().map(|token| Record::id_token(ids, token.clone())));
        if let Some(person) = &sign_in.person {
            let mut account = Record::account(ids, &person.local_account_id, &person.username);
            if let Some(name) = &person.name {
                account = account.field("name", name.as_str());
            }
            if let Some(info) = &sign_in.client_info {
                account = account.field("client_info", info.as_str());
            }
            records.push(account);
        }
        records.push(Record::app_metadata(ids, family));
        records
    }
}

/// Removes a refresh token that the service refuses permanently.
pub(super) fn drop_refresh_token(cache: &TokenCache, spent: &Secret) -> Result<()> {
    let write = cache.begin_write()?;
    let Some(content) = write.content() else { return Ok(()) };
    let removal = schema::remove_refresh_token(content, spent.expose())?;
    if removal.removed > 0 {
        write.commit(removal.content)?;
    }
    Ok(())
}

/// Removes an account with all of its tokens; returns `false` if the account was not in the cache.
pub(super) fn sign_out(cache: &TokenCache, account: &AuthenticationRecord) -> Result<bool> {
    let write = cache.begin_write()?;
    let Some(content) = write.content() else { return Ok(false) };
    let removal = schema::remove_account(content, &account.home_account_id)?;
    if removal.removed > 0 {
        write.commit(removal.content)?;
    }
    Ok(removal.removed > 0)
}

fn is(text: Option<std::borrow::Cow<'_, str>>, wanted: &str) -> bool {
    text.unwrap_or_default().eq_ignore_ascii_case(wanted)
}
