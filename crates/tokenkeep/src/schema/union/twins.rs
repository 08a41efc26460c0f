//! Finds entries that two libraries wrote for the same thing under different keys.

use std::collections::{HashMap, HashSet};

use crate::schema::Section;
use crate::schema::document::{Entry, Table};
use crate::schema::fields::Fields;
use crate::schema::keys::Parts;
use crate::schema::meaning::{Text, Value};
use crate::schema::output::Output;

/// More entries than any library writes for the same thing.
const CROWD: usize = 16;

/// The arriving entries that are the same as a staying one under another key.
#[derive(Default)]
pub(super) struct Twins {
    /// By the position of the staying entry: the positions of the arriving ones.
    found: HashMap<usize, Vec<usize>>,
    /// The positions of all arriving ones that have a twin.
    taken: HashSet<usize>,
}

impl Twins {
    /// Compares the arriving entries whose key the other side does not have.
    pub(super) fn among(section: Section, arriving: &Table<'_>, staying: &Table<'_>) -> Self {
        // By what makes two entries the same, so that a cache of thousands does not compare each entry with each.
        let mut strangers: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, entry) in arriving.entries.iter().enumerate() {
            if staying.find(&entry.key).is_none()
                && let Some(parts) = identity(section, entry)
            {
                for mark in parts.marks() {
                    strangers.entry(mark).or_default().push(at);
                }
            }
        }
        let mut twins = Self::default();
        if strangers.is_empty() {
            return twins;
        }
        for (place, entry) in staying.entries.iter().enumerate() {
            let Some(parts) = identity(section, entry) else { continue };
            let mut same = Vec::new();
            for mark in parts.marks() {
                let Some(found) = strangers.get_mut(&mark) else { continue };
                twins.taken.extend(&*found);
                // Only the newest can replace the staying one. A crowd that is the same would be compared with each of a
                // crowd.
                if found.len() > CROWD {
                    found.sort_by(|one, other| {
                        let age = |at: &usize| arriving.entries.get(*at).map_or(0.0, own_time);
                        age(other).total_cmp(&age(one))
                    });
                    found.truncate(CROWD);
                }
                same.extend(&*found);
            }
            same.sort_unstable();
            same.dedup();
            if !same.is_empty() {
                twins.found.insert(place, same);
            }
        }
        twins
    }

    pub(super) fn of<'t, 'm, 'a>(
        &'t self,
        place: usize,
        arriving: &'m Table<'a>,
    ) -> impl Iterator<Item = &'m Entry<'a>> + use<'t, 'm, 'a> {
        let found = self.found.get(&place).map_or(&[][..], Vec::as_slice);
        found.iter().filter_map(|at| arriving.entries.get(*at))
    }

    /// Returns whether the arriving entry at this position has a twin and so is not an addition.
    pub(super) fn has(&self, at: usize) -> bool {
        self.taken.contains(&at)
    }
}

/// Returns when an entry was obtained or last changed, in seconds since the epoch, from its own fields; 0 if unknown.
pub(super) fn own_time(entry: &Entry<'_>) -> f64 {
    let written = |name| entry.value.member(name).and_then(Value::seconds).unwrap_or(0.0);
    written("cached_at").max(written("last_modification_time"))
}

/// Returns the identity of an entry if it has all fields and a known type; other entries are identified by their key
/// alone.
fn identity<'c>(section: Section, entry: &'c Entry<'c>) -> Option<Parts<'c>> {
    let parts = Parts::of(section, Fields::of(entry));
    let named = match section {
        Section::AccessToken => !parts.client_id.is_empty(),
        Section::RefreshToken | Section::IdToken => {
            !parts.home_account_id.is_empty() && !parts.client_id.is_empty()
        }
        Section::Account => !parts.home_account_id.is_empty(),
        Section::AppMetadata => !parts.client_id.is_empty(),
    };
    (named && !parts.environment.is_empty() && entry.is_of_known_type(section)).then_some(parts)
}

/// Writes the staying entry with the values of the newer one. It keeps its key and all fields by which its library
/// finds it.
pub(super) fn renew<'a>(output: &mut Output<'a>, staying: &Entry<'a>, newer: &Entry<'a>) {
    const IDENTITY: [&str; 6] =
        ["home_account_id", "environment", "client_id", "credential_type", "realm", "target"];
    // These times of an older token would be wrong for a newer one without them.
    const OF_ONE_TOKEN: [&str; 2] = ["refresh_on", "ext_expires_on"];
    let is = |name: &[u8], known: &[&str]| {
        Text::of(name).is_some_and(|name| known.iter().any(|known| name.is(known)))
    };
    let (old, new) = (Table::of(staying.value), Table::of(newer.value));
    output.name(staying.name);
    output.open();
    for member in &old.entries {
        match new.find(&member.key) {
            Some(other) if !is(member.name, &IDENTITY) => output.member(member.name, other.value.0),
            None if is(member.name, &OF_ONE_TOKEN) => {}
            _ => output.entry(member),
        }
    }
    for member in new.entries.iter().filter(|member| old.find(&member.key).is_none()) {
        output.entry(member);
    }
    output.close();
}
