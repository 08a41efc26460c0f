//! Stores a credential's tokens in the cache as access tokens in the MSAL format, so that programs that list a cache
//! or sign an account out find them.

use std::time::SystemTime;

use azure_core::credentials::{AccessToken, Secret};
use tokenkeep::schema::{self, Change, Contents, Ids, Record};
use tokenkeep::{ErrorKind, Result, TokenCache, WriteAccess};

use crate::moment;

/// The owner of tokens. Tokens of different partitions are never mixed.
///
/// ```
/// use tokenkeep_azure::Partition;
///
/// let the_app_itself = Partition::new("contoso.onmicrosoft.com", "11111111-aaaa-4aaa-8aaa-000000000001");
/// let a_person = the_app_itself.clone().account("uid.utid");
/// let in_china = the_app_itself.clone().authority_host("login.chinacloudapi.cn");
/// assert!(a_person != the_app_itself && in_china != the_app_itself);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Partition {
    tenant: String,
    client: String,
    account: String,
    environment: String,
}

impl Partition {
    /// The tokens that the application `client` (an id) gets for itself in `tenant` (id or domain), in the public
    /// cloud.
    ///
    /// For a credential with an unknown tenant and client, such as a developer's command line, use any two words that
    /// no other credential of the cache uses.
    pub fn new(tenant: impl Into<String>, client: impl Into<String>) -> Self {
        Self {
            tenant: tenant.into(),
            client: client.into(),
            account: String::new(),
            environment: "login.windows.net".to_owned(),
        }
    }

    /// The tokens of a user. Use the home account id: a sign-out of the account then removes these tokens too.
    #[must_use]
    pub fn account(self, account: impl Into<String>) -> Self {
        Self { account: account.into(), ..self }
    }

    /// The tokens of another cloud, named by the host of its sign-in service.
    #[must_use]
    pub fn authority_host(self, host: &str) -> Self {
        Self { environment: schema::cache_environment(host).to_owned(), ..self }
    }

    pub(super) fn name(&self) -> [&str; 4] {
        [&self.environment, &self.tenant, &self.client, &self.account]
    }

    fn ids(&self) -> Ids<'_> {
        Ids {
            home_account_id: &self.account,
            environment: &self.environment,
            client_id: &self.client,
            realm: &self.tenant,
        }
    }

    fn owns(&self, token: &schema::AccessToken<'_>) -> bool {
        let is = |text: Option<std::borrow::Cow<'_, str>>, wanted: &str| {
            text.unwrap_or_default().eq_ignore_ascii_case(wanted)
        };
        token.is_plain_bearer()
            && is(token.home_account_id(), &self.account)
            && is(token.client_id(), &self.client)
            && is(token.realm(), &self.tenant)
            && schema::is_same_cloud(&token.environment().unwrap_or_default(), &self.environment)
    }
}

/// Returns the token for `scopes` that is valid for longest. A token from the future is not trusted, because a clock
/// was wrong then or is wrong now.
pub(super) fn find(
    content: &[u8],
    partition: &Partition,
    scopes: &[&str],
    now: SystemTime,
) -> Result<Option<AccessToken>> {
    let contents = Contents::parse(content)?;
    let good = contents.access_tokens().filter(|token| {
        partition.owns(token)
            && token.covers(scopes)
            && token.cached_at().is_some_and(|cached| cached <= now)
            && !token.is_expired(now)
            && token.expires_on().is_some_and(|time| moment::date(time, now).is_some())
    });
    let longest = good.max_by_key(schema::AccessToken::expires_on);
    Ok(longest.and_then(|token| {
        let secret = String::from_utf8(token.secret()?.expose().to_vec()).ok()?;
        Some(AccessToken::new(Secret::new(secret), moment::date(token.expires_on()?, now)?))
    }))
}

/// Stores a token. A damaged cache is moved aside, as its owner configured.
pub(super) fn keep(
    cache: &TokenCache,
    partition: &Partition,
    scopes: &[String],
    token: &AccessToken,
    cached_at: SystemTime,
) -> Result<()> {
    let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
    let secret = tokenkeep::Secret::from(token.token.secret());
    let expires = moment::time(token.expires_on);
    let record = Record::access_token(partition.ids(), &scopes, secret, cached_at, expires);
    put(cache.begin_write()?, &[record])
}

/// Removes all tokens of a partition.
pub(super) fn clear(cache: &TokenCache, partition: &Partition) -> Result<()> {
    let write = cache.begin_write()?;
    let Some(content) = write.content() else { return Ok(()) };
    let removal = schema::remove_access_tokens(content, |token| partition.owns(token))?;
    if removal.removed > 0 {
        write.commit(removal.content)?;
    }
    Ok(())
}

/// Stores records in the cache.
pub(crate) fn put(write: WriteAccess, records: &[Record<'_>]) -> Result<()> {
    match schema::put(write.content(), records) {
        Ok(content) => write.commit(content)?,
        // The transaction handles content that is not a cache.
        Err(error) if error.kind() == ErrorKind::Damaged => {
            write.commit_change(&Change::additions(schema::put(None, records)?.expose()))?
        }
        Err(error) => return Err(error),
    };
    Ok(())
}
