//! Moves a cache from one store to another without losing a sign-in, also if the process is killed at any moment.
//!
//! [`migrate`] moves the content of one cache into another: from a plaintext file into the keystore, from an
//! encrypted file into one under another key, and back. Automatic imports of a weaker store's content at the same
//! path take the same steps; see [`KeystorePersistence::take_in`](crate::storage::KeystorePersistence::take_in) and
//! [`FilePersistence::encrypt_plaintext`](crate::storage::FilePersistence::encrypt_plaintext).
//!
//! Under the locks of both caches: it writes the intention to the journal, reads both caches, merges their entries,
//! saves the result, reads it back over a new connection, records that, and only then empties the source and
//! overwrites its bytes. A second run finishes an interrupted move; entries that were merged already are not merged
//! again.
//!
//! This file owns the order of steps; `locks.rs` has the locks, `sidecar.rs` the journal.

mod locks;
mod sidecar;

use std::path::Path;

use crate::persistence::{OldCopy, StoreKind};
use crate::text;
use crate::{
    Error, ErrorKind, Info, LockGuard, Persistence, Result, Secret, TokenCache, options::WaitOptions, schema,
};
use locks::Locks;
use sidecar::{Sidecar, State};

/// What a migration did, or would do.
///
/// ```
/// use std::sync::Arc;
/// use tokenkeep::{TokenCache, moving, storage::FilePersistence};
/// # let folder = tempfile::tempdir()?;
/// # let open = |name: &str| FilePersistence::new(folder.path().join(name)).map(|file| TokenCache::new(file));
/// # let (old, new) = (open("old.json")?, open("new.json")?);
/// # old.update(|_| r#"{"Account":{"key":{"home_account_id":"uid.utid"}}}"#)?;
///
/// let migration = moving::migrate(&old, &new)?;
/// println!("{} entries went from {} to {}", migration.entries, migration.from.location, migration.to.location);
/// assert_eq!(new.read()?.is_some(), migration.entries == 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Migration {
    /// The source. Its `location` is that of the old copy.
    pub from: Info,
    /// The target, which now has all entries.
    pub to: Info,
    /// The number of moved entries: those that the target did not have, or had in an older version. Content that is
    /// not a token cache moves as a whole and counts as one.
    pub entries: usize,
    /// The number of entries that were not moved because the target had a newer version.
    pub outdated: usize,
    /// What became of the old copy; in a plan, what can be expected to become of it.
    pub old_copy: OldCopy,
    /// An earlier migration had been interrupted after everything had arrived; only the old copy was left to be removed.
    pub resumed: bool,
}

/// Moves everything that `from` holds into `to` and empties `from`, which holds `{}` afterwards. What `to` holds
/// already stays; of two versions of an entry the newer is kept.
///
/// Afterwards programs should be configured to use `to`. One that still uses `from` finds an empty cache, and what it
/// writes there is moved by the next migration.
///
/// ```no_run
/// use tokenkeep::{moving, storage::FilePersistence, Config, TokenCache};
///
/// # fn main() -> tokenkeep::Result<()> {
/// let old = TokenCache::new(FilePersistence::new("/home/me/.my-app/cache.json")?);
/// let new = Config::new("my-app").open()?;
/// println!("{} entries would move", moving::plan(&old, &new)?.entries);
/// println!("the old copy: {:?}", moving::migrate(&old, &new)?.old_copy);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// `InvalidInput` when both are the same store, or two names of one file, and when `to` is only memory; `Conflict` when
/// both hold something and it is no token cache, so that it cannot be merged; `Damaged` when one of them is
/// damaged; those of reading `from` and writing `to`; `NotVerified` when it did not read back from `to`; `Busy` when a
/// lock was not free in time. After every error everything is still in `from`.
pub fn migrate(from: &TokenCache, to: &TokenCache) -> Result<Migration> {
    migrate_waiting(from, to, from.locks().2)
}

/// As [`migrate`], with a time limit or a switch of its own for the locks.
///
/// # Errors
/// As [`migrate`].
///
/// ```
/// use std::sync::Arc;
/// use tokenkeep::{TokenCache, moving, options::WaitOptions, storage::FilePersistence};
/// # let folder = tempfile::tempdir()?;
/// # let open = |name: &str| FilePersistence::new(folder.path().join(name)).map(|file| TokenCache::new(file));
/// # let (old, new) = (open("old.json")?, open("new.json")?);
/// # old.update(|_| r#"{"Account":{"key":{"home_account_id":"uid.utid"}}}"#)?;
///
/// let wait = WaitOptions::within(std::time::Duration::from_secs(2));
/// let migration = moving::migrate_waiting(&old, &new, &wait)?;
/// assert_eq!((migration.entries, migration.resumed), (1, false));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn migrate_waiting(from: &TokenCache, to: &TokenCache, wait: &WaitOptions) -> Result<Migration> {
    let outcome = with_locks(from, to, wait, |ends, guards| {
        let carried = carry(ends.0, guards.0, ends.1, guards.1)?;
        let (from, to) = (ends.0.info(), ends.1.info());
        let Carried { entries, outdated, old_copy, resumed } = carried;
        Ok(Migration { from, to, entries, outdated, old_copy, resumed })
    });
    // After a failure too, because some steps may have been done.
    from.forget();
    to.forget();
    outcome
}

