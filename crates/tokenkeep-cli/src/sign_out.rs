//! `tokenkeep sign-out`: removes an account and all of its tokens, in one write under the lock of the cache.
//!
//! The accounts to remove are chosen before the question and are then known by id. Under the lock, the entries are
//! looked up again in the current content, so that later changes by other programs stay.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::{Value, json};
use tokenkeep::Secret;
use tokenkeep::options::WaitOptions;
use tokenkeep::schema::{self, AnyEntry, Contents, Section};

use crate::arguments::SignOut;
use crate::clear::{self, tell};
use crate::consent::{ask, require_wanted};
use crate::exit::{Code, Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::output::{Output, title};
use crate::progress::Progress;
use crate::stores::{Named, PATIENCE};
use crate::words::{account_id, number};
use tokenkeep::inspect::printable;

/// An account to sign out.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Account {
    id: Id,
    username: Option<String>,
}

/// How the entries of an account are found.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Id {
    /// By the home account id, without case, because libraries write it differently.
    Home(String),
    /// An account without one, as those of AD FS in some libraries: by its key, and its tokens by having no account
    /// either.
    Key { key: String, local: Option<String>, environment: Option<String> },
}

/// Removes one account, or all.
pub(crate) fn run(
    wanted: &SignOut,
    limit: Option<Duration>,
    interrupt: &Interrupt,
    output: &Output,
) -> Outcome {
    let named = Named::chosen(&wanted.store)?;
    if !wanted.change.dry_run {
        named.refuse_in_keychain(
            "Cannot sign out an account of",
            "Sign out in the program itself, or remove the whole item with: tokenkeep clear",
        )?;
    }
    let wait = WaitOptions { limit: limit.unwrap_or(PATIENCE), cancel: Some(interrupt.cancel()) };
    let cache = named.open(wait.clone(), tell)?;
    let place = printable(&named.to_string());
    let Some(content) = named.peek(wait.limit)?.filter(|content| !is_blank(content)) else {
        return Err(Failure::nothing(format!("Nobody is signed in at {place}")));
    };
    let all = all_accounts(&Contents::parse(content.expose())?);
    let accounts = match wanted.account.as_deref() {
        Some(account) => chosen(&all, account, &place)?,
        None => all,
    };
    let remove = |content: &[u8]| match wanted.all {
        true => schema::remove_entries(content, |section, _| section != Section::AppMetadata),
        false => schema::remove_entries(content, |section, entry| {
            accounts.iter().any(|account| account.id.has(section, entry))
        }),
    };
    let foreseen = remove(content.expose())?;
    if foreseen.removed == 0 {
        return Err(Failure::nothing(format!("Nobody is signed in at {place}")));
    }
    let removed = if wanted.change.dry_run {
        foreseen.removed
    } else {
        let entries = number(foreseen.removed, "entry");
        ask(&format!("Sign out {} of {place} ({entries})?", names(&accounts),), &wanted.change, interrupt)?;
        let progress = Progress::of("Waiting for the lock");
        let write = cache.begin_write_waiting(&wait)?;
        drop(progress);
        let removal = remove(write.content().unwrap_or(b"{}"))?;
        require_wanted(interrupt)?;
        // If another program has removed all entries already, write nothing.
        if removal.removed > 0 {
            write.commit(removal.content)?;
        }
        removal.removed
    };
    let wiped = match wanted.change.dry_run {
        true => None,
        false => wanted.copies.wipe(&cache, &wait)?,
    };
    print(&named, &accounts, removed, wanted.change.dry_run, wiped, output)?;
    Ok(Code::Ok)
}

fn is_blank(content: &Secret) -> bool {
    schema::without_bom(content.expose()).trim_ascii().is_empty()
}

fn names(accounts: &[Account]) -> String {
    match accounts {
        [] => "the tokens without an account".to_owned(),
        accounts => accounts.iter().map(Account::words).collect::<Vec<_>>().join(", "),
    }
}

/// Returns every account, and the owner of each token without an account. Tokens of no account have no owner.
fn all_accounts(contents: &Contents<'_>) -> Vec<Account> {
    let mut found: Vec<Account> = Vec::new();
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
        // One account in several tenants and clouds has one id and usually one name.
        let known = found.iter().any(|known| {
            known.id.is_same(&account.id)
                && (account.username.is_none() || known.username == account.username)
        });
        if !known {
            found.push(account);
        }
    }
    found
}

