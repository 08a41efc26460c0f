//! Adds or updates an entry so that every library finds it.

use zeroize::Zeroizing;

use super::Section;
use super::document::{Document, Entry};
use super::fields::Fields;
use super::keys::{KeyStyle, Parts};
use super::meaning::Text;
use super::output::Output;
use super::record::{Record, quoted};
use crate::{Result, Secret};

/// Returns the cache with `records` added. Absent and empty content count as an empty cache.
///
/// An existing entry, written by any library under any key, keeps its key, its position and its unknown members, and
/// takes the values of the record. If several entries are the same refresh token, each of them is updated, so that no
/// library keeps a redeemed one. An access token replaces those that share one of its scopes. A new entry is added at
/// the end, under the key of the library that wrote most of the cache; in an empty cache, under the key of
/// `@azure/msal-node`.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tokenkeep::schema::{Contents, Ids, Record, put};
///
/// let ids = Ids { home_account_id: "uid.utid", environment: "login.windows.net", client_id: "app", realm: "utid" };
/// let now = SystemTime::now();
/// let hour = Duration::from_secs(3600);
/// let token = Record::access_token(ids, &["https://vault.azure.net/.default"], "token", now, now + hour);
/// let account = Record::account(ids, "uid", "ada@example.com");
/// let content = put(None, &[token, account])?;
///
/// let contents = Contents::parse(content.expose())?;
/// assert!(!contents.access_tokens().next().expect("just put").is_expired(now));
/// # Ok::<(), tokenkeep::Error>(())
/// ```
///
/// # Errors
/// `Damaged` if `content` is not a token cache.
pub fn put(content: Option<&[u8]>, records: &[Record<'_>]) -> Result<Secret> {
    let empty = br#"{"Account":{},"IdToken":{},"AccessToken":{},"RefreshToken":{},"AppMetadata":{}}"#;
    let content = content.map(super::without_bom).filter(|content| !content.is_empty());
    let mut next = Secret::from(content.unwrap_or(empty));
    for record in records {
        next = put_one(next.expose(), record)?;
    }
    Ok(next)
}

/// The fate of an existing entry.
enum Fate {
    Stays,
    Goes,
    Becomes(Zeroizing<Vec<u8>>),
}

fn put_one(content: &[u8], record: &Record<'_>) -> Result<Secret> {
    let document = Document::parse(content).map_err(super::damaged)?;
    let section = record.section();
    let parts = record.parts();
    let mut found = false;
    let decide = |entry: &Entry<'_>| {
        let present = Parts::of(section, Fields::of(entry));
        if parts.is_same(&present) && !(found && section == Section::AccessToken) {
            found = true;
            return Fate::Becomes(overlaid(entry, record));
        }
        if parts.displaces(&present) { Fate::Goes } else { Fate::Stays }
    };
    let fates: Vec<_> = document.entries(section).iter().map(decide).collect();
    let added = (!found).then(|| {
        let key = parts.key(KeyStyle::of(&document));
        (quoted(key.as_bytes()), fresh(record))
    });

    let mut output = Output::default();
    output.open();
    for member in &document.root.entries {
        if Section::named(&member.key) == Some(section) {
            output.name(member.name);
            write_section(&mut output, document.entries(section), &fates, added.as_ref());
        } else {
            output.entry(member);
        }
    }
    let name = quoted(section.name().as_bytes());
    if document.section(section).is_none() {
        output.name(&name);
        write_section(&mut output, &[], &[], added.as_ref());
    }
    output.close();
    Ok(output.into_secret())
}

type Member = (Zeroizing<Vec<u8>>, Zeroizing<Vec<u8>>);

fn write_section<'a>(
    output: &mut Output<'a>,
    entries: &[Entry<'a>],
    fates: &'a [Fate],
    added: Option<&'a Member>,
) {
    output.open();
    for (entry, fate) in entries.iter().zip(fates) {
        match fate {
            Fate::Stays => output.entry(entry),
            Fate::Goes => {}
            Fate::Becomes(text) => output.member(entry.name, text),
        }
    }
    if let Some((name, text)) = added {
        output.member(name, text);
    }
    output.close();
}

/// Returns the entry with the values of the record.
fn overlaid(entry: &Entry<'_>, record: &Record<'_>) -> Zeroizing<Vec<u8>> {
    let values = record.values();
    let identity: Vec<_> =
        record.identity().into_iter().map(|(name, text)| (name, quoted(text.as_bytes()))).collect();
    let names: Vec<_> =
        identity.iter().chain(&values).map(|(name, _)| (*name, quoted(name.as_bytes()))).collect();
    let mut output = Output::default();
    let mut written: Vec<&str> = Vec::new();
    output.open();
    for (name, value) in entry.value.written_members() {
        let is = |known: &str| Text::of(name).is_some_and(|name| name.is(known));
        if record.outdated().iter().any(|outdated| is(outdated)) && !values.iter().any(|(known, _)| is(known))
        {
            continue;
        }
        let new = values.iter().find(|(known, _)| is(known));
        if let Some((known, _)) = new.or_else(|| identity.iter().find(|(known, _)| is(known))) {
            if written.contains(known) {
                // A duplicate name; the last one would count.
                continue;
            }
            written.push(known);
        }
        // An equal value keeps its spelling.
        let text = new.map(|(_, text)| &text[..]).filter(|text| !super::meaning::Value(text).is_same(value));
        output.member(name, text.unwrap_or(value.0));
    }
    for ((known, text), (_, name)) in identity.iter().chain(&values).zip(&names) {
        if !written.contains(known) {
            output.member(name, text);
        }
    }
    output.close();
    output.into_secret().into_zeroizing()
}

fn fresh(record: &Record<'_>) -> Zeroizing<Vec<u8>> {
    let identity = record.identity().into_iter().map(|(name, text)| (name, quoted(text.as_bytes())));
    let members: Vec<Member> =
        identity.chain(record.values()).map(|(name, text)| (quoted(name.as_bytes()), text)).collect();
    let mut output = Output::default();
    output.open();
    for (name, text) in &members {
        output.member(name, text);
    }
    output.close();
    output.into_secret().into_zeroizing()
}