/// What [`migrate`] would do, without doing it. Both are read under their locks; nothing is written.
///
/// # Errors
/// Those of [`migrate`] that can be foreseen.
///
/// ```
/// use std::sync::Arc;
/// use tokenkeep::{TokenCache, moving, storage::FilePersistence};
/// # let folder = tempfile::tempdir()?;
/// # let open = |name: &str| FilePersistence::new(folder.path().join(name)).map(|file| TokenCache::new(file));
/// # let (old, new) = (open("old.json")?, open("new.json")?);
/// # old.update(|_| r#"{"Account":{"key":{"home_account_id":"uid.utid"}}}"#)?;
///
/// assert_eq!(moving::plan(&old, &new)?.entries, 1);
/// assert!(new.read()?.is_none(), "nothing was moved");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn plan(from: &TokenCache, to: &TokenCache) -> Result<Migration> {
    with_locks(from, to, from.locks().2, |ends, guards| {
        let plan = Plan::make(ends.0, guards.0, ends.1, guards.1)?;
        let file = matches!(ends.0.kind(), StoreKind::File | StoreKind::Memory);
        let old_copy = match plan.step {
            Step::Nothing => OldCopy::Nothing,
            _ if file => OldCopy::Overwritten,
            _ => OldCopy::Emptied,
        };
        let (from, to) = (ends.0.info(), ends.1.info());
        let resumed = matches!(plan.step, Step::Empty);
        Ok(Migration { from, to, entries: plan.entries, outdated: plan.outdated, old_copy, resumed })
    })
}

type Ends<'a> = (&'a dyn Persistence, &'a dyn Persistence);