/// Returns the account with this id or user name.
///
/// # Errors
/// Nothing found; usage if several accounts have the name.
fn chosen(all: &[Account], wanted: &str, place: &str) -> Outcome<Vec<Account>> {
    let by_id = |account: &&Account| account.id.is(wanted);
    let by_name = |account: &&Account| {
        account.username.as_ref().is_some_and(|name| name.to_lowercase() == wanted.to_lowercase())
    };
    let mut found: Vec<Account> = all.iter().filter(by_id).cloned().collect();
    if found.is_empty() {
        found = all.iter().filter(by_name).cloned().collect();
    }
    match found.as_slice() {
        [] => Err(Failure::nothing(format!("There is no account {} at {place}", printable(wanted)))),
        [first, rest @ ..] if rest.iter().any(|account| !account.id.is_same(&first.id)) => {
            let ids: Vec<String> = found.iter().map(|account| printable(&account.id.text())).collect();
            Err(Failure::usage(format!(
                "{} accounts are called {}: give the id of the one that is meant, of {}",
                found.len(),
                printable(wanted),
                ids.join(", ")
            )))
        }
        _ => Ok(found),
    }
}

impl Id {
    /// Returns the id that `list` shows.
    fn text(&self) -> String {
        match self {
            Self::Home(id) => id.clone(),
            Self::Key { key, local, .. } => account_id(None, local.as_deref(), key),
        }
    }

    fn is(&self, wanted: &str) -> bool {
        self.text().eq_ignore_ascii_case(wanted) || matches!(self, Self::Key { key, .. } if key == wanted)
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Home(one), Self::Home(other)) => one.eq_ignore_ascii_case(other),
            (Self::Key { key: one, .. }, Self::Key { key: other, .. }) => one == other,
            // Another library wrote the id in the tenant as the home account id.
            (Self::Home(home), Self::Key { local, .. }) | (Self::Key { local, .. }, Self::Home(home)) => {
                local.as_ref().is_some_and(|local| local.eq_ignore_ascii_case(home))
            }
        }
    }

    /// Returns whether an entry belongs to the account.
    fn has(&self, section: Section, entry: &AnyEntry<'_>) -> bool {
        let is = |id: &str| entry.home_account_id().is_some_and(|its| its.eq_ignore_ascii_case(id));
        match self {
            Self::Home(id) => is(id),
            Self::Key { key, local, environment } => {
                let same_cloud = match (environment, entry.environment()) {
                    (Some(mine), Some(its)) => schema::is_same_cloud(mine, &its),
                    _ => true,
                };
                let unnamed = entry.home_account_id().is_none();
                local.as_deref().is_some_and(is)
                    || match section {
                        Section::Account => unnamed && entry.key() == *key,
                        // An application's own access tokens look the same; it gets others by itself.
                        Section::AccessToken | Section::RefreshToken | Section::IdToken => {
                            unnamed && same_cloud
                        }
                        Section::AppMetadata => false,
                    }
            }
        }
    }
}

impl Account {
    fn words(&self) -> String {
        printable(&self.username.clone().unwrap_or_else(|| self.id.text()))
    }

    fn to_json(&self) -> Value {
        let home = matches!(self.id, Id::Home(_)).then(|| printable(&self.id.text()));
        json!({
            "homeAccountId": home,
            "id": printable(&self.id.text()),
            "username": self.username.as_deref().map(printable),
        })
    }
}

fn print(
    named: &Named,
    accounts: &[Account],
    removed: usize,
    dry_run: bool,
    wiped: Option<usize>,
    output: &Output,
) -> Outcome<()> {
    if output.is_json() {
        output.json(&json!({
            "backend": named.backend(),
            "location": named.to_string(),
            "dryRun": dry_run,
            "accounts": accounts.iter().map(Account::to_json).collect::<Vec<_>>(),
            "removedEntries": removed,
            "copiesWiped": wiped,
        }))?;
        return Ok(());
    }
    let mut text = format!("{}\n", title(printable(&named.to_string())));
    let done = if dry_run { "would be signed out" } else { "signed out" };
    for account in accounts {
        text.push_str(&format!("  {done}  {}\n", account.words()));
        text.push_str(&format!("    account  {}\n", printable(&account.id.text())));
    }
    let entries = number(removed, "entry");
    let end = if dry_run { " would be removed; nothing was changed" } else { " removed" };
    text.push_str(&format!("  {entries}, accounts and tokens together,{end}\n"));
    text.push_str(&clear::words(wiped, named));
    output.text(&text)?;
    Ok(())
}
