//! What a cache holds, before it becomes a record: entries of others, spent tokens, the time it is useful for.

use std::collections::HashSet;
use std::time::{Duration, SystemTime};

use super::{Partition, RecordKind};
use crate::schema::{self, Contents};
use crate::{Result, Secret};

/// A token that is spent for this long is of no use to a client whose clock is late.
const LATE: Duration = Duration::from_secs(5 * 60);

/// The result of [`survey`].
///
/// ```
/// use std::time::SystemTime;
/// use tokenkeep::record::{Partition, survey};
///
/// let ada = Partition::user("tk:shop", "ada.tenant")?;
/// let cache = br#"{"Account":{"a":{"home_account_id":"ada.tenant"},"b":{"home_account_id":"bob.tenant"}}}"#;
/// let found = survey(&ada, cache, SystemTime::now())?;
/// assert_eq!((found.foreign, found.spent, found.is_empty), (1, 0, false));
/// assert_eq!(found.content.expose(), br#"{"Account":{"a":{"home_account_id":"ada.tenant"}}}"#);
/// # Ok::<(), tokenkeep::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Survey {
    /// The cache without foreign entries and spent tokens. Everything else stays byte for byte.
    pub content: Secret,
    /// The number of entries that belong to another partition.
    pub foreign: usize,
    /// The number of access tokens that ended more than five minutes ago, and of tokens that the partition never
    /// redeems: refresh tokens of a call on behalf of a user.
    pub spent: usize,
    /// Nothing is left that a client could use: the record can go.
    pub is_empty: bool,
    /// A refresh token is left.
    pub is_refreshable: bool,
    /// When the last access token ends, if one is left.
    pub last_expiry: Option<SystemTime>,
}

/// Looks through the cache of a partition, as of `now`.
///
/// | partition | entries that belong to it |
/// | --- | --- |
/// | user | those with its home account id |
/// | call on behalf of | access tokens with its assertion hash, and the accounts and ID tokens of their users |
/// | app | those without a home account id |
/// | key ring, own | all |
///
/// # Errors
/// `Damaged` if `content` is not a token cache.
///
/// ```
/// use std::time::SystemTime;
/// use tokenkeep::record::{Partition, survey};
///
/// let app = Partition::app("tk:sync", "client", "tenant")?;
/// let spent = br#"{"AccessToken":{"a":{"expires_on":"1000","secret":"s"}}}"#;
/// let found = survey(&app, spent, SystemTime::now())?;
/// assert!(found.spent == 1 && found.is_empty && found.last_expiry.is_none());
/// # Ok::<(), tokenkeep::Error>(())
/// ```
pub fn survey(partition: &Partition, content: &[u8], now: SystemTime) -> Result<Survey> {
    let own = Owner::of(partition, content)?;
    let (mut foreign, mut spent) = (0, 0);
    let pruned = schema::retain(content, |entry| {
        if !own.has(entry) {
            foreign += 1;
            return false;
        }
        let is_spent = entry.is_refresh_token() && partition.kind() == RecordKind::OnBehalfOf
            || entry.expires_on().and_then(|end| end.checked_add(LATE)).is_some_and(|end| end < now);
        spent += usize::from(is_spent);
        !is_spent
    })?;
    let contents = Contents::parse(pruned.expose())?;
    let last_expiry = contents.access_tokens().filter_map(|token| token.expires_on()).max();
    let is_refreshable = contents.refresh_tokens().next().is_some();
    let has_access = contents.access_tokens().next().is_some();
    let has_more =
        is_refreshable || contents.accounts().next().is_some() || contents.id_tokens().next().is_some();
    let is_empty = !has_access && (partition.kind() == RecordKind::OnBehalfOf || !has_more);
    drop(contents);
    Ok(Survey { content: pruned, foreign, spent, is_empty, is_refreshable, last_expiry })
}

/// The owner of a partition's entries.
enum Owner<'a> {
    Account(&'a str),
    /// The assertion, and the users of the access tokens that it gave.
    Assertion(&'a str, HashSet<String>),
    App,
    Program,
}

impl<'a> Owner<'a> {
    fn of(partition: &'a Partition, content: &[u8]) -> Result<Self> {
        Ok(match partition.kind() {
            RecordKind::User => Self::Account(partition.text()),
            RecordKind::App => Self::App,
            RecordKind::KeyRing | RecordKind::Own => Self::Program,
            RecordKind::OnBehalfOf => {
                let contents = Contents::parse(content)?;
                let tokens = contents.access_tokens();
                let given =
                    tokens.filter(|token| token.user_assertion_hash().as_deref() == Some(partition.text()));
                let users = given.filter_map(|token| Some(token.home_account_id()?.to_lowercase())).collect();
                Self::Assertion(partition.text(), users)
            }
        })
    }

    fn has(&self, entry: &schema::Owned<'_>) -> bool {
        let Some(account) = entry.account() else { return true };
        match self {
            Self::Account(id) => account.to_lowercase() == *id,
            Self::App => account.is_empty(),
            Self::Program => true,
            Self::Assertion(hash, users) => match entry.assertion() {
                Some(assertion) => assertion == *hash,
                None => !entry.is_access_token() && users.contains(&account.to_lowercase()),
            },
        }
    }
}
