//! The accounts of a cache that can be signed out, and the entries that belong to them.
//!
//! The work grows with the number of entries and not with its square: everything is looked up by the id.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};
use tokenkeep::inspect::printable;
use tokenkeep::schema::{self, AnyEntry, Contents, Section};

use crate::words::account_id;

/// An account to sign out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) id: Id,
    pub(super) username: Option<String>,
}

/// How the entries of an account are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Id {
    /// By the home account id, without case, because libraries write it differently.
    Home(String),
    /// An account without one, as those of AD FS in some libraries: by its key, and its tokens by having no account
    /// either.
    Key { key: String, local: Option<String>, environment: Option<String> },
}

/// Returns every account, and the owner of each token without an account. Tokens of no account have no owner.
pub(super) fn all_accounts(contents: &Contents<'_>) -> Vec<Account> {
    let mut found: Vec<Account> = Vec::new();
    let mut positions: HashMap<String, Vec<usize>> = HashMap::new();
    let accounts = contents.entries().filter(|(section, _)| *section == Section::Account);
    let tokens = contents.entries().filter(|(section, _)| *section != Section::Account);
    for (section, entry) in accounts.chain(tokens) {
        let id = match (entry.home_account_id(), section) {
            (Some(id), _) => Id::Home(id.into_owned()),
            (None, Section::Account) => Id::Key {
                key: entry.key().into_owned(),
                local: entry.local_account_id().map(Cow::into_owned),
                environment: entry.environment().map(Cow::into_owned),
            },
            (None, _) => continue,
        };
        let username = (section == Section::Account).then(|| entry.username()).flatten();
        let account = Account { id, username: username.map(Cow::into_owned) };
        let names = account.id.names();
        // One account in several tenants and clouds has one id and usually one name.
        let known = names.iter().filter_map(|name| positions.get(name)).flatten().any(|at| {
            let known = &found[*at];
            known.id.is_same(&account.id)
                && (account.username.is_none() || known.username == account.username)
        });
        if !known {
            for name in names {
                positions.entry(name).or_default().push(found.len());
            }
            found.push(account);
        }
    }
    found
}

/// The entries of some accounts.
pub(super) struct Owners {
    /// Home account ids, and ids in the tenant, in lower case.
    ids: HashSet<String>,
    /// The keys of accounts without a home account id.
    keys: HashSet<String>,
    /// The clouds of those accounts; `None` for one that names none.
    clouds: Vec<Option<String>>,
}

impl Owners {
    pub(super) fn of(accounts: &[Account]) -> Self {
        let mut owners = Self { ids: HashSet::new(), keys: HashSet::new(), clouds: Vec::new() };
        for account in accounts {
            match &account.id {
                Id::Home(id) => drop(owners.ids.insert(id.to_ascii_lowercase())),
                Id::Key { key, local, environment } => {
                    owners.keys.insert(key.clone());
                    owners.ids.extend(local.as_ref().map(|local| local.to_ascii_lowercase()));
                    if !owners.clouds.contains(environment) {
                        owners.clouds.push(environment.clone());
                    }
                }
            }
        }
        owners
    }

    /// Returns whether an entry belongs to one of the accounts.
    pub(super) fn have(&self, section: Section, entry: &AnyEntry<'_>) -> bool {
        if let Some(id) = entry.home_account_id() {
            return self.ids.contains(&id.to_ascii_lowercase());
        }
        let is_same_cloud = |cloud: &Option<String>| match (cloud, entry.environment()) {
            (Some(mine), Some(its)) => schema::is_same_cloud(mine, &its),
            _ => true,
        };
        match section {
            Section::Account => self.keys.contains(&*entry.key()),
            // An application's own access tokens look the same; it gets others by itself.
            Section::AccessToken | Section::RefreshToken | Section::IdToken => {
                self.clouds.iter().any(is_same_cloud)
            }
            Section::AppMetadata => false,
        }
    }
}

impl Id {
    /// Returns the id that `list` shows.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Home(id) => id.clone(),
            Self::Key { key, local, .. } => account_id(None, local.as_deref(), key),
        }
    }

    pub(super) fn is(&self, wanted: &str) -> bool {
        self.text().eq_ignore_ascii_case(wanted) || matches!(self, Self::Key { key, .. } if key == wanted)
    }

    /// Returns the keys for an index of ids. Two ids of one account share a key.
    fn names(&self) -> Vec<String> {
        match self {
            Self::Home(id) => vec![id.to_ascii_lowercase()],
            Self::Key { key, local, .. } => {
                let local = local.as_ref().map(|local| local.to_ascii_lowercase());
                [Some(format!("key {key}")), local].into_iter().flatten().collect()
            }
        }
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Home(one), Self::Home(other)) => one.eq_ignore_ascii_case(other),
            (Self::Key { key: one, .. }, Self::Key { key: other, .. }) => one == other,
            // Another library wrote the id in the tenant as the home account id.
            (Self::Home(home), Self::Key { local, .. }) | (Self::Key { local, .. }, Self::Home(home)) => {
                local.as_ref().is_some_and(|local| local.eq_ignore_ascii_case(home))
            }
        }
    }
}

impl Account {
    pub(super) fn words(&self) -> String {
        printable(&self.username.clone().unwrap_or_else(|| self.id.text()))
    }

    pub(super) fn to_json(&self) -> Value {
        let home = matches!(self.id, Id::Home(_)).then(|| printable(&self.id.text()));
        json!({
            "homeAccountId": home,
            "id": printable(&self.id.text()),
            "username": self.username.as_deref().map(printable),
        })
    }
}
