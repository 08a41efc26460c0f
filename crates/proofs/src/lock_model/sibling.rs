//! The programs of the sibling libraries: the behaviour of their released versions on Linux.

use super::files::{Record, Which};
use super::{Process, State, World};

/// How a sibling library locks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// JavaScript, and Python without portalocker: the existence of the file is the lock. Creates the file
    /// exclusively, writes its pid, and unlinks any file with that name at the release.
    Existence,
    /// .NET: opens or creates, flocks, checks the inode, writes its pid; unlinks, then unlocks.
    Dotnet,
    /// Go: opens or creates read-only, flocks, does not check the inode and cannot write; unlocks, then unlinks.
    Go,
    /// Python with portalocker, after it has waited long enough for the file to disappear: like Go, and writes.
    Portalocker,
}

impl Kind {
    fn unlinks_late(self) -> bool {
        matches!(self, Self::Go | Self::Portalocker)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Existence => "JavaScript",
            Self::Dotnet => ".NET",
            Self::Go => "Go",
            Self::Portalocker => "portalocker",
        }
    }
}

mod at {
    pub(super) const OUTSIDE: u8 = 0;
    pub(super) const FLOCK: u8 = 1;
    pub(super) const RECHECK: u8 = 2;
    pub(super) const WRITE: u8 = 3;
    pub(super) const INSIDE: u8 = 4;
    /// The release, in the order of the kind.
    pub(super) const UNLINK: u8 = 5;
    pub(super) const UNLOCK: u8 = 6;
}

const NAMES: [&str; 7] = [
    "opens the lock file",
    "flocks the lock file",
    "looks whether the lock file still has its name",
    "writes its pid, and is inside",
    "is done and begins to leave",
    "unlinks the lock file",
    "unlocks the lock file",
];

/// Returns the next action of `process`, in words.
pub fn name(kind: Kind, process: &Process) -> String {
    let what = match (kind, process.step) {
        (Kind::Existence, at::OUTSIDE) => "creates the lock file exclusively",
        (Kind::Go, at::WRITE) => "cannot write its pid, and is inside",
        (_, step) => NAMES[usize::from(step)],
    };
    format!("{} {what}", kind.name())
}

/// Returns whether `process` may write the cache.
pub fn is_inside(process: &Process) -> bool {
    process.step == at::INSIDE
}

/// Returns whether a process has unlocked its lock file and will unlink it.
pub fn is_any_leaving(world: &World, state: &State) -> bool {
    (world.ours..world.processes()).any(|process| {
        world.kind(process).unlinks_late() && state.processes[usize::from(process)].step == at::UNLINK
    })
}

/// Makes the next system call of `process`; returns `false` if it must wait.
pub fn step(world: &World, state: &mut State, process: u8) -> bool {
    let mut me = state.processes[usize::from(process)];
    let moved = advance(world, state, process, &mut me);
    state.processes[usize::from(process)] = me;
    moved
}

fn advance(world: &World, state: &mut State, process: u8, me: &mut Process) -> bool {
    let kind = world.kind(process);
    let files = &mut state.files;
    let file = me.sibling.unwrap_or_default();
    match me.step {
        at::OUTSIDE if kind == Kind::Existence => {
            if files.named(Which::Sibling).is_some() {
                return false;
            }
            me.sibling = Some(files.create(Which::Sibling));
            me.step = at::WRITE;
        }
        at::OUTSIDE => {
            let ino = files.open_or_create(Which::Sibling);
            me.sibling = Some(ino);
            me.step = at::FLOCK;
            if world.brisk && kind.unlinks_late() {
                flock(state, process, me, kind);
            }
        }
        at::FLOCK => flock(state, process, me, kind),
        at::RECHECK => {
            if files.named(Which::Sibling) == me.sibling {
                me.step = at::WRITE;
            } else {
                leave(state, process, me);
            }
        }
        at::WRITE => {
            if kind != Kind::Go {
                files.write(file, Record::Living(process));
            }
            me.step = at::INSIDE;
        }
        at::INSIDE => me.step = if kind.unlinks_late() { at::UNLOCK } else { at::UNLINK },
        at::UNLINK => {
            files.unlink(Which::Sibling);
            if kind == Kind::Dotnet {
                me.step = at::UNLOCK;
            } else {
                leave(state, process, me);
            }
        }
        at::UNLOCK => {
            files.unlock(file, process, true);
            if kind.unlinks_late() {
                me.step = at::UNLINK;
            } else {
                leave(state, process, me);
            }
        }
        _ => unreachable!("no such step"),
    }
    true
}

fn flock(state: &mut State, process: u8, me: &mut Process, kind: Kind) {
    if !state.files.flock(me.sibling.unwrap_or_default(), process, true) {
        leave(state, process, me);
    } else {
        me.step = if kind == Kind::Dotnet { at::RECHECK } else { at::WRITE };
    }
}

/// Closes everything.
fn leave(state: &mut State, process: u8, me: &mut Process) {
    state.files.release_all(process);
    *me = Process::default();
}
