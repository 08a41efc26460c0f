//! The token store of an application on several servers.

use std::fmt;
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokenkeep::record::Partition;

use crate::backend::Backend;
use crate::{Error, ErrorKind, KeyRing, Lifetimes, Record, Result};

/// How long the database may take for one answer, unless the program says otherwise.
const TIMEOUT: Duration = Duration::from_secs(1);
/// The longest record, in bytes, unless the program says otherwise.
const LONGEST: usize = 512 << 10;

/// Keeps the tokens of an application on several servers in the database that they share.
///
/// ```
/// use std::time::Duration;
/// use tokenkeep_server::{KeyRing, TokenStore, backend::Memory};
///
/// let keys = KeyRing::parse(&"00".repeat(32))?;
/// let store = TokenStore::new("shop", Memory::default(), keys)?.timeout(Duration::from_millis(300));
/// # drop(store);
/// # Ok::<(), tokenkeep_server::Error>(())
/// ```
pub struct TokenStore<B> {
    backend: B,
    keys: KeyRing,
    prefix: String,
    lifetimes: Lifetimes,
    timeout: Duration,
    longest: usize,
}

impl<B: Backend> TokenStore<B> {
    /// Creates a store whose records begin with the name of the application. Makes no request.
    ///
    /// ```
    /// use tokenkeep_server::{ErrorKind, KeyRing, TokenStore, backend::Memory};
    ///
    /// let keys = KeyRing::parse(&"00".repeat(32))?;
    /// let error = TokenStore::new("My Shop", Memory::default(), keys).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), tokenkeep_server::Error>(())
    /// ```
    ///
    /// # Errors
    /// `InvalidInput` unless `app` has 1 to 32 small letters, digits and hyphens.
    pub fn new(app: &str, backend: B, keys: KeyRing) -> Result<Self> {
        let is_fit = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if app.is_empty() || app.len() > 32 || !app.bytes().all(is_fit) {
            let text = format!(
                "The application is named with small letters, digits and hyphens, at most 32; it is {app:?}"
            );
            return Err(Error::new(ErrorKind::InvalidInput, text));
        }
        Ok(Self {
            backend,
            keys,
            prefix: format!("tk:{app}"),
            lifetimes: Lifetimes::default(),
            timeout: TIMEOUT,
            longest: LONGEST,
        })
    }

    /// Sets how long the database may take for one answer. Default: one second.
    ///
    /// ```
    /// # use tokenkeep_server::{KeyRing, TokenStore, backend::Memory};
    /// # let store = TokenStore::new("shop", Memory::default(), KeyRing::parse(&"00".repeat(32))?)?;
    /// let store = store.timeout(std::time::Duration::from_millis(300));
    /// # drop(store);
    /// # Ok::<(), tokenkeep_server::Error>(())
    /// ```
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how long records live.
    ///
    /// ```
    /// # use tokenkeep_server::{KeyRing, Lifetimes, TokenStore, backend::Memory};
    /// # let store = TokenStore::new("shop", Memory::default(), KeyRing::parse(&"00".repeat(32))?)?;
    /// let two_weeks = std::time::Duration::from_secs(14 * 24 * 3600);
    /// let store = store.lives(Lifetimes { refresh_token: two_weeks, ..Lifetimes::default() });
    /// # drop(store);
    /// # Ok::<(), tokenkeep_server::Error>(())
    /// ```
    #[must_use]
    pub fn lives(mut self, lifetimes: Lifetimes) -> Self {
        self.lifetimes = lifetimes;
        self
    }

    /// Sets the longest record, in bytes. Default: 512 KB.
    ///
    /// ```
    /// # use tokenkeep_server::{KeyRing, TokenStore, backend::Memory};
    /// # let store = TokenStore::new("shop", Memory::default(), KeyRing::parse(&"00".repeat(32))?)?;
    /// let store = store.max_record(64 << 10);
    /// # drop(store);
    /// # Ok::<(), tokenkeep_server::Error>(())
    /// ```
    #[must_use]
    pub fn max_record(mut self, bytes: usize) -> Self {
        self.longest = bytes;
        self
    }