fn with_locks<T>(
    from: &TokenCache,
    to: &TokenCache,
    wait: &WaitOptions,
    work: impl FnOnce(Ends<'_>, (&LockGuard, &LockGuard)) -> Result<T>,
) -> Result<T> {
    let ends: Ends<'_> = (&**from.persistence(), &**to.persistence());
    require_different(ends)?;
    let locks = Locks::acquire(from, to, wait)?;
    work(ends, (locks.from(), locks.to()))
}

/// Refuses to move a store into itself, because emptying the source would empty the target.
fn require_different((from, to): Ends<'_>) -> Result<()> {
    let refuse = |what: &str, persistence: &dyn Persistence| {
        Err(Error::new(ErrorKind::InvalidInput, what).at(persistence.path()))
    };
    if to.kind() == StoreKind::Memory {
        return refuse("A cache cannot be moved into memory, where it would end with this process", from);
    }
    let (one, other) = (from.info(), to.info());
    let same_place = one.backend == other.backend && one.location == other.location;
    // Files under two keys are two stores, one after the other; one under the same key is re-encrypted, to no harm.
    if same_place && !are_files(from, to) || std::ptr::addr_eq(from, to) {
        return refuse("Both are the same store", from);
    }
    Ok(())
}

/// Returns the store to which the content of the file at `path` was moved last, for messages; `None` if it was not
/// moved.
pub(crate) fn destination(path: &Path) -> Option<String> {
    Sidecar::destination(path)
}

/// The result of [`carry`].
pub(crate) struct Carried {
    pub(crate) entries: usize,
    pub(crate) outdated: usize,
    pub(crate) old_copy: OldCopy,
    pub(crate) resumed: bool,
}

/// Moves the content of `from` into `to`, under the locks of both, which may be one.
///
/// # Errors
/// Like [`migrate`].
pub(crate) fn carry(
    from: &dyn Persistence,
    from_guard: &LockGuard,
    to: &dyn Persistence,
    to_guard: &LockGuard,
) -> Result<Carried> {
    let plan = Plan::make(from, from_guard, to, to_guard)?;
    let Plan { sidecar, source, entries, outdated, .. } = plan;
    let done = |old_copy, resumed| Ok(Carried { entries, outdated, old_copy, resumed });
    let union = match plan.step {
        Step::Nothing => {
            // The process was killed after it emptied the source.
            sidecar.conclude()?;
            let mut finished = to.wipe_leftover(to_guard)?;
            if !one_file(from, from_guard, to, to_guard) {
                finished |= from.wipe_leftover(from_guard)?;
            }
            return done(if finished { OldCopy::Overwritten } else { OldCopy::Nothing }, finished);
        }
        Step::Empty => None,
        Step::Carry(union) => Some(union),
    };
    let resumed = union.is_none();
    if let Some(union) = union {
        if one_file(from, from_guard, to, to_guard) {
            // The new file takes the name of the old: there is no moment between the two to be noted.
            return done(to.import(to_guard, union.expose())?, false);
        }
        sidecar.note(State::Intended, &source)?;
        to.import(to_guard, union.expose())?;
        if to.load_own(to_guard)?.as_ref() != Some(&union) {
            let what = "The moved content did not read back from the new store as it was written";
            return Err(Error::new(ErrorKind::NotVerified, what).at(to.path()));
        }
        sidecar.note(State::Arrived, &source)?;
    }
    let retired = from.empty(from_guard)?;
    sidecar.note(State::Moved, &source)?;
    done(retired, resumed)
}

/// The remaining steps of a move.
struct Plan {
    step: Step,
    sidecar: Sidecar,
    source: Secret,
    entries: usize,
    outdated: usize,
}

enum Step {
    /// The source is empty.
    Nothing,
    /// The target has all entries; the source must be emptied.
    Empty,
    /// This content must be stored in the target.
    Carry(Secret),
}

impl Plan {
    fn make(
        from: &dyn Persistence,
        from_guard: &LockGuard,
        to: &dyn Persistence,
        to_guard: &LockGuard,
    ) -> Result<Self> {
        let sidecar = Sidecar::of(from, from_guard, to);
        let one_file = one_file(from, from_guard, to, to_guard);
        let vacant = |content: &Secret| schema::is_vacant(content.expose());
        let source = match from.load_own(from_guard) {
            // It is in the new form already.
            Err(error) if one_file && error.is_foreign() && to.load_own(to_guard).is_ok() => None,
            source => source?.filter(|content| !vacant(content)),
        };
        let nothing = Secret::new(Vec::new());
        let plan = Self { step: Step::Nothing, sidecar, source: nothing, entries: 0, outdated: 0 };
        let Some(source) = source else { return Ok(plan) };
        if !schema::is_whole(source.expose()) {
            let what = "What is to be moved is damaged: it is only a part of a token cache";
            let remedy = match from.kind() {
                StoreKind::File => {
                    format!("Move it away and sign in again: {}", text::move_away(from.path(), ".damaged"))
                }
                _ => "Sign in again: the next write sets the damaged content aside as a copy".to_owned(),
            };
            return Err(Error::new(ErrorKind::Damaged, what).at(from.path()).remedy(remedy));
        }
        let stored = match one_file {
            true => None,
            false => to.load_own(to_guard)?.filter(|content| !vacant(content)),
        };
        // The journal alone is no reason to wipe the source: the target may have been lost since.
        if plan.sidecar.has_arrived(&source)?
            && stored.as_ref().is_some_and(|stored| continues(stored, &source))
        {
            return Ok(plan.with(Step::Empty, source, 0, 0));
        }
        let Some(stored) = stored else {
            let entries = match schema::is_msal_cache(source.expose()) {
                true => schema::unite(source.expose(), b"{}")?.taken,
                false => 1,
            };
            return Ok(plan.with(Step::Carry(source.clone()), source, entries, 0));
        };
        if stored == source {
            return Ok(plan.with(Step::Carry(stored), source, 0, 0));
        }
        if !(schema::is_msal_cache(source.expose()) && schema::is_msal_cache(stored.expose())) {
            let what = "Both stores hold content, and as it is no token cache it cannot be brought together";
            return Err(Error::new(ErrorKind::Conflict, what)
                .at(from.path())
                .remedy("Remove what is not wanted any more from one of them; nothing was changed"));
        }
        let union = schema::unite(source.expose(), stored.expose())?;
        Ok(plan.with(Step::Carry(union.content), source, union.taken, union.outdated))
    }

    fn with(self, step: Step, source: Secret, entries: usize, outdated: usize) -> Self {
        Self { step, sidecar: self.sidecar, source, entries, outdated }
    }
}

/// Returns whether `stored` is what became of a move of `source`: it still has one of its entries, or is equal. A target that
/// was emptied or replaced has none; then the source is the last copy, and moves once more.
fn continues(stored: &Secret, source: &Secret) -> bool {
    stored == source || schema::shares_an_entry(stored.expose(), source.expose())
}

fn are_files(from: &dyn Persistence, to: &dyn Persistence) -> bool {
    from.kind() == StoreKind::File && to.kind() == StoreKind::File
}

/// Whether both keep their content in one and the same file.
fn one_file(
    from: &dyn Persistence,
    from_guard: &LockGuard,
    to: &dyn Persistence,
    to_guard: &LockGuard,
) -> bool {
    are_files(from, to) && from_guard.target() == to_guard.target()
}
