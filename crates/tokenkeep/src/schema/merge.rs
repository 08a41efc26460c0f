//! Merges a client's change into the stored cache.
//!
//! This file owns the pass through the caches and the result. `table.rs` decides each entry, `accounts.rs` whole
//! accounts. An entry is identified by its section and its exact key.

mod accounts;
mod table;

use std::fmt;
use std::rc::Rc;

use accounts::{Accounts, Fate};
use table::{Kind, Versions, Winner, decide};

use super::Section;
use super::document::{Document, Entry, Refusal};
use super::output::Output;
use crate::{Error, ErrorKind, Result, Secret};

/// A client's change, given by its content before and after.
///
/// The client itself wrote `base` and `ours`, so their difference is its change. The client's own spelling, and
/// entries that it does not see, cancel out.
///
/// ```
/// use tokenkeep::schema::{Change, merge};
///
/// let (ada, bob) = (r#""a":{"home_account_id":"ada"}"#, r#""b":{"home_account_id":"bob"}"#);
/// let cache = |accounts: &str| format!(r#"{{"Account":{{{accounts}}}}}"#);
///
/// // Ada was in the cache that we loaded, and we signed her out; meanwhile another process signed Bob in.
/// let (before, ours, theirs) = (cache(ada), cache(""), cache(&format!("{ada},{bob}")));
/// let before = Some(before.as_bytes());
/// let change = Change { held: before, base: before, ours: ours.as_bytes(), disturbed: false };
/// assert_eq!(merge(&change, Some(theirs.as_bytes()))?.content.expose(), cache(bob).as_bytes());
///
/// // The same as the change of a client that only adds:
/// let nothing_lost = merge(&Change::additions(ours.as_bytes()), Some(theirs.as_bytes()))?;
/// assert!(nothing_lost.unchanged);
/// # Ok::<(), tokenkeep::Error>(())
/// ```
#[derive(Clone, Copy)]
pub struct Change<'a> {
    /// The stored content that the client loaded, byte for byte. It shows the later changes of others. Without it,
    /// `base` must show them, and entries that the client writes differently look like changes of others.
    pub held: Option<&'a [u8]>,
    /// The client's content directly after loading. Without it, every entry of `ours` counts as added and none as
    /// deleted. A base that is not a token cache is ignored.
    pub base: Option<&'a [u8]>,
    /// The client's content now.
    pub ours: &'a [u8],
    /// Another access came in between, so an entry missing in `ours` need not have been deleted.
    pub disturbed: bool,
}

impl<'a> Change<'a> {
    /// The change of a client without an earlier content: it only adds.
    pub fn additions(ours: &'a [u8]) -> Self {
        Self { held: None, base: None, ours, disturbed: false }
    }
}

impl fmt::Debug for Change<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Change")
            .field("held", &self.held.map(<[u8]>::len))
            .field("base", &self.base.map(<[u8]>::len))
            .field("ours", &self.ours.len())
            .field("disturbed", &self.disturbed)
            .finish()
    }
}

/// The result of [`merge`].
///
/// ```
/// use tokenkeep::schema::{Change, merge};
///
/// let merged = merge(&Change::additions(br#"{"Account":{"a":{"home_account_id":"ada"}}}"#), None)?;
/// assert!(!merged.unchanged && merged.conflict().is_none());
/// assert_eq!((merged.dropped, merged.undeleted), (0, 0));
/// # Ok::<(), tokenkeep::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Merged {
    /// The cache to store.
    pub content: Secret,
    /// The stored content already equals the result, so no write is needed.
    pub unchanged: bool,
    /// The number of changed or added entries that were left out because another process signed their account out. If
    /// there are any, store the rest and report the [conflict](Merged::conflict) to the client.
    pub dropped: usize,
    /// The number of entries that the client lacks and that were kept: in a disturbed window, because others changed
    /// them, or because the client may not know this kind of entry.
    pub undeleted: usize,
}

