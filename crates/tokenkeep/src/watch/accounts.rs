//! The accounts in a cache, and the difference between two moments.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};

use super::{CacheChanged, WatchedAccount};
use crate::schema::{self, Contents};
use crate::{Result, Secret};

/// A user and a cloud: the home account id in lower case, and the cloud's own name for its aliases.
type Key = (String, String);

/// The accounts of one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Accounts(BTreeMap<Key, Known>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    account: WatchedAccount,
    /// A hash of the refresh tokens, which are not kept.
    tokens: u64,
}

impl Accounts {
    /// Returns the accounts in `content`. Equal tokens have equal hashes only with one `hasher`.
    ///
    /// # Errors
    /// `Damaged` for content that is not a token cache.
    pub(super) fn of(content: Option<&Secret>, hasher: &RandomState) -> Result<Self> {
        let contents = Contents::parse(schema::without_bom(content.map_or(b"", |content| content.expose())))?;
        let mut accounts = BTreeMap::new();
        for entry in contents.accounts() {
            let home = entry.home_account_id().unwrap_or_else(|| entry.key()).into_owned();
            let environment = entry.environment().unwrap_or_default().into_owned();
            let known = accounts.entry(key(&home, &environment)).or_insert_with(|| Known {
                account: WatchedAccount {
                    home_account_id: home,
                    environment,
                    username: None,
                    name: None,
                    tenants: Vec::new(),
                },
                tokens: 0,
            });
            let account = &mut known.account;
            account.username = account.username.take().or_else(|| owned(entry.username()));
            account.name = account.name.take().or_else(|| owned(entry.name()));
            account.tenants.extend(owned(entry.realm()));
        }
        for known in accounts.values_mut() {
            known.account.tenants.sort_unstable();
            known.account.tenants.dedup();
        }
        for token in contents.refresh_tokens() {
            let home = token.home_account_id().unwrap_or_default();
            let environment = token.environment().unwrap_or_default();
            if let Some(known) = accounts.get_mut(&key(&home, &environment)) {
                // Independent of their order.
                known.tokens ^= hasher.hash_one(token.secret().as_ref().map(Secret::expose));
            }
        }
        Ok(Self(accounts))
    }

    /// Returns the difference to `now`; `None` if there is none.
    pub(super) fn difference(&self, now: &Self) -> Option<CacheChanged> {
        let mut event = CacheChanged { added: Vec::new(), removed: Vec::new(), changed: Vec::new() };
        for (key, known) in &now.0 {
            match self.0.get(key) {
                None => event.added.push(known.account.clone()),
                Some(before) if before != known => event.changed.push(known.account.clone()),
                Some(_) => {}
            }
        }
        let gone = self.0.iter().filter(|(key, _)| !now.0.contains_key(*key));
        event.removed.extend(gone.map(|(_, known)| known.account.clone()));
        let nothing = event.added.is_empty() && event.removed.is_empty() && event.changed.is_empty();
        (!nothing).then_some(event)
    }

    /// Applies the difference between `before` and `after` here as well.
    pub(super) fn follow(&mut self, before: &Self, after: &Self) {
        for key in before.0.keys().filter(|key| !after.0.contains_key(*key)) {
            self.0.remove(key);
        }
        for (key, known) in after.0.iter().filter(|(key, known)| before.0.get(*key) != Some(known)) {
            self.0.insert(key.clone(), known.clone());
        }
    }
}

fn key(home: &str, environment: &str) -> Key {
    (home.to_lowercase(), schema::cache_environment(environment).to_lowercase())
}

fn owned(text: Option<std::borrow::Cow<'_, str>>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(std::borrow::Cow::into_owned)
}