    /// The record of a signed-in user.
    ///
    /// ```
    /// # use tokenkeep_server::{ErrorKind, KeyRing, TokenStore, backend::Memory};
    /// # let store = TokenStore::new("shop", Memory::default(), KeyRing::parse(&"00".repeat(32))?)?;
    /// let ada = store.user("ada.tenant")?;
    /// assert_eq!(store.user("").unwrap_err().kind(), ErrorKind::NoPartition);
    /// # drop(ada);
    /// # Ok::<(), tokenkeep_server::Error>(())
    /// ```
    ///
    /// # Errors
    /// `NoPartition` for an empty id.
    pub fn user(&self, home_account_id: &str) -> Result<Record<'_, B>> {
        required(&[home_account_id], "user")?;
        Ok(Record::of(self, Partition::user(&self.prefix, home_account_id)?))
    }

    /// The record of one call on behalf of a user, whose assertion the program has validated. [`erase`](Self::erase) removes it with
    /// the user's own record if the assertion is a token that names its user.
    ///
    /// ```
    /// # use tokenkeep_server::{KeyRing, TokenStore, backend::Memory};
    /// # let store = TokenStore::new("shop", Memory::default(), KeyRing::parse(&"00".repeat(32))?)?;
    /// let call = store.on_behalf_of("the bearer token of the request")?;
    /// # drop(call);
    /// # Ok::<(), tokenkeep_server::Error>(())
    /// ```
    ///
    /// # Errors
    /// `NoPartition` for an empty assertion.
    pub fn on_behalf_of(&self, assertion: &str) -> Result<Record<'_, B>> {
        required(&[assertion], "call on behalf of a user")?;
        let hash =
            <base64ct::Base64UrlUnpadded as base64ct::Encoding>::encode_string(&Sha256::digest(assertion));
        let caller = caller(assertion);
        Ok(Record::of(self, Partition::on_behalf_of(&self.prefix, &hash, caller.as_deref())?))
    }

    /// The record of the application's own tokens in a tenant.
    ///
    /// ```
    /// # use tokenkeep_server::{KeyRing, TokenStore, backend::Memory};
    /// # let store = TokenStore::new("shop", Memory::default(), KeyRing::parse(&"00".repeat(32))?)?;
    /// let own = store.app("client id", "tenant id")?;
    /// # drop(own);
    /// # Ok::<(), tokenkeep_server::Error>(())
    /// ```
    ///
    /// # Errors
    /// `NoPartition` for an empty id.
    pub fn app(&self, client_id: &str, tenant_id: &str) -> Result<Record<'_, B>> {
        required(&[client_id, tenant_id], "app")?;
        Ok(Record::of(self, Partition::app(&self.prefix, client_id, tenant_id)?))
    }

    /// A record of a kind of the program's own, such as a session. It takes every entry.
    ///
    /// ```
    /// # use tokenkeep_server::{KeyRing, TokenStore, backend::Memory};
    /// # let store = TokenStore::new("shop", Memory::default(), KeyRing::parse(&"00".repeat(32))?)?;
    /// let session = store.own("session", "an id")?;
    /// # drop(session);
    /// # Ok::<(), tokenkeep_server::Error>(())
    /// ```
    ///
    /// # Errors
    /// `NoPartition` for an empty text, `InvalidInput` for a kind of the library's.
    pub fn own(&self, kind: &str, text: &str) -> Result<Record<'_, B>> {
        required(&[text], kind)?;
        Ok(Record::of(self, Partition::own(&self.prefix, kind, text)?))
    }

    /// Removes everything that is stored of a user: the tokens of sign-ins and of calls on behalf. Returns the number of records.
    ///
    /// ```
    /// # use tokenkeep_server::{KeyRing, TokenStore, backend::Memory};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> tokenkeep_server::Result<()> {
    /// # let store = TokenStore::new("shop", Memory::default(), KeyRing::parse(&"00".repeat(32))?)?;
    /// assert_eq!(store.erase("ada.tenant").await?, 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// `NoPartition` for an empty id; `Timeout` or `Unavailable` if the database does not answer.
    pub async fn erase(&self, home_account_id: &str) -> Result<u64> {
        required(&[home_account_id], "user")?;
        let name = Partition::user(&self.prefix, home_account_id)?.name();
        self.within(self.backend.remove(&name)).await
    }

    /// Runs one call of the backend within the time limit.
    pub(crate) async fn within<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        tokio::time::timeout(self.timeout, call).await.unwrap_or_else(|_| {
            let text = format!(
                "The token store did not answer within {} ms. Check that the database is up and reachable, or raise the limit \
                 (TokenStore::timeout)",
                self.timeout.as_millis()
            );
            Err(Error::new(ErrorKind::Timeout, text))
        })
    }

    pub(crate) fn backend(&self) -> &B {
        &self.backend
    }

    pub(crate) fn keys(&self) -> &KeyRing {
        &self.keys
    }

    pub(crate) fn lifetimes(&self) -> &Lifetimes {
        &self.lifetimes
    }

    pub(crate) fn longest(&self) -> usize {
        self.longest
    }
}

impl<B> fmt::Debug for TokenStore<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenStore").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

fn required(ids: &[&str], kind: &str) -> Result<()> {
    if ids.iter().all(|id| !id.is_empty()) {
        return Ok(());
    }
    let text = format!(
        "The tokens of this {kind} have no place: an id is empty. Give the id of the signed-in user; nothing was read or written"
    );
    Err(Error::new(ErrorKind::NoPartition, text))
}

/// Returns the home account id of the caller, by the claims of the assertion; `None` for an assertion of another form.
fn caller(assertion: &str) -> Option<String> {
    let payload = assertion.split('.').nth(1)?;
    let claims = <base64ct::Base64UrlUnpadded as base64ct::Encoding>::decode_vec(payload).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
    let claim = |name: &str| claims.get(name)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let user = if claims.get("oid").is_some_and(|oid| !oid.is_null()) { claim("oid") } else { claim("sub") };
    Some(format!("{}.{}", user?, claim("tid")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_is_the_one_that_the_claims_name() {
        // {"oid":"ada","tid":"tenant"}, {"sub":"ada","tid":"tenant"}, {"oid":"ada"}
        assert_eq!(caller("h.eyJvaWQiOiJhZGEiLCJ0aWQiOiJ0ZW5hbnQifQ.s").as_deref(), Some("ada.tenant"));
        assert_eq!(caller("h.eyJzdWIiOiJhZGEiLCJ0aWQiOiJ0ZW5hbnQifQ.s").as_deref(), Some("ada.tenant"));
        for other in ["h.eyJvaWQiOiJhZGEifQ.s", "opaque", "h.%%%.s", "", "h.bnVsbA.s"] {
            assert_eq!(caller(other), None, "{other}");
        }
    }
}
