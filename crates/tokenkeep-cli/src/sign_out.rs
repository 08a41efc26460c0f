//! `tokenkeep sign-out`: removes an account and all of its tokens, in one write under the lock of the cache.
//!
//! The accounts to remove are chosen before the question and are then known by id. Under the lock, the entries are
//! looked up again in the current content, so that later changes by other programs stay.

use std::time::Duration;

use serde_json::json;
use tokenkeep::Secret;
use tokenkeep::options::WaitOptions;
use tokenkeep::schema::{self, Contents, Section};

use crate::arguments::SignOut;
use crate::clear::{self, tell};
use crate::consent::{ask, require_wanted};
use crate::exit::{Code, Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::output::{Output, title};
use crate::progress::Progress;
use crate::stores::{Named, PATIENCE};
use crate::words::number;
use tokenkeep::inspect::printable;

mod accounts;

use accounts::{Account, Owners, all_accounts};

/// How many accounts a question names.
const NAMED: usize = 10;

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
    let owners = Owners::of(&accounts);
    let remove = |content: &[u8]| match wanted.all {
        true => schema::remove_entries(content, |section, _| section != Section::AppMetadata),
        false => schema::remove_entries(content, |section, entry| owners.have(section, entry)),
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

/// Returns the names of accounts for one line: at most [`NAMED`], then the number of the others.
fn names(accounts: &[Account]) -> String {
    if accounts.is_empty() {
        return "the tokens without an account".to_owned();
    }
    let (named, others) = accounts.split_at(accounts.len().min(NAMED));
    let mut text = named.iter().map(Account::words).collect::<Vec<_>>().join(", ");
    if !others.is_empty() {
        text.push_str(&format!(" and {} more", others.len()));
    }
    text
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
            let ids: Vec<String> =
                found.iter().take(NAMED).map(|account| printable(&account.id.text())).collect();
            let end = if found.len() > NAMED { ", ...; see all with: tokenkeep list" } else { "" };
            Err(Failure::usage(format!(
                "{} accounts are called {}: give the id of the one that is meant, of {}{end}",
                found.len(),
                printable(wanted),
                ids.join(", ")
            )))
        }
        _ => Ok(found),
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
