//! A client's change, and what becomes of it under the lock.

use tokenkeep::schema::Change;
use tokenkeep::{Secret, Snapshot, WriteAccess};

use crate::failure::Failure;

/// A client's change on its way into the store.
pub(crate) struct Proposal {
    pub(crate) held: Option<Secret>,
    pub(crate) base: Base,
    pub(crate) ours: Secret,
    pub(crate) disturbed: bool,
}

/// What a client made its change of.
pub(crate) enum Base {
    Text(Secret),
    /// Byte for byte what was held.
    Held,
    Unknown,
}

impl Proposal {
    /// Puts it into the store, merged with what others did meanwhile.
    pub(crate) fn commit(&self, access: WriteAccess) -> Result<Snapshot, Failure> {
        if matches!(self.base, Base::Held) && !self.disturbed && access.content().is_some() {
            // The client saw all of what is stored and nothing came in between: there is nothing to merge with.
            return Ok(access.commit(self.ours.clone())?);
        }
        let stored = access.snapshot().content.clone();
        let held = self.held.as_ref().or(stored.as_ref()).map(Secret::expose);
        let base = match &self.base {
            Base::Text(base) => Some(base.expose()),
            Base::Held => held,
            Base::Unknown => None,
        };
        let change = Change { held, base, ours: self.ours.expose(), disturbed: self.disturbed };
        Ok(access.commit_change(&change)?)
    }
}
