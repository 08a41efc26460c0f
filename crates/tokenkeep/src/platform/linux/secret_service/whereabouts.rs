//! Where an item was found, so that the next operation on it asks the service once instead of twice.
//!
//! A read asks for the content of the item as it was known *together with* a search, and believes the answer only if
//! the search names that item and no other. The service answers in order: that the item was ours before and still is
//! afterwards says more of its content than a search that came first, and the service searches while large content is
//! still on its way. A write
//! cannot be taken back, so it relies on a search that is over, and only on one that was made a moment ago.

use std::time::{Duration, Instant};

use zbus::wire::OwnedObjectPath;

use super::service::Attributes;

/// How long a search speaks for a write that follows it. Between the two of a transaction, which holds our lock, is
/// what the program does; a program that takes longer has the item looked for again.
const FRESH: Duration = Duration::from_millis(500);

/// The item that was found last over one connection.
#[derive(Debug, Default)]
pub(super) struct Whereabouts(Option<Known>);

#[derive(Debug)]
struct Known {
    attributes: Vec<(String, String)>,
    item: OwnedObjectPath,
    /// When a search found it; `None` once a write has relied on that.
    searched: Option<Instant>,
}

impl Whereabouts {
    /// Notes that a search for `attributes`, begun at `searched`, found `item` and no other.
    pub(super) fn note(&mut self, attributes: &Attributes<'_>, item: &OwnedObjectPath, searched: Instant) {
        match self.known(attributes) {
            Some(known) if known.item == *item => known.searched = Some(searched),
            _ => {
                let own = |(name, value): (&&str, &&str)| ((*name).to_owned(), (*value).to_owned());
                let attributes = attributes.iter().map(own).collect();
                self.0 = Some(Known { attributes, item: item.clone(), searched: Some(searched) });
            }
        }
    }

    /// Where the item with `attributes` probably is.
    pub(super) fn probable(&mut self, attributes: &Attributes<'_>) -> Option<OwnedObjectPath> {
        self.known(attributes).map(|known| known.item.clone())
    }

    /// Where the item with `attributes` was a moment ago. A search counts once.
    pub(super) fn fresh(&mut self, attributes: &Attributes<'_>) -> Option<OwnedObjectPath> {
        let known = self.known(attributes)?;
        let searched = known.searched.take()?;
        (searched.elapsed() < FRESH).then(|| known.item.clone())
    }

    /// Whatever was known may be so no longer.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }

    fn known(&mut self, attributes: &Attributes<'_>) -> Option<&mut Known> {
        self.0.as_mut().filter(|known| {
            known.attributes.len() == attributes.len()
                && known.attributes.iter().all(|(name, value)| attributes.get(&**name) == Some(&&**value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &'static str) -> OwnedObjectPath {
        OwnedObjectPath::try_from(text).unwrap()
    }

    #[test]
    fn a_search_speaks_for_one_write_and_for_any_number_of_reads() {
        let ada = Attributes::from([("account", "ada")]);
        let mut whereabouts = Whereabouts::default();
        assert_eq!(whereabouts.fresh(&ada), None);
        whereabouts.note(&ada, &path("/1"), Instant::now());
        assert_eq!(whereabouts.fresh(&ada), Some(path("/1")));
        assert_eq!(whereabouts.fresh(&ada), None);
        assert_eq!(whereabouts.probable(&ada), Some(path("/1")));
        whereabouts.note(&ada, &path("/1"), Instant::now());
        assert_eq!(whereabouts.fresh(&ada), Some(path("/1")));
        whereabouts.forget();
        assert_eq!(whereabouts.probable(&ada), None);
    }

    #[test]
    fn an_old_search_speaks_for_no_write() {
        let ada = Attributes::from([("account", "ada")]);
        let mut whereabouts = Whereabouts::default();
        let long_ago = Instant::now().checked_sub(FRESH).unwrap();
        whereabouts.note(&ada, &path("/1"), long_ago);
        assert_eq!(whereabouts.fresh(&ada), None);
        assert_eq!(whereabouts.probable(&ada), Some(path("/1")));
    }

    #[test]
    fn another_item_is_not_where_this_one_was() {
        let (ada, bob) = (Attributes::from([("account", "ada")]), Attributes::from([("account", "bob")]));
        let mut whereabouts = Whereabouts::default();
        whereabouts.note(&ada, &path("/1"), Instant::now());
        assert_eq!((whereabouts.probable(&bob), whereabouts.fresh(&bob)), (None, None));
        let more = Attributes::from([("account", "ada"), ("service", "s")]);
        assert_eq!(whereabouts.probable(&more), None);
        whereabouts.note(&bob, &path("/2"), Instant::now());
        assert_eq!(whereabouts.probable(&ada), None);
    }
}
