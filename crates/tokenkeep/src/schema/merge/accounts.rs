//! The fate of whole accounts: a sign-out removes more than one entry.

use std::collections::{HashMap, HashSet};

use super::Section;
use super::table::Versions;
use crate::schema::document::{Document, Entry, HomeAccountId};

/// The accounts whose entries cannot be decided one by one. Usually there are none, and then no entry is parsed for
/// them.
pub(super) struct Accounts(HashMap<HomeAccountId, Fate>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// We signed it out: all of its entries are removed.
    SignedOut,
    /// Another process signed it out: none of its entries returns.
    Gone,
    /// Another process signed it out, and we signed it in again: all of our entries are written, unchanged ones too,
    /// because the other process deleted them.
    SignedInAgain,
}

impl Accounts {
    pub(super) fn settle(
        base: &Document<'_>,
        ours: &Document<'_>,
        theirs: &Document<'_>,
        disturbed: bool,
    ) -> Self {
        let mut fates = HashMap::new();
        let gone = missing_accounts(base, theirs);
        if !gone.is_empty() {
            let signed_in = ours.entries(Section::Account).iter().filter(|entry| {
                let before = base.find(Section::Account, &entry.key);
                before.is_none_or(|before| !before.value.is_same(entry.value))
            });
            let signed_in: HashSet<_> = signed_in.filter_map(Entry::account).collect();
            fates.extend(gone.into_iter().map(|account| {
                let fate = if signed_in.contains(&account) { Fate::SignedInAgain } else { Fate::Gone };
                (account, fate)
            }));
        }
        if !disturbed {
            fates.extend(missing_accounts(base, ours).into_iter().map(|account| (account, Fate::SignedOut)));
        }
        Self(fates)
    }

    /// Returns the fate of an entry's account, if it decides anything.
    pub(super) fn fate_of(&self, versions: &Versions<'_, '_>) -> Option<Fate> {
        if self.0.is_empty() {
            return None;
        }
        let account = versions.ours.or(versions.theirs)?.account()?;
        self.0.get(&account).copied()
    }
}

/// Returns the accounts that `earlier` has and `later` has under no key and in no environment.
fn missing_accounts(earlier: &Document<'_>, later: &Document<'_>) -> HashSet<HomeAccountId> {
    let is_kept = |entry: &Entry<'_>| {
        // The same text is the same account; only different texts are parsed.
        later.find(Section::Account, &entry.key).is_some_and(|twin| twin.value.0 == entry.value.0)
    };
    let differing = earlier.entries(Section::Account).iter().filter(|entry| !is_kept(entry));
    let mut missing: HashSet<_> = differing.filter_map(Entry::account).collect();
    if !missing.is_empty() {
        for account in later.entries(Section::Account).iter().filter_map(Entry::account) {
            missing.remove(&account);
        }
    }
    missing
}
