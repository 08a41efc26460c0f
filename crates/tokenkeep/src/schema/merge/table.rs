//! Decides the winner entry by entry: the rows of the table in [`merge`](super::merge) that depend on no other entry.

use super::Section;
use crate::schema::document::Entry;

/// One entry in the four caches.
#[derive(Clone, Copy)]
pub(super) struct Versions<'m, 'a> {
    pub(super) base: Option<&'m Entry<'a>>,
    pub(super) held: Option<&'m Entry<'a>>,
    pub(super) ours: Option<&'m Entry<'a>>,
    pub(super) theirs: Option<&'m Entry<'a>>,
}

impl Versions<'_, '_> {
    /// Returns whether we added or changed it.
    pub(super) fn is_changed_by_us(&self) -> bool {
        self.ours.is_some_and(|ours| self.base.is_none_or(|base| !base.value.is_same(ours.value)))
    }

    /// Returns whether we added or changed it, and the stored cache does not have the same.
    pub(super) fn is_ours_news(&self) -> bool {
        self.is_changed_by_us() && !is_same(self.ours, self.theirs)
    }

    /// Returns whether we deleted it and it is still stored.
    pub(super) fn is_deleted(&self) -> bool {
        self.base.is_some() && self.ours.is_none() && self.theirs.is_some()
    }

    /// Returns whether another process added, changed or deleted it since the client loaded the content.
    fn is_changed_by_others(&self) -> bool {
        !is_same(self.held, self.theirs)
    }
}

fn is_same(one: Option<&Entry<'_>>, other: Option<&Entry<'_>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.value.is_same(other.value),
        (None, None) => true,
        _ => false,
    }
}

/// The kind of an entry.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Entry(Section),
    UnknownSection,
}

/// The side whose version is kept. A side without the entry wins as absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Winner {
    Theirs,
    Ours,
    Nobody,
}

pub(super) fn decide(kind: Kind, versions: Versions<'_, '_>, disturbed: bool) -> Winner {
    match (versions.ours, versions.theirs) {
        _ if versions.is_deleted() => deleted(kind, versions, disturbed),
        (Some(ours), Some(theirs)) if versions.is_ours_news() => {
            if versions.is_changed_by_others() {
                both_changed(kind, ours, theirs)
            } else {
                Winner::Ours
            }
        }
        (Some(_), None) if versions.is_changed_by_us() => Winner::Ours,
        _ => Winner::Theirs,
    }
}

fn both_changed(kind: Kind, ours: &Entry<'_>, theirs: &Entry<'_>) -> Winner {
    match kind {
        Kind::Entry(Section::AccessToken) if theirs.cached_at() > ours.cached_at() => Winner::Theirs,
        Kind::Entry(_) => Winner::Ours,
        Kind::UnknownSection => Winner::Theirs,
    }
}

fn deleted(kind: Kind, versions: Versions<'_, '_>, disturbed: bool) -> Winner {
    match kind {
        _ if disturbed => Winner::Theirs,
        // A sign-out counts, also if others changed the account in the meantime.
        Kind::Entry(Section::Account) => Winner::Nobody,
        Kind::Entry(Section::AppMetadata) | Kind::UnknownSection => Winner::Theirs,
        // A client does not delete an entry that it does not know; it only does not write it.
        Kind::Entry(section) if !versions.theirs.is_some_and(|theirs| theirs.is_of_known_type(section)) => {
            Winner::Theirs
        }
        Kind::Entry(_) if versions.is_changed_by_others() => Winner::Theirs,
        Kind::Entry(_) => Winner::Nobody,
    }
}
