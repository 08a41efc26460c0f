//! The program of this library, in the order of `crates/tokenkeep/src/lock.rs` and `platform/unix/lock_file.rs`, one
//! system call a step.

use super::files::{Record, Which};
use super::{Event, Process, State, World, sibling};

/// The deliberate faults that show that the checker finds errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Does not check after the flock of the private file that the file still has its name.
    SkipPrivateRecheck,
    /// Does not check after taking over a lock file that the file still has its name.
    SkipTakeOverRecheck,
    /// Does not check after the link which file was linked.
    SkipLinkRecheck,
    /// Unlinks a dead process's lock file, with its flock, instead of taking it over.
    UnlinkToSteal,
    /// Unlinks a dead process's lock file without its flock.
    UnlinkToStealUnlocked,
    /// Creates the lock file exclusively and then flocks it, without the private lock.
    NoPrivateLock,
    /// Unlinks the lock file at the release without a check.
    UnlinkUnseen,
    /// Releases the private lock before it unlinks the lock file.
    UnlockBeforeUnlink,
    /// Takes a free flock as proof that a sibling is dead.
    TrustFreeFlock,
    /// Uses, without hard links, a lock file that another process flocked first.
    UseUnlocked,
    /// Fails if a link is gone directly after it was made.
    FailOnLostLink,
    /// Makes no pause before the second check of a lock that was taken over.
    NoPause,
}

/// Steps, each named by its next action.
mod at {
    pub(super) const OUTSIDE: u8 = 0;
    pub(super) const CREATE_PRIVATE: u8 = 1;
    pub(super) const FLOCK_PRIVATE: u8 = 2;
    pub(super) const RECHECK_PRIVATE: u8 = 3;
    pub(super) const WRITE_PRIVATE: u8 = 4;
    pub(super) const LINK: u8 = 5;
    pub(super) const RECHECK_LINK: u8 = 6;
    pub(super) const OPEN_SIBLING: u8 = 7;
    pub(super) const FLOCK_SIBLING: u8 = 8;
    pub(super) const JUDGE: u8 = 9;
    pub(super) const TAKE_OVER: u8 = 10;
    pub(super) const PAUSE: u8 = 11;
    pub(super) const RECHECK_TAKEN: u8 = 12;
    /// Without hard links: the new file is written, flocked and checked.
    pub(super) const WRITE_CREATED: u8 = 13;
    pub(super) const FLOCK_CREATED: u8 = 14;
    pub(super) const RECHECK_CREATED: u8 = 15;
    pub(super) const STEAL: u8 = 16;
    pub(super) const INSIDE: u8 = 17;
    pub(super) const LOOK: u8 = 18;
    pub(super) const UNLINK: u8 = 19;
    pub(super) const UNLOCK_SIBLING: u8 = 20;
    pub(super) const UNLOCK_PRIVATE: u8 = 21;
    /// Without flock: the lock file of a dead process is moved aside.
    pub(super) const MOVE_ASIDE: u8 = 22;
    pub(super) const CHECK_ASIDE: u8 = 23;
    pub(super) const LINK_BACK: u8 = 24;
    pub(super) const REMOVE_ASIDE: u8 = 25;
}

/// Only with a fault.
pub const STEALS: &str = "unlinks a lock file in order to steal it";

const NAMES: [&str; 26] = [
    "opens the private lock file",
    "creates the private lock file",
    "flocks the private lock file",
    "looks whether the private lock file still has its name",
    "writes its record",
    "links the private lock file to the lock file",
    "looks whether the link is there",
    "opens the lock file it found",
    "flocks the lock file",
    "reads and judges the lock file",
    "writes its record into the lock file it takes over",
    "pauses",
    "looks whether the lock file still has its name, and is inside",
    "writes its record into the lock file it created",
    "flocks the lock file it created",
    "looks whether the lock file it created still has its name, and is inside",
    STEALS,
    "is done and begins to leave",
    "looks whether the lock file is its own",
    "unlinks the lock file",
    "unlocks the lock file",
    "unlocks the private lock file and closes",
    "moves the lock file that stands there aside",
    "looks whether what it moved is what it judged",
    "links what it moved back",
    "removes what it moved",
];

/// Returns every possible next action of our process, in words.
pub fn every_step() -> impl Iterator<Item = &'static str> {
    NAMES.into_iter()
}

/// Returns the next action of `process`, in words.
pub fn name(process: &Process) -> &'static str {
    NAMES[usize::from(process.step)]
}

/// Returns whether `process` may write the cache.
pub fn is_inside(process: &Process) -> bool {
    process.step == at::INSIDE
}

