//! The same transactions on an item of the Secret Service, on the bus of the test.

use std::path::Path;

use tokenkeep::{
    TokenCache,
    storage::{KeystorePersistence, SecretServiceItem},
};

use crate::{Outcome, mark, serve};

/// The location of an item: its marker file, the address of its bus, and the directory of its locks.
pub(crate) struct Whereabouts<'a> {
    pub(crate) marker: &'a Path,
    pub(crate) bus: &'a str,
    pub(crate) locks: &'a str,
}

impl Whereabouts<'_> {
    fn open(&self) -> Outcome<TokenCache> {
        let item = SecretServiceItem::new("tokenkeep torture", "an account")?.on_bus(self.bus);
        let persistence = KeystorePersistence::new(self.marker, item)?.lock_directory(self.locks);
        Ok(TokenCache::new(persistence))
    }
}

/// One lock, write and release between two marks.
pub(crate) fn once(item: &Whereabouts<'_>, text: &str) -> Outcome<()> {
    let cache = item.open()?;
    mark("begin");
    let outcome = cache.begin_write().and_then(|access| access.commit(text));
    mark("end");
    println!("{}", serve::answer(&outcome.map(|_| String::new())));
    Ok(())
}

/// Obeys the commands of `serve` for content and the lock.
pub(crate) fn obey(item: &Whereabouts<'_>) -> Outcome<()> {
    let cache = item.open()?;
    serve::follow(|verb, rest, held| serve::obey(verb, rest, &cache, held))
}
