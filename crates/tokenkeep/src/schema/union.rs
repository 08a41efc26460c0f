//! Brings two caches of the same user together when one store takes the place of another.
//!
//! Unlike [`merge`](super::merge) there is no base: nobody knows what either side deleted, so that nothing is deleted.
//! Of two versions of an entry the newer is kept, as far as anything in the caches tells which that is. As the two may
//! have been written by different libraries, an entry is found by its fields too, not by its key alone; see [`twins`].

mod twins;

use std::collections::HashMap;

use super::Section;
use super::document::{Document, Entry, HomeAccountId, Refusal, Table};
use super::meaning::Value;
use super::output::Output;
use crate::{Error, ErrorKind, Result, Secret};
use twins::Twins;

/// What [`unite`] made.
#[derive(Debug)]
pub(crate) struct Union {
    pub(crate) content: Secret,
    /// Entries of the arriving cache that are in the result and were not in the one that stays.
    pub(crate) taken: usize,
    /// Entries of the arriving cache that gave way to a newer version.
    pub(crate) outdated: usize,
}

/// Everything of both caches: `arriving`, which is leaving its store, and `staying`, to which it comes.
///
/// Of two versions of an entry the one obtained later is kept: by its own time (`cached_at`, `last_modification_time`),
/// or else by that of the newest access token of the same account and client; without either, the arriving one,
/// because it is the one that was in use. An entry that another library wrote under another key keeps its key and takes
/// over what the newer one says. An unknown section that both have is united member by member.
///
/// # Errors
/// `Damaged` when either is not a token cache.
pub(crate) fn unite(arriving: &[u8], staying: &[u8]) -> Result<Union> {
    let arriving = Document::parse(arriving).map_err(|refusal| damaged("leaving its store", refusal))?;
    let staying = Document::parse(staying).map_err(|refusal| damaged("in the new store", refusal))?;
    let mut uniting = Uniting {
        ages: (Ages::of(&arriving), Ages::of(&staying)),
        arriving: &arriving,
        staying: &staying,
        output: Output::default(),
        taken: 0,
        outdated: 0,
    };
    uniting.root();
    let Uniting { output, taken, outdated, .. } = uniting;
    Ok(Union { content: output.into_secret(), taken, outdated })
}

fn damaged(which: &str, refusal: Refusal) -> Error {
    Error::new(ErrorKind::Damaged, format!("the token cache {which} is damaged")).because(refusal)
}

struct Uniting<'m, 'a> {
    arriving: &'m Document<'a>,
    staying: &'m Document<'a>,
    ages: (Ages, Ages),
    output: Output<'a>,
    taken: usize,
    outdated: usize,
}

impl<'m, 'a> Uniting<'m, 'a> {
    fn root(&mut self) {
        let (arriving, staying) = (&self.arriving.root, &self.staying.root);
        self.output.open();
        for member in &staying.entries {
            match arriving.find(&member.key) {
                Some(twin) if !twin.value.is_same(member.value) => self.both(twin, member),
                _ => self.output.entry(member),
            }
        }
        for member in arriving.entries.iter().filter(|member| staying.find(&member.key).is_none()) {
            self.taken += match Section::named(&member.key) {
                Some(section) => self.arriving.entries(section).len(),
                None if member.value.is_object() => Table::of(member.value).entries.len(),
                None => 1,
            };
            self.output.entry(member);
        }
        self.output.close();
    }

    /// A member of the root that both have, and not the same.
    fn both(&mut self, arriving: &'m Entry<'a>, staying: &'m Entry<'a>) {
        if let Some(section) = Section::named(&staying.key) {
            // `null` has no members, and neither has what is written for it.
            let (new, old) = (Table::of(arriving.value), Table::of(staying.value));
            return self.table(Some(section), staying.name, &new, &old);
        }
        if arriving.value.is_object() && staying.value.is_object() {
            let (new, old) = (Table::of(arriving.value), Table::of(staying.value));
            return self.table(None, staying.name, &new, &old);
        }
        self.taken += 1;
        self.output.entry(arriving);
    }

    /// The members of two objects, those that stay first and in their order.
    fn table(&mut self, section: Option<Section>, name: &'a [u8], arriving: &Table<'a>, staying: &Table<'a>) {
        self.output.name(name);
        self.output.open();
        let twins = section.map_or_else(Twins::default, |section| Twins::among(section, arriving, staying));
        for (place, entry) in staying.entries.iter().enumerate() {
            match arriving.find(&entry.key) {
                Some(same) if same.value.is_same(entry.value) => self.output.entry(entry),
                Some(other) if self.is_newer(section, other, entry) => {
                    self.taken += 1;
                    self.output.entry(other);
                }
                Some(_) => {
                    self.outdated += 1;
                    self.output.entry(entry);
                }
                None => self.with_twins(section, entry, twins.of(place, arriving)),
            }
        }
        for (at, entry) in arriving.entries.iter().enumerate() {
            if staying.find(&entry.key).is_none() && !twins.has(at) {
                self.taken += 1;
                self.output.entry(entry);
            }
        }
        self.output.close();
    }

    /// An entry that stays, and those that are the same under other keys.
    fn with_twins<'t>(
        &mut self,
        section: Option<Section>,
        staying: &Entry<'a>,
        twins: impl Iterator<Item = &'t Entry<'a>>,
    ) where
        'a: 't,
    {
        let twins: Vec<_> = twins.collect();
        let newer = twins.iter().filter(|twin| self.is_newer(section, twin, staying));
        let newest = newer.max_by(|one, other| own_time(one).total_cmp(&own_time(other)));
        self.taken += usize::from(newest.is_some());
        self.outdated += twins.len() - usize::from(newest.is_some());
        match newest {
            Some(newest) => twins::renew(&mut self.output, staying, newest),
            None => self.output.entry(staying),
        }
    }

    fn is_newer(&self, section: Option<Section>, arriving: &Entry<'_>, staying: &Entry<'_>) -> bool {
        if section.is_none() {
            return true;
        }
        let (new, old) = (own_time(arriving), own_time(staying));
        // Comparable only if both tell: one library writes times where another does not.
        if new > 0.0 && old > 0.0 && new != old {
            return new > old;
        }
        self.ages.0.of_entry(arriving) >= self.ages.1.of_entry(staying)
    }
}

/// When an entry was obtained or last changed, in seconds since the epoch, by its own word; 0 when it does not tell.
fn own_time(entry: &Entry<'_>) -> f64 {
    let written = |name| entry.value.member(name).and_then(Value::seconds).unwrap_or(0.0);
    written("cached_at").max(written("last_modification_time"))
}

/// When each account was last used to get an access token, by each client and by any.
#[derive(Default)]
struct Ages(HashMap<(HomeAccountId, Vec<u8>), f64>);

impl Ages {
    fn of(document: &Document<'_>) -> Self {
        let mut ages = Self::default();
        for token in document.entries(Section::AccessToken) {
            let Some(account) = token.account() else { continue };
            for client in [client_of(token), Vec::new()] {
                let age = ages.0.entry((account.clone(), client)).or_default();
                *age = age.max(token.cached_at());
            }
        }
        ages
    }

    /// Of the entry's account and client; an account itself belongs to every client.
    fn of_entry(&self, entry: &Entry<'_>) -> f64 {
        let Some(account) = entry.account() else { return 0.0 };
        self.0.get(&(account, client_of(entry))).copied().unwrap_or_default()
    }
}

fn client_of(entry: &Entry<'_>) -> Vec<u8> {
    let written = entry.value.member("client_id").and_then(Value::text);
    written.map(|client| client.to_ascii_lowercase()).unwrap_or_default()
}