/// Returns whether `process` has created a lock file that has no content yet.
pub(super) fn is_creating(process: &Process) -> bool {
    process.step == at::WRITE_CREATED
}

/// Returns whether the next step opens a lock file that may count as abandoned.
pub fn may_judge(world: &World, state: &State, process: u8) -> bool {
    let opens = state.processes[usize::from(process)].step == at::OPEN_SIBLING;
    opens && state.files.named(Which::Sibling).is_some_and(|ino| world.settles(state, ino))
}

/// Makes the next system call of `process`; returns `false` if it blocks.
pub fn step(world: &World, state: &mut State, process: u8, later: bool) -> bool {
    let mut me = state.processes[usize::from(process)];
    let before = me;
    let moved = advance(world, state, process, later, &mut me);
    debug_assert!(moved || me == before, "a step that blocks changes nothing");
    state.processes[usize::from(process)] = me;
    moved
}

fn advance(world: &World, state: &mut State, process: u8, later: bool, me: &mut Process) -> bool {
    let files = &mut state.files;
    let private = me.private.unwrap_or_default();
    let sibling = me.sibling.unwrap_or_default();
    match me.step {
        at::OUTSIDE if world.has(Fault::NoPrivateLock) => me.step = at::LINK,
        at::OUTSIDE => match files.named(Which::Private) {
            Some(ino) => {
                me.private = Some(ino);
                me.step = at::FLOCK_PRIVATE;
            }
            None => me.step = at::CREATE_PRIVATE,
        },
        at::CREATE_PRIVATE => match files.named(Which::Private) {
            Some(_) => me.step = at::OUTSIDE,
            None => {
                me.private = Some(files.create(Which::Private));
                me.step = at::FLOCK_PRIVATE;
            }
        },
        at::FLOCK_PRIVATE if !world.flock => me.step = at::RECHECK_PRIVATE,
        at::FLOCK_PRIVATE => {
            if !files.flock(private, process, false) {
                return false;
            }
            me.step = at::RECHECK_PRIVATE;
        }
        at::RECHECK_PRIVATE => {
            if files.named(Which::Private) == me.private || world.has(Fault::SkipPrivateRecheck) {
                me.step = at::WRITE_PRIVATE;
            } else {
                leave(state, process, me);
            }
        }
        at::WRITE_PRIVATE => {
            files.write(private, Record::Ours);
            if !world.flock {
                // Close the private file: its place is needed for the file that is moved aside.
                me.private = None;
            }
            me.step = at::LINK;
        }
        at::LINK if files.named(Which::Sibling).is_some() => me.step = at::OPEN_SIBLING,
        at::LINK if world.has(Fault::NoPrivateLock) => {
            me.sibling = Some(files.create(Which::Sibling));
            me.step = at::FLOCK_CREATED;
        }
        at::LINK if !world.hard_links || !world.flock => {
            me.sibling = Some(files.create(Which::Sibling));
            me.step = if world.has(Fault::UseUnlocked) { at::FLOCK_CREATED } else { at::WRITE_CREATED };
        }
        at::LINK => match files.named(Which::Private) {
            Some(ino) => {
                files.link(Which::Sibling, ino);
                me.step = if world.has(Fault::SkipLinkRecheck) { at::INSIDE } else { at::RECHECK_LINK };
            }
            None => {
                leave(state, process, me);
                if world.has(Fault::FailOnLostLink) {
                    state.event = Event::Failed;
                }
            }
        },
        at::RECHECK_LINK => {
            if files.named(Which::Sibling) == me.private {
                me.step = at::INSIDE;
            } else {
                leave(state, process, me);
                if world.has(Fault::FailOnLostLink) {
                    state.event = Event::Failed;
                }
            }
        }
        at::OPEN_SIBLING => match files.named(Which::Sibling) {
            None => me.step = at::LINK,
            Some(ino) if Some(ino) == me.private => me.step = at::PAUSE,
            Some(ino) => {
                me.sibling = Some(ino);
                me.settled = later;
                let unlocked = !world.flock || world.has(Fault::UnlinkToStealUnlocked);
                me.step = if unlocked { at::JUDGE } else { at::FLOCK_SIBLING };
            }
        },
        at::FLOCK_SIBLING => {
            if files.flock(sibling, process, true) {
                me.step = at::JUDGE;
            } else {
                look_again(state, process, me);
            }
        }
        at::JUDGE => {
            let stale = match files.record(sibling) {
                // Under the private lock, no other living process of ours can be inside. Without a private lock, the
                // flock shows it.
                Record::Ours => true,
                Record::Living(_) => world.has(Fault::TrustFreeFlock),
                Record::Empty | Record::Dead => me.settled,
            };
            if !stale {
                look_again(state, process, me);
            } else if !world.flock {
                me.step = at::MOVE_ASIDE;
            } else if world.has(Fault::UnlinkToSteal) || world.has(Fault::UnlinkToStealUnlocked) {
                me.step = at::STEAL;
            } else {
                me.step = at::TAKE_OVER;
            }
        }
        at::STEAL => {
            let held = files.named(Which::Sibling) == me.sibling && files.holder(sibling) == Some(process);
            let gone = files.named(Which::Sibling).is_none();
            files.unlink(Which::Sibling);
            look_again(state, process, me);
            if !held && !gone {
                state.event = Event::ForeignUnlink;
            }
        }
        at::MOVE_ASIDE => match files.named(Which::Sibling) {
            Some(ino) => {
                me.private = Some(ino);
                files.unlink(Which::Sibling);
                me.step = at::CHECK_ASIDE;
            }
            None => look_again(state, process, me),
        },
        at::CHECK_ASIDE => {
            me.step = if me.private == me.sibling { at::REMOVE_ASIDE } else { at::LINK_BACK };
        }
        at::LINK_BACK => {
            if files.named(Which::Sibling).is_none() {
                files.link(Which::Sibling, private);
            }
            me.step = at::REMOVE_ASIDE;
        }
        at::REMOVE_ASIDE => {
            me.private = None;
            look_again(state, process, me);
        }
        at::TAKE_OVER => {
            files.write(sibling, Record::Ours);
            me.step = at::PAUSE;
        }
        at::PAUSE if world.has(Fault::NoPause) => me.step = at::RECHECK_TAKEN,
        at::PAUSE => {
            if world.brisk && sibling::is_any_leaving(world, state) {
                return false;
            }
            me.step = at::RECHECK_TAKEN;
        }
        at::RECHECK_TAKEN | at::RECHECK_CREATED => {
            let held = me.sibling.or(me.private);
            if files.named(Which::Sibling) == held || world.has(Fault::SkipTakeOverRecheck) {
                me.settled = false;
                me.step = at::INSIDE;
            } else {
                look_again(state, process, me);
            }
        }
        at::WRITE_CREATED if !world.flock => {
            files.write(sibling, Record::Living(process));
            me.step = at::RECHECK_CREATED;
        }
        at::WRITE_CREATED => {
            files.write(sibling, Record::Ours);
            me.step = at::FLOCK_CREATED;
        }
        at::FLOCK_CREATED => {
            let flocked = files.flock(sibling, process, true);
            if world.has(Fault::NoPrivateLock) || world.has(Fault::UseUnlocked) {
                files.write(sibling, Record::Ours);
            }
            if flocked || world.has(Fault::UseUnlocked) {
                me.step = at::RECHECK_CREATED;
            } else {
                look_again(state, process, me);
            }
        }
        at::INSIDE => {
            me.step = if world.has(Fault::UnlinkUnseen) { at::UNLINK } else { at::LOOK };
        }
        at::LOOK => {
            let own = files.named(Which::Sibling) == me.sibling.or(me.private);
            if world.has(Fault::UnlockBeforeUnlink) {
                files.unlock(private, process, false);
            }
            me.step = if own { at::UNLINK } else { at::UNLOCK_SIBLING };
        }
        at::UNLINK => {
            let named = files.named(Which::Sibling);
            let held = me.sibling.or(me.private);
            let flocked = !world.flock || held.is_some_and(|ino| files.holder(ino) == Some(process));
            if named.is_some() && (named != held || !flocked) {
                let seen = !world.has(Fault::UnlinkUnseen) && flocked;
                state.event = if seen { Event::SlippedUnlink } else { Event::ForeignUnlink };
            }
            files.unlink(Which::Sibling);
            me.step = at::UNLOCK_SIBLING;
        }
        at::UNLOCK_SIBLING => {
            if me.sibling.is_some() {
                files.unlock(sibling, process, true);
            }
            me.sibling = None;
            me.step = at::UNLOCK_PRIVATE;
        }
        at::UNLOCK_PRIVATE => leave(state, process, me),
        _ => unreachable!("no such step"),
    }
    true
}

/// Closes the lock file found and starts the check again.
fn look_again(state: &mut State, process: u8, me: &mut Process) {
    if let Some(ino) = me.sibling.take() {
        state.files.unlock(ino, process, true);
    }
    me.settled = false;
    me.step = at::LINK;
}

/// Closes everything.
fn leave(state: &mut State, process: u8, me: &mut Process) {
    state.files.release_all(process);
    *me = Process::default();
}
