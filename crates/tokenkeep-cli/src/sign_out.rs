//! `tokenkeep sign-out`: removes an account and all of its tokens, in one write under the lock of the cache.
//!
//! The accounts to remove are chosen before the question and are then known by id. Under the lock, the entries are
//! looked up again in the current content, so that later changes by other programs stay.

use std::time::Duration;

use serde_json::{Value, json};
use tokenkeep::Secret;
use tokenkeep::options::WaitOptions;
use tokenkeep::schema::{self, Contents, Removal};

use crate::arguments::SignOut;
use crate::clear::tell;
use crate::consent::{ask, require_wanted};
use crate::exit::{Code, Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::output::{Output, title};
use crate::progress::Progress;
use crate::stores::{Named, PATIENCE};
use crate::words::{number, printable};

/// An account to sign out.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Account {
    home_account_id: String,
    username: Option<String>,
}

/// Removes one account, or all.
pub(crate) fn run(
    wanted: &SignOut,
    limit: Option<Duration>,
    interrupt: &Interrupt,
    output: &Output,
) -> Outcome {
    let named = Named::chosen(&wanted.store)?;
    let wait = WaitOptions { limit: limit.unwrap_or(PATIENCE), cancel: Some(interrupt.cancel()) };
    let cache = named.open(wait.clone(), tell)?;
    let place = printable(&named.to_string());
    let Some(content) = named.peek(wait.limit)?.filter(|content| !is_blank(content)) else {
        return Err(Failure::nothing(format!("Nobody is signed in at {place}")));
    };
    let accounts =
        chosen(&all_accounts(&Contents::parse(content.expose())?), wanted.account.as_deref(), &place)?;
    let foreseen = without(content.expose(), &accounts)?;
    let removed = if wanted.change.dry_run {
        foreseen.removed
    } else {
        let names: Vec<String> = accounts.iter().map(Account::words).collect();
        let entries = number(foreseen.removed, "entry");
        ask(&format!("Sign out {} of {place} ({entries})?", names.join(", ")), &wanted.change, interrupt)?;
        let progress = Progress::of("Waiting for the lock");
        let write = cache.begin_write_waiting(&wait)?;
        drop(progress);
        let removal = without(write.content().unwrap_or(b"{}"), &accounts)?;
        require_wanted(interrupt)?;
        // If another program has removed all entries already, write nothing.
        if removal.removed > 0 {
            write.commit(removal.content)?;
        }
        removal.removed
    };
    print(&named, &accounts, removed, wanted.change.dry_run, output)?;
    Ok(Code::Ok)
}

fn is_blank(content: &Secret) -> bool {
    schema::without_bom(content.expose()).trim_ascii().is_empty()
}

/// Returns every account, and the owner of each token without an account. An application's own tokens have no owner.
fn all_accounts(contents: &Contents<'_>) -> Vec<Account> {
    let mut found: Vec<Account> = Vec::new();
    let accounts = contents.accounts().map(|account| (account.home_account_id(), account.username()));
    let access = contents.access_tokens().map(|token| (token.home_account_id(), None));
    let refresh = contents.refresh_tokens().map(|token| (token.home_account_id(), None));
    let id = contents.id_tokens().map(|token| (token.home_account_id(), None));
    for (home_account_id, username) in accounts.chain(access).chain(refresh).chain(id) {
        let Some(home_account_id) = home_account_id.filter(|id| !id.is_empty()) else { continue };
        let account = Account {
            home_account_id: home_account_id.into_owned(),
            username: username.filter(|name| !name.is_empty()).map(std::borrow::Cow::into_owned),
        };
        // One account in several tenants and clouds has one id and usually one name.
        let known = found.iter().any(|known| {
            known.is(&account.home_account_id)
                && (account.username.is_none() || known.username == account.username)
        });
        if !known {
            found.push(account);
        }
    }
    found
}

/// Returns the accounts to sign out: all, or the one with this id or user name.
///
/// # Errors
/// Nothing found; usage if several accounts have the name.
fn chosen(all: &[Account], wanted: Option<&str>, place: &str) -> Outcome<Vec<Account>> {
    let Some(wanted) = wanted else {
        return match all {
            [] => Err(Failure::nothing(format!("Nobody is signed in at {place}"))),
            all => Ok(all.to_vec()),
        };
    };
    let by_id = |account: &&Account| account.is(wanted);
    let by_name = |account: &&Account| {
        account.username.as_ref().is_some_and(|name| name.to_lowercase() == wanted.to_lowercase())
    };
    let mut found: Vec<Account> = all.iter().filter(by_id).cloned().collect();
    if found.is_empty() {
        found = all.iter().filter(by_name).cloned().collect();
    }
    match found.as_slice() {
        [] => Err(Failure::nothing(format!("There is no account {} at {place}", printable(wanted)))),
        [first, rest @ ..] if rest.iter().any(|account| !account.is(&first.home_account_id)) => {
            let ids: Vec<String> = found.iter().map(|account| printable(&account.home_account_id)).collect();
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

/// Returns the cache without these accounts.
fn without(content: &[u8], accounts: &[Account]) -> Outcome<Removal> {
    // Removes nothing: the start value, to which each account adds.
    let mut removal = schema::remove_access_tokens(content, |_| false)?;
    for account in accounts {
        let before = removal.removed;
        removal = schema::remove_account(removal.content.expose(), &account.home_account_id)?;
        removal.removed += before;
    }
    Ok(removal)
}

impl Account {
    /// Compares without case, because libraries write the id in different cases.
    fn is(&self, home_account_id: &str) -> bool {
        self.home_account_id.eq_ignore_ascii_case(home_account_id)
    }

    fn words(&self) -> String {
        printable(self.username.as_deref().unwrap_or(&self.home_account_id))
    }

    fn to_json(&self) -> Value {
        json!({
            "homeAccountId": printable(&self.home_account_id),
            "username": self.username.as_deref().map(printable),
        })
    }
}

fn print(named: &Named, accounts: &[Account], removed: usize, dry_run: bool, output: &Output) -> Outcome<()> {
    if output.is_json() {
        output.json(&json!({
            "backend": named.backend(),
            "location": named.to_string(),
            "dryRun": dry_run,
            "accounts": accounts.iter().map(Account::to_json).collect::<Vec<_>>(),
            "removedEntries": removed,
        }))?;
        return Ok(());
    }
    let mut text = format!("{}\n", title(printable(&named.to_string())));
    let done = if dry_run { "would be signed out" } else { "signed out" };
    for account in accounts {
        text.push_str(&format!("  {done}  {}\n", account.words()));
        text.push_str(&format!("    account  {}\n", printable(&account.home_account_id)));
    }
    let entries = number(removed, "entry");
    let end = if dry_run { " would be removed; nothing was changed" } else { " removed" };
    text.push_str(&format!("  {entries}, accounts and tokens together,{end}\n"));
    output.text(&text)?;
    Ok(())
}
