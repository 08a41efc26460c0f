//! A token cache as an ordered view of its text: sections, entries and unknown members, all kept as written.
//!
//! Only names with escapes are copied. Of several members with one name the last counts, at the position of the
//! first, as in `JSON.parse`.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::fmt;

use super::Section;
use super::json::{Malformed, Walker};
use super::meaning::{Text, Value};

/// A parsed cache.
#[derive(Default)]
pub(super) struct Document<'a> {
    /// All members of the root object, known sections included.
    pub(super) root: Table<'a>,
    sections: [Option<Table<'a>>; Section::ALL.len()],
}

/// The members of one object, in order.
#[derive(Default)]
pub(super) struct Table<'a> {
    pub(super) entries: Vec<Entry<'a>>,
    positions: HashMap<Cow<'a, [u8]>, usize>,
    /// The position after the entry found last. Two caches mostly have the same entries in the same order, and
    /// comparing a key is cheaper than hashing it.
    cursor: Cell<usize>,
}

/// One member of the root or of a section.
pub(super) struct Entry<'a> {
    /// The name, unescaped: the identity of the entry within its section.
    pub(super) key: Cow<'a, [u8]>,
    /// The name as written, with its quotes.
    pub(super) name: &'a [u8],
    pub(super) value: Value<'a>,
}

/// The reason why a text is not a token cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    Malformed { at: usize },
    NotAnObject,
    SectionNotAnObject(Section),
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed { at: malformed.at }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed { at } => write!(f, "it is not JSON from byte {at} on"),
            Self::NotAnObject => f.write_str("it is not a JSON object"),
            Self::SectionNotAnObject(section) => write!(f, "its section {section} is not an object"),
        }
    }
}

impl std::error::Error for Refusal {}

impl<'a> Document<'a> {
    /// Parses `text`, which may begin with a byte order mark.
    pub(super) fn parse(text: &'a [u8]) -> Result<Self, Refusal> {
        let mut document = Self::default();
        let mut walker = Walker::new(super::without_bom(text));
        walk_root(&mut walker, |walker, name, section| {
            let start = walker.position();
            if let Some(section) = section {
                let table = document.sections[section.index()].insert(Table::default());
                if walker.enter(b'{') {
                    let mut first = true;
                    while let Some(name) = walker.next_name(std::mem::take(&mut first))? {
                        table.insert(name, Value(walker.value()?));
                    }
                } else {
                    walker.value()?;
                }
            } else {
                walker.value()?;
            }
            document.root.insert(name, Value(walker.since(start)));
            Ok(())
        })?;
        Ok(document)
    }

    /// Returns the entries of a section; `None` if the cache does not have the section.
    pub(super) fn section(&self, section: Section) -> Option<&Table<'a>> {
        self.sections[section.index()].as_ref()
    }

    /// Returns the entries of a section, in order; none if the cache does not have the section.
    pub(super) fn entries(&self, section: Section) -> &[Entry<'a>] {
        self.section(section).map_or(&[], |table| &table.entries)
    }

    /// Returns the entry `key` of a section.
    pub(super) fn find(&self, section: Section, key: &[u8]) -> Option<&Entry<'a>> {
        self.section(section)?.find(key)
    }

    /// Returns whether this is a token cache: it has at least one known section, or is empty.
    pub(super) fn is_msal_cache(&self) -> bool {
        self.root.entries.is_empty() || self.sections.iter().any(Option::is_some)
    }
}

/// Returns whether `text` is a token cache, without keeping a parsed form.
pub(super) fn is_msal_cache(text: &[u8]) -> bool {
    let (mut empty, mut known) = (true, false);
    let mut walker = Walker::new(super::without_bom(text));
    let walked = walk_root(&mut walker, |walker, _, section| {
        empty = false;
        known |= section.is_some();
        walker.value().map(|_| ())
    });
    walked.is_ok() && (empty || known)
}

/// Passes each member of the root to `member`, which moves the walker past its value.
fn walk_root<'a>(
    walker: &mut Walker<'a>,
    mut member: impl FnMut(&mut Walker<'a>, &'a [u8], Option<Section>) -> Result<(), Malformed>,
) -> Result<(), Refusal> {
    if !walker.enter(b'{') {
        return Err(Refusal::NotAnObject);
    }
    let mut first = true;
    while let Some(name) = walker.next_name(std::mem::take(&mut first))? {
        let section = Text::of(name).and_then(|name| Section::named(&name.unescaped()));
        match (section, walker.peek()) {
            // In some languages an empty map becomes `null`; every library reads it as one.
            (None, _) | (Some(_), Some(b'{' | b'n')) => member(walker, name, section)?,
            (Some(section), _) => return Err(Refusal::SectionNotAnObject(section)),
        }
    }
    Ok(walker.end()?)
}

impl<'a> Table<'a> {
    /// Returns the members of an object; none for any other value.
    pub(super) fn of(object: Value<'a>) -> Self {
        let (mut table, mut walker) = (Self::default(), Walker::new(object.0));
        let mut first = walker.enter(b'{');
        // A value is known to be well formed, so only the closing brace ends it.
        while let Ok(Some(name)) = walker.next_name(std::mem::take(&mut first)) {
            let Ok(value) = walker.value() else { break };
            table.insert(name, Value(value));
        }
        table
    }

    pub(super) fn find(&self, key: &[u8]) -> Option<&Entry<'a>> {
        let next = self.cursor.get();
        let found = match self.entries.get(next) {
            Some(entry) if *entry.key == *key => next,
            _ => *self.positions.get(key)?,
        };
        self.cursor.set(found + 1);
        self.entries.get(found)
    }

    fn insert(&mut self, name: &'a [u8], value: Value<'a>) {
        let key = Text::of(name).map(Text::unescaped).unwrap_or_default();
        let entry = Entry { key: key.clone(), name, value };
        match self.positions.entry(key) {
            Slot::Occupied(slot) => self.entries[*slot.get()] = entry,
            Slot::Vacant(slot) => {
                slot.insert(self.entries.len());
                self.entries.push(entry);
            }
        }
    }
}

impl<'a> Entry<'a> {
    /// Returns the account of this entry; `None` if it has none, like the tokens of an app itself.
    pub(super) fn account(&self) -> Option<HomeAccountId> {
        HomeAccountId::new(&self.value.member("home_account_id")?.text()?)
    }

    /// Returns when an access token was obtained, in seconds since the epoch; 0 if unknown.
    pub(super) fn cached_at(&self) -> f64 {
        self.value.member("cached_at").and_then(Value::seconds).unwrap_or(0.0)
    }

    /// Returns whether the entry's `credential_type` belongs into `section`. Entries of other types are an extension
    /// that most clients ignore, such as .NET's `ATExt`.
    pub(super) fn is_of_known_type(&self, section: Section) -> bool {
        let known: &[&[u8]] = match section {
            Section::AccessToken => &[b"AccessToken", b"AccessToken_With_AuthScheme"],
            Section::RefreshToken => &[b"RefreshToken"],
            Section::IdToken => &[b"IdToken"],
            Section::Account | Section::AppMetadata => return true,
        };
        let written = self.value.member("credential_type").and_then(Value::text);
        written.is_some_and(|written| known.iter().any(|known| known.eq_ignore_ascii_case(&written)))
    }
}

/// Names an account across tenants and environments, without case, because the libraries fold it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct HomeAccountId(Vec<u8>);

impl HomeAccountId {
    /// Returns `None` for an empty text, which names no account.
    pub(super) fn new(written: &[u8]) -> Option<Self> {
        (!written.is_empty()).then(|| Self(written.to_ascii_lowercase()))
    }
}