impl Merged {
    /// Returns the error to report, after storing the content, if a part of the change was left out.
    pub fn conflict(&self) -> Option<Error> {
        (self.dropped > 0).then(|| {
            let what = match self.dropped {
                1 => "a token was not stored because its account has been signed out meanwhile".to_owned(),
                many => format!(
                    "{many} tokens were not stored because their account has been signed out meanwhile"
                ),
            };
            Error::new(ErrorKind::Conflict, what).remedy("Sign in again if the account is still wanted")
        })
    }
}

/// Applies `change` to the stored content (`theirs`; absent content and an empty file are the same).
///
/// | `base` to `ours` | `theirs` | result |
/// | --- | --- | --- |
/// | same | anything | theirs |
/// | added or changed | unchanged, or lacking it | ours |
/// | added or changed | changed or added | the access token that was obtained later; otherwise ours |
/// | added or changed | its account is gone | left out and counted in [`Merged::dropped`]; all of ours if the account was signed in anew |
/// | deleted | unchanged | deleted |
/// | token deleted | changed | theirs |
/// | account deleted | anything | deleted, and everything that belongs to it, unless ours has it in another environment |
/// | app metadata, unknown kind of token or section deleted; anything deleted while disturbed | anything | theirs |
/// | not known to the client | anything | theirs |
///
/// An unknown section is treated as one entry; if both sides changed it, theirs stays.
///
/// The result has the order of `theirs`, with additions at the end of each section, and each entry's text from the
/// winning side.
///
/// # Errors
/// `Damaged` if `theirs` is not a token cache, `InvalidInput` if `ours` is not.
///
/// ```
/// use tokenkeep::schema::{Change, merge};
///
/// let before = br#"{"Account":{}}"#;
/// let ours = br#"{"Account":{"ada":{"home_account_id":"ada"}}}"#;
/// let theirs = br#"{"Account":{"bob":{"home_account_id":"bob"}}}"#;
/// let change = Change { held: Some(before), base: Some(before), ours, disturbed: false };
/// let merged = merge(&change, Some(theirs))?;
/// assert_eq!(
///     merged.content.expose(),
///     br#"{"Account":{"bob":{"home_account_id":"bob"},"ada":{"home_account_id":"ada"}}}"#
/// );
/// # Ok::<(), tokenkeep::Error>(())
/// ```
pub fn merge(change: &Change<'_>, theirs: Option<&[u8]>) -> Result<Merged> {
    let stored = theirs.filter(|theirs| !theirs.is_empty());
    let mut texts = Texts::default();
    let ours = texts.read(change.ours).map_err(|refusal| not_a_cache().because(refusal))?;
    if !ours.is_msal_cache() {
        return Err(not_a_cache());
    }
    let theirs = texts.read(stored.unwrap_or(b"{}")).map_err(super::damaged)?;
    let base = change.base.and_then(|base| texts.read(base).ok());
    let held = change.held.filter(|_| base.is_some()).and_then(|held| texts.read(held).ok());
    let base = base.unwrap_or_default();
    let held = held.unwrap_or_else(|| Rc::clone(&base));

    let accounts = Accounts::settle(&base, &ours, &theirs, change.disturbed);
    let mut merge = Merge {
        base: &base,
        held: &held,
        ours: &ours,
        theirs: &theirs,
        disturbed: change.disturbed,
        accounts,
        output: Output::default(),
        changed: false,
        dropped: 0,
        undeleted: 0,
    };
    merge.root();
    let unchanged = stored.is_some() && !merge.changed;
    let content = match stored {
        Some(stored) if unchanged => Secret::from(super::without_bom(stored)),
        _ => merge.output.into_secret(),
    };
    Ok(Merged { content, unchanged, dropped: merge.dropped, undeleted: merge.undeleted })
}

fn not_a_cache() -> Error {
    Error::new(ErrorKind::InvalidInput, "the content to be merged is not a token cache")
}

/// The texts, each parsed once: if only this library writes, three of the four are the same.
#[derive(Default)]
struct Texts<'a>(Vec<(&'a [u8], Rc<Document<'a>>)>);

