//! Remembers the path of an item, so that the next operation needs one call to the service instead of two.
//!
//! A read requests the content at the remembered path *together with* a search, and trusts the content only if the
//! search names that item and no other. The service answers in order: an item that was ours before and is ours after
//! the read is a stronger proof than an earlier search, and the service searches while it still sends large content.
//! A write cannot be taken back, so it relies on a finished search, and only on a recent one.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use zbus::wire::OwnedObjectPath;

use super::body::Attributes;

/// How long a search is valid for a later write. In a transaction, which holds the lock, the program's own work lies
/// between the two; a slower program causes another search.
const FRESH: Duration = Duration::from_millis(500);

/// How many items are remembered. A process has few, and each costs a comparison.
const REMEMBERED: usize = 8;

/// The items that the last searches on one connection found, each alone.
#[derive(Debug, Default)]
pub(super) struct Whereabouts(RefCell<Vec<Known>>);

#[derive(Debug)]
struct Known {
    attributes: Vec<(String, String)>,
    item: OwnedObjectPath,
    /// The time of the search that found it; `None` after a write has relied on it.
    searched: Option<Instant>,
}

impl Whereabouts {
    /// Records that a search for `attributes`, begun at `searched`, found `item` and no other.
    pub(super) fn note(&self, attributes: &Attributes<'_>, item: &OwnedObjectPath, searched: Instant) {
        let own = |(name, value): (&&str, &&str)| ((*name).to_owned(), (*value).to_owned());
        self.forget(attributes);
        let mut all = self.0.borrow_mut();
        all.truncate(REMEMBERED - 1);
        let attributes = attributes.iter().map(own).collect();
        all.insert(0, Known { attributes, item: item.clone(), searched: Some(searched) });
    }

    /// Returns the probable path of the item with `attributes`.
    pub(super) fn probable(&self, attributes: &Attributes<'_>) -> Option<OwnedObjectPath> {
        self.0.borrow().iter().find(|known| known.has(attributes)).map(|known| known.item.clone())
    }

    /// Returns the path of the item with `attributes` from a recent search. Each search is used once.
    pub(super) fn fresh(&self, attributes: &Attributes<'_>) -> Option<OwnedObjectPath> {
        let mut all = self.0.borrow_mut();
        let known = all.iter_mut().find(|known| known.has(attributes))?;
        let searched = known.searched.take()?;
        (searched.elapsed() < FRESH).then(|| known.item.clone())
    }

    /// Forgets the path of the item with `attributes`.
    pub(super) fn forget(&self, attributes: &Attributes<'_>) {
        self.0.borrow_mut().retain(|known| !known.has(attributes));
    }
}

impl Known {
    fn has(&self, attributes: &Attributes<'_>) -> bool {
        self.attributes.len() == attributes.len()
            && self.attributes.iter().all(|(name, value)| attributes.get(&**name) == Some(&&**value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &'static str) -> OwnedObjectPath {
        OwnedObjectPath::try_from(text).unwrap()
    }

    #[test]
    fn a_search_is_valid_for_one_write_and_any_number_of_reads() {
        let ada = Attributes::from([("account", "ada")]);
        let whereabouts = Whereabouts::default();
        assert_eq!(whereabouts.fresh(&ada), None);
        whereabouts.note(&ada, &path("/1"), Instant::now());
        assert_eq!(whereabouts.fresh(&ada), Some(path("/1")));
        assert_eq!(whereabouts.fresh(&ada), None);
        assert_eq!(whereabouts.probable(&ada), Some(path("/1")));
        whereabouts.note(&ada, &path("/1"), Instant::now());
        assert_eq!(whereabouts.fresh(&ada), Some(path("/1")));
        whereabouts.forget(&ada);
        assert_eq!(whereabouts.probable(&ada), None);
    }

    #[test]
    fn an_old_search_is_not_valid_for_a_write() {
        let ada = Attributes::from([("account", "ada")]);
        let whereabouts = Whereabouts::default();
        let long_ago = Instant::now().checked_sub(FRESH).unwrap();
        whereabouts.note(&ada, &path("/1"), long_ago);
        assert_eq!(whereabouts.fresh(&ada), None);
        assert_eq!(whereabouts.probable(&ada), Some(path("/1")));
    }

    #[test]
    fn the_path_of_one_item_is_not_used_for_another() {
        let (ada, bob) = (Attributes::from([("account", "ada")]), Attributes::from([("account", "bob")]));
        let whereabouts = Whereabouts::default();
        whereabouts.note(&ada, &path("/1"), Instant::now());
        assert_eq!((whereabouts.probable(&bob), whereabouts.fresh(&bob)), (None, None));
        let more = Attributes::from([("account", "ada"), ("service", "s")]);
        assert_eq!(whereabouts.probable(&more), None);
        whereabouts.note(&bob, &path("/2"), Instant::now());
        assert_eq!(
            (whereabouts.probable(&ada), whereabouts.probable(&bob)),
            (Some(path("/1")), Some(path("/2")))
        );
        for number in 0..REMEMBERED {
            let account = number.to_string();
            whereabouts.note(&Attributes::from([("account", &*account)]), &path("/3"), Instant::now());
        }
        assert_eq!((whereabouts.probable(&ada), whereabouts.0.borrow().len()), (None, REMEMBERED));
    }
}
