//! Finds entries that two libraries wrote for the same thing under different keys.

use std::collections::HashMap;

use crate::schema::Section;
use crate::schema::document::{Entry, HomeAccountId, Table};
use crate::schema::fields::Fields;
use crate::schema::keys::Parts;
use crate::schema::meaning::Text;
use crate::schema::output::Output;

/// The arriving entries that are the same as a staying one under another key.
#[derive(Default)]
pub(super) struct Twins {
    /// By the position of the staying entry: the positions of the arriving ones.
    found: HashMap<usize, Vec<usize>>,
}

impl Twins {
    /// Compares the arriving entries whose key the other side does not have.
    pub(super) fn among(section: Section, arriving: &Table<'_>, staying: &Table<'_>) -> Self {
        // Grouped by account, so that a cache of thousands does not compare each entry with each.
        let mut strangers: HashMap<Option<HomeAccountId>, Vec<(usize, Parts<'_>)>> = HashMap::new();
        for (at, entry) in arriving.entries.iter().enumerate() {
            if staying.find(&entry.key).is_none()
                && let Some(parts) = identity(section, entry)
            {
                strangers.entry(entry.account()).or_default().push((at, parts));
            }
        }
        let mut twins = Self::default();
        if strangers.is_empty() {
            return twins;
        }
        for (place, entry) in staying.entries.iter().enumerate() {
            let Some(candidates) = strangers.get(&entry.account()) else { continue };
            let Some(parts) = identity(section, entry) else { continue };
            let same = candidates.iter().filter(|(_, other)| other.is_same(&parts));
            let same: Vec<_> = same.map(|(at, _)| *at).collect();
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
        self.found.values().any(|found| found.contains(&at))
    }
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