impl<'a> Texts<'a> {
    fn read(&mut self, text: &'a [u8]) -> Result<Rc<Document<'a>>, Refusal> {
        let is_text = |known: &[u8]| std::ptr::eq(known, text) || known == text;
        if let Some((_, document)) = self.0.iter().find(|(known, _)| is_text(known)) {
            return Ok(Rc::clone(document));
        }
        let document = Rc::new(Document::parse(text)?);
        self.0.push((text, Rc::clone(&document)));
        Ok(document)
    }
}

struct Merge<'m, 'a> {
    base: &'m Document<'a>,
    held: &'m Document<'a>,
    ours: &'m Document<'a>,
    theirs: &'m Document<'a>,
    disturbed: bool,
    accounts: Accounts,
    output: Output<'a>,
    /// Whether the result differs from `theirs`.
    changed: bool,
    dropped: usize,
    undeleted: usize,
}

impl<'m, 'a> Merge<'m, 'a> {
    fn root(&mut self) {
        let (ours, theirs) = (self.ours, self.theirs);
        self.output.open();
        for member in &theirs.root.entries {
            self.root_member(member);
        }
        for member in ours.root.entries.iter().filter(|member| theirs.root.find(&member.key).is_none()) {
            self.root_member(member);
        }
        self.output.close();
    }

    fn root_member(&mut self, member: &'m Entry<'a>) {
        if let Some(section) = Section::named(&member.key) {
            return self.section(section, member);
        }
        let versions = self.versions(|document| document.root.find(&member.key));
        self.keep(versions, decide(Kind::UnknownSection, versions, self.disturbed));
    }

    fn section(&mut self, section: Section, member: &'m Entry<'a>) {
        let (ours, theirs) = (self.ours, self.theirs);
        let changed_before = std::mem::take(&mut self.changed);
        let mark = self.output.mark();
        self.output.name(member.name);
        self.output.open();
        for entry in theirs.entries(section) {
            self.entry(section, entry);
        }
        for entry in ours.entries(section).iter().filter(|entry| theirs.find(section, &entry.key).is_none()) {
            self.entry(section, entry);
        }
        self.output.close();
        if !self.changed && theirs.section(section).is_some() {
            // As written, with white space.
            self.output.rewind(mark);
            self.output.entry(member);
        }
        self.changed |= changed_before;
    }

    fn entry(&mut self, section: Section, entry: &'m Entry<'a>) {
        let versions = self.versions(|document| document.find(section, &entry.key));
        let winner = match self.accounts.fate_of(&versions) {
            Some(Fate::SignedOut) => Winner::Nobody,
            Some(Fate::Gone) if versions.is_ours_news() => {
                self.dropped += 1;
                if versions.theirs.is_some() { Winner::Theirs } else { Winner::Nobody }
            }
            Some(Fate::SignedInAgain) if versions.theirs.is_none() => Winner::Ours,
            _ => decide(Kind::Entry(section), versions, self.disturbed),
        };
        self.keep(versions, winner);
    }

    fn versions(&self, find: impl Fn(&'m Document<'a>) -> Option<&'m Entry<'a>>) -> Versions<'m, 'a> {
        let theirs = find(self.theirs);
        let in_earlier = |earlier: &'m Document<'a>| {
            if std::ptr::eq(earlier, self.theirs) { theirs } else { find(earlier) }
        };
        let base = in_earlier(self.base);
        let held = if std::ptr::eq(self.held, self.base) { base } else { in_earlier(self.held) };
        Versions { base, held, ours: find(self.ours), theirs }
    }

    fn keep(&mut self, versions: Versions<'_, 'a>, winner: Winner) {
        let Versions { ours, theirs, .. } = versions;
        match winner {
            Winner::Theirs => {
                self.undeleted += usize::from(versions.is_deleted());
                theirs.into_iter().for_each(|entry| self.output.entry(entry));
            }
            Winner::Ours => {
                self.changed = true;
                ours.into_iter().for_each(|entry| self.output.entry(entry));
            }
            Winner::Nobody => self.changed |= theirs.is_some(),
        }
    }
}
