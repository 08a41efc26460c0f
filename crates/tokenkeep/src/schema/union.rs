//! Merges two caches of one user when one store replaces another.
//!
//! Unlike in [`merge`](super::merge), there is no base: the deletions of either side are unknown, so no entry is
//! deleted. Of two versions of an entry the newer one is kept, as far as the caches show which that is. Different
//! libraries may have written the two, so entries are matched by their fields as well as by their key; see [`twins`].

mod twins;

use std::collections::HashMap;

use super::Section;
use super::document::{Document, Entry, HomeAccountId, Refusal, Table};
use super::meaning::Value;
use super::output::Output;
use crate::{Error, ErrorKind, Result, Secret};
use twins::{Twins, own_time};

/// The result of [`unite`].
#[derive(Debug)]
pub(crate) struct Union {
    pub(crate) content: Secret,
    /// The number of entries of the arriving cache in the result that the other cache did not have.
    pub(crate) taken: usize,
    /// The number of entries of the arriving cache that a newer version replaced.
    pub(crate) outdated: usize,
}

/// Merges both caches: `arriving` leaves its store, `staying` is in the target.
///
/// Of two versions of an entry, the one obtained later is kept: by its own time (`cached_at`,
/// `last_modification_time`), or else by the time of the newest access token of the same account and client. Without
/// either, the arriving one is kept, because it was in use. An entry that another library wrote under another key
/// keeps its key and takes the newer values. An unknown section of both is merged member by member.
///
/// # Errors
/// `Damaged` if either is not a token cache.
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

    /// Merges a member of the root that differs in the two.
    fn both(&mut self, arriving: &'m Entry<'a>, staying: &'m Entry<'a>) {
        if let Some(section) = Section::named(&staying.key) {
            // `null` has no members, and neither has its replacement.
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

    /// Merges the members of two objects; those of `staying` come first, in their order.
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

    /// Merges an entry of `staying` with the entries that are the same under other keys.
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
        // Comparable only if both have a time: some libraries write times that others do not.
        if new > 0.0 && old > 0.0 && new != old {
            return new > old;
        }
        self.ages.0.of_entry(arriving) >= self.ages.1.of_entry(staying)
    }
}

/// The time at which each account last got an access token, by client and in all.
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

    /// Returns the time for the entry's account and client; an account itself belongs to every client.
    fn of_entry(&self, entry: &Entry<'_>) -> f64 {
        let Some(account) = entry.account() else { return 0.0 };
        self.0.get(&(account, client_of(entry))).copied().unwrap_or_default()
    }
}

fn client_of(entry: &Entry<'_>) -> Vec<u8> {
    let written = entry.value.member("client_id").and_then(Value::text);
    written.map(|client| client.to_ascii_lowercase()).unwrap_or_default()
}
