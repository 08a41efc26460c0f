//! `tokenkeep sign-out`: an account and all of its tokens are removed, in one write under the lock of the cache.
//!
//! Who is meant is decided before anybody is asked, and by the account's id from then on. What others wrote meanwhile is
//! kept: the entries are looked for again once the lock is held.

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

/// An account that is to go.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Person {
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
    let people = chosen(&everybody(&Contents::parse(content.expose())?), wanted.account.as_deref(), &place)?;
    let foreseen = without(content.expose(), &people)?;
    let removed = if wanted.change.dry_run {
        foreseen.removed
    } else {
        let names: Vec<String> = people.iter().map(Person::words).collect();
        let entries = number(foreseen.removed, "entry");
        ask(&format!("Sign out {} of {place} ({entries})?", names.join(", ")), &wanted.change, interrupt)?;
        let progress = Progress::of("Waiting for the lock");
        let write = cache.begin_write_waiting(&wait)?;
        drop(progress);
        let removal = without(write.content().unwrap_or(b"{}"), &people)?;
        require_wanted(interrupt)?;
        // At none somebody else was faster, and nothing need be written.
        if removal.removed > 0 {
            write.commit_secret(removal.content)?;
        }
        removal.removed
    };
    print(&named, &people, removed, wanted.change.dry_run, output)?;
    Ok(Code::Ok)
}

fn is_blank(content: &Secret) -> bool {
    schema::without_bom(content.expose()).trim_ascii().is_empty()
}

/// Every account, and whoever has tokens without an account. An application's own tokens are nobody's.
fn everybody(contents: &Contents<'_>) -> Vec<Person> {
    let mut people: Vec<Person> = Vec::new();
    let accounts = contents.accounts().map(|account| (account.home_account_id(), account.username()));
    let access = contents.access_tokens().map(|token| (token.home_account_id(), None));
    let refresh = contents.refresh_tokens().map(|token| (token.home_account_id(), None));
    let id = contents.id_tokens().map(|token| (token.home_account_id(), None));
    for (home_account_id, username) in accounts.chain(access).chain(refresh).chain(id) {
        let Some(home_account_id) = home_account_id.filter(|id| !id.is_empty()) else { continue };
        let person = Person {
            home_account_id: home_account_id.into_owned(),
            username: username.filter(|name| !name.is_empty()).map(std::borrow::Cow::into_owned),
        };
        // One account in several tenants and clouds has one id and, as a rule, one name.
        let known = people.iter().any(|known| {
            known.is(&person.home_account_id)
                && (person.username.is_none() || known.username == person.username)
        });
        if !known {
            people.push(person);
        }
    }
    people
}

/// Those who are meant: all, or the one with this id or user name.
///
/// # Errors
/// Nothing found; of usage when several accounts have the name.
fn chosen(everybody: &[Person], account: Option<&str>, place: &str) -> Outcome<Vec<Person>> {
    let Some(account) = account else {
        return match everybody {
            [] => Err(Failure::nothing(format!("Nobody is signed in at {place}"))),
            everybody => Ok(everybody.to_vec()),
        };
    };
    let by_id = |person: &&Person| person.is(account);
    let by_name = |person: &&Person| {
        person.username.as_ref().is_some_and(|name| name.to_lowercase() == account.to_lowercase())
    };
    let mut found: Vec<Person> = everybody.iter().filter(by_id).cloned().collect();
    if found.is_empty() {
        found = everybody.iter().filter(by_name).cloned().collect();
    }
    match found.as_slice() {
        [] => Err(Failure::nothing(format!("There is no account {} at {place}", printable(account)))),
        [first, rest @ ..] if rest.iter().any(|person| !person.is(&first.home_account_id)) => {
            let ids: Vec<String> = found.iter().map(|person| printable(&person.home_account_id)).collect();
            Err(Failure::usage(format!(
                "{} accounts are called {}: give the id of the one that is meant, of {}",
                found.len(),
                printable(account),
                ids.join(", ")
            )))
        }
        _ => Ok(found),
    }
}

/// The cache without them.
fn without(content: &[u8], people: &[Person]) -> Outcome<Removal> {
    // Takes nothing out; a beginning to which each account adds.
    let mut removal = schema::remove_access_tokens(content, |_| false)?;
    for person in people {
        let before = removal.removed;
        removal = schema::remove_account(removal.content.expose(), &person.home_account_id)?;
        removal.removed += before;
    }
    Ok(removal)
}

impl Person {
    /// Libraries write the id in different cases.
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

fn print(named: &Named, people: &[Person], removed: usize, dry_run: bool, output: &Output) -> Outcome<()> {
    if output.is_json() {
        output.json(&json!({
            "backend": named.backend(),
            "location": named.to_string(),
            "dryRun": dry_run,
            "accounts": people.iter().map(Person::to_json).collect::<Vec<_>>(),
            "removedEntries": removed,
        }))?;
        return Ok(());
    }
    let mut text = format!("{}\n", title(printable(&named.to_string())));
    let done = if dry_run { "would be signed out" } else { "signed out" };
    for person in people {
        text.push_str(&format!("  {done}  {}\n", person.words()));
        text.push_str(&format!("    account  {}\n", printable(&person.home_account_id)));
    }
    let entries = number(removed, "entry");
    let end = if dry_run { " would be removed; nothing was changed" } else { " removed" };
    text.push_str(&format!("  {entries}, accounts and tokens together,{end}\n"));
    output.text(&text)?;
    Ok(())
}
