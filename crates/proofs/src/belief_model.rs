//! When content is taken for unchanged, as a state machine: processes read and write one store whose times are coarser than
//! the clock, in every order of steps.
//!
//! The rules are those of `crates/tokenkeep/src/stamp/belief.rs`, and the rules that were wrong. The model leaves out the lock's own
//! protocol ([`crate::lock_model`]): here one process has it or none.

use std::collections::BTreeSet;

use stateright::{Checker, Model, Property};

/// The time at which the clock of the model stops.
const END: u8 = 5;
/// The number of contents that are ever stored.
const CONTENTS: u8 = 4;
/// The number of processes.
const PROCESSES: usize = 2;

/// The store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Store {
    /// A file whose times are whole multiples of this many ticks, which the process knows. A write by a rename takes the
    /// other one of two inodes.
    File(u8),
    /// A program's own store, whose version is a time. Its clock steps at any moment, but at least every so many ticks;
    /// the process does not know it.
    Custom(u8),
}

/// Conditions under which a reader believes an equal stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// Always.
    Always,
    /// When its time was older than the clock at the look.
    OlderThanTheClock,
    /// When its time was older than the clock by more than one step of the file system's times.
    OlderThanAStep,
    /// When it had been the same for this many ticks before the look.
    SameFor(u8),
}

/// A store and the rules of the processes.
#[derive(Clone, Copy, Debug)]
pub struct World {
    /// The store.
    pub store: Store,
    /// The rule without the lock.
    pub reader: Reader,
    /// Whether a writer reads the store after it has the lock; if not, it believes as a reader does.
    pub writer_reads: bool,
}

/// What a stamp shows: inode and time.
type Stamp = (bool, u8);

/// The whole state at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    now: u8,
    /// The time of a custom store's clock, and when it last stepped.
    own_clock: (u8, u8),
    content: u8,
    stamp: Stamp,
    holder: Option<u8>,
    processes: [Process; PROCESSES],
    /// Whether the last step overwrote a change, or answered with content that was older than its look.
    lost: bool,
    stale: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Process {
    /// The content of the last look, its stamp, and the time before that look.
    known: Option<(u8, Stamp, u8)>,
    /// When this stamp was first seen.
    since: u8,
    /// The content on which a write is based.
    base: u8,
}

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The clock moves.
    Tick,
    /// The clock of a custom store moves.
    OwnTick,
    /// A process reads without the lock.
    Read(u8),
    /// A process takes the lock and looks at the store.
    Begin(u8),
    /// It writes by a rename and releases the lock.
    Commit(u8),
    /// A sibling library writes in place, with the lock.
    SiblingWrites,
}

/// The property that no write overwrites a change that it did not see.
pub const NOTHING_OVERWRITTEN: &str = "no change is overwritten unseen";
/// The property that a read returns the content of the moment.
pub const NOTHING_STALE: &str = "a read returns the present content";

impl World {
    /// Returns the stamp of content that is written now.
    fn stamp(&self, state: &State, renamed: bool) -> Stamp {
        match self.store {
            Store::File(grain) => (state.stamp.0 ^ renamed, state.now / grain * grain),
            Store::Custom(_) => (false, state.own_clock.0),
        }
    }

    fn believes(&self, process: &Process, now: &Stamp) -> bool {
        let Some((_, seen, looked)) = process.known else { return false };
        let age = |age: u8| seen.1 + age <= looked;
        seen == *now
            && match (self.reader, self.store) {
                (Reader::Always, _) => true,
                (Reader::OlderThanTheClock, _) => age(1),
                (Reader::OlderThanAStep, Store::File(grain)) => age(grain),
                (Reader::OlderThanAStep, Store::Custom(_)) => false,
                (Reader::SameFor(ticks), _) => process.since + ticks <= looked,
            }
    }

    /// A process looks at the store; `reads` it in any case. Returns the content it goes on with.
    fn look(&self, state: &mut State, process: u8, reads: bool) -> u8 {
        let (now, content, stamp) = (state.now, state.content, state.stamp);
        let process = &mut state.processes[usize::from(process)];
        if let Some((known, ..)) = process.known
            && !reads
            && self.believes(process, &stamp)
        {
            return known;
        }
        if process.known.is_none_or(|(_, seen, _)| seen != stamp) {
            process.since = now;
        }
        process.known = Some((content, stamp, now));
        content
    }

    fn write(&self, state: &mut State, renamed: bool) {
        state.stamp = self.stamp(state, renamed);
        state.content += 1;
    }
}

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            now: 0,
            own_clock: (0, 0),
            content: 0,
            stamp: (false, 0),
            holder: None,
            processes: [Process::default(); PROCESSES],
            lost: false,
            stale: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let may_tick = match self.store {
            Store::Custom(longest) => state.now + 1 < state.own_clock.1 + longest,
            Store::File(_) => true,
        };
        if state.now < END {
            if may_tick {
                actions.push(Action::Tick);
            }
            if matches!(self.store, Store::Custom(_)) {
                actions.push(Action::OwnTick);
            }
        }
        if state.holder.is_none() && state.content < CONTENTS {
            actions.push(Action::SiblingWrites);
        }
        for process in (0_u8..).take(PROCESSES) {
            actions.push(Action::Read(process));
            match state.holder {
                None if state.content < CONTENTS => actions.push(Action::Begin(process)),
                Some(holder) if holder == process => actions.push(Action::Commit(process)),
                _ => {}
            }
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = State { lost: false, stale: false, ..*last };
        match action {
            Action::Tick => state.now += 1,
            // The model's clock moves with it, so that it ends.
            Action::OwnTick => {
                state.now += 1;
                state.own_clock = (state.own_clock.0 + 1, state.now);
            }
            Action::Read(process) => {
                let answer = self.look(&mut state, process, false);
                state.stale = answer != state.content;
            }
            Action::Begin(process) => {
                let base = self.look(&mut state, process, self.writer_reads);
                state.holder = Some(process);
                state.processes[usize::from(process)].base = base;
            }
            Action::Commit(process) => {
                state.lost = state.processes[usize::from(process)].base != state.content;
                self.write(&mut state, true);
                state.holder = None;
                state.processes[usize::from(process)].base = 0;
            }
            Action::SiblingWrites => self.write(&mut state, false),
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(NOTHING_OVERWRITTEN, |_: &Self, state: &State| !state.lost),
            Property::always(NOTHING_STALE, |_: &Self, state: &State| !state.stale),
        ]
    }
}

/// Explores every state of `world`; returns their number and the properties that do not hold.
pub fn explore(world: World) -> (usize, BTreeSet<&'static str>) {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let checker = world.checker().threads(threads).spawn_bfs().join();
    (checker.unique_state_count(), checker.discoveries().into_keys().collect())
}
