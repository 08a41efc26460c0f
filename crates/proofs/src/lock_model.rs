//! The lock protocol between processes as a state machine: every system call is one step, any process may be killed
//! before any of its steps, and the checker explores every order of steps.
//!
//! [`files`] is the kernel: two names, inodes, flocks. [`ours`] is this library's program, [`sibling`] the programs
//! of other languages. [`explore`] runs the checker. [`liveness`] checks of every state that the surviving processes
//! get the lock.
//!
//! The model leaves out: time (a file counts as "unchanged for a while" only if no living process is using it, see
//! [`World::settles`]), the queue of threads in one process, limits and cancellation (giving up closes the files,
//! exactly like a kill), and remote file systems.

pub mod explore;
pub mod files;
pub mod liveness;
pub mod ours;
pub mod sibling;
mod story;

use stateright::{Model, Property};

use files::{Files, Ino, Record, Which};
use ours::Fault;
use sibling::Kind;

/// The largest number of processes.
pub const PROCESSES: usize = 5;

/// The processes of a model and its conditions.
#[derive(Clone, Debug)]
pub struct World {
    /// The number of processes that use this library.
    pub ours: u8,
    /// The processes that use other libraries.
    pub siblings: Vec<Kind>,
    /// Whether the original JavaScript library may unlink any lock file at any moment.
    pub stray_unlinks: bool,
    /// When a person removes the private lock file.
    pub human: Human,
    /// Whether the file system has hard links.
    pub hard_links: bool,
    /// Whether the file system has flock. Without flock, only the file's existence and its pid show who holds the
    /// lock.
    pub flock: bool,
    /// Whether processes are killed.
    pub kills: bool,
    /// Whether a sibling that unlocks before it unlinks makes no pause between the two that is longer than our pause
    /// at a take-over, and none between open and flock.
    pub brisk: bool,
    /// Whether a sibling may stop between two calls for so long that its lock file counts as abandoned.
    pub freezing: bool,
    /// A deliberate fault.
    pub fault: Option<Fault>,
}

/// When a person removes the private lock file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Human {
    /// Never.
    Away,
    /// When no process holds it.
    Tidy,
    /// At any moment.
    Rash,
}

impl World {
    /// A world of `ours` processes of this library and these siblings.
    pub fn of(ours: u8, siblings: &[Kind]) -> Self {
        Self {
            ours,
            siblings: siblings.to_vec(),
            stray_unlinks: false,
            human: Human::Away,
            hard_links: true,
            flock: true,
            kills: true,
            brisk: false,
            freezing: false,
            fault: None,
        }
    }

    /// The same world with stray unlinks by the original.
    #[must_use]
    pub fn with_stray_unlinks(mut self) -> Self {
        self.stray_unlinks = true;
        self
    }

    /// The same world with a person who removes the private lock file.
    #[must_use]
    pub fn with_human(mut self, human: Human) -> Self {
        self.human = human;
        self
    }

    /// The same world on a file system without hard links.
    #[must_use]
    pub fn without_hard_links(mut self) -> Self {
        self.hard_links = false;
        self
    }

    /// The same world on a file system without flock.
    #[must_use]
    pub fn without_flock(mut self) -> Self {
        self.flock = false;
        self
    }

    /// The same world without kills.
    #[must_use]
    pub fn without_kills(mut self) -> Self {
        self.kills = false;
        self
    }

    /// The same world with siblings that never pause between two adjacent calls.
    #[must_use]
    pub fn with_brisk_siblings(mut self) -> Self {
        self.brisk = true;
        self
    }

    /// The same world with siblings that may stop anywhere for longer than any wait lasts.
    #[must_use]
    pub fn with_freezing_siblings(mut self) -> Self {
        self.freezing = true;
        self
    }

    /// The same world with a deliberate fault.
    #[must_use]
    pub fn with_fault(mut self, fault: Fault) -> Self {
        self.fault = Some(fault);
        self
    }

    pub(crate) fn processes(&self) -> u8 {
        self.ours + u8::try_from(self.siblings.len()).unwrap_or(u8::MAX)
    }

    pub(crate) fn is_ours(&self, process: u8) -> bool {
        process < self.ours
    }

    pub(crate) fn kind(&self, process: u8) -> Kind {
        self.siblings[usize::from(process - self.ours)]
    }

    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// Returns whether a process may have seen the file unchanged for so long that it counts as abandoned. In reality
    /// this takes seconds; in the model it is possible whenever no living sibling process is between two calls on the
    /// file.
    pub fn settles(&self, state: &State, ino: Ino) -> bool {
        if self.freezing {
            return true;
        }
        !self.concerned(state, ino)
    }

    fn concerned(&self, state: &State, ino: Ino) -> bool {
        (0..self.processes()).any(|process| {
            let at = &state.processes[usize::from(process)];
            at.sibling == Some(ino) && (!self.is_ours(process) || ours::is_creating(at))
        })
    }
}

/// The whole state at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// The kernel's state.
    pub files: Files,
    /// The state of each process.
    pub processes: [Process; PROCESSES],
    /// The event of the last step that a property checks.
    pub event: Event,
}

/// The state of one process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Process {
    /// The next step, in the numbering of [`ours`] or [`sibling`].
    pub step: u8,
    /// Whether the lock file counted as abandoned when it was opened.
    pub settled: bool,
    /// The private lock file that the process has open.
    pub private: Option<Ino>,
    /// The sibling lock file that the process has open.
    pub sibling: Option<Ino>,
}

/// An event that a property checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// No such event.
    None,
    /// A process of ours unlinked a lock file that it did not hold, directly after it had seen its own file there.
    SlippedUnlink,
    /// A process of ours unlinked a lock file that it did not hold.
    ForeignUnlink,
    /// A process of ours gave up with an error other than a timeout.
    Failed,
}

/// The process that moves next, and its move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A process makes its next system call.
    Step(u8),
    /// A process of ours opens the sibling lock file after the file was unchanged for long.
    StepLater(u8),
    /// A process is killed; its program may be started again.
    Kill(u8),
    /// The original JavaScript library unlinks the lock file of any process.
    StrayUnlink,
    /// A person removes the private lock file.
    RemovePrivate,
}

/// The property that two processes of ours never hold the lock at once.
pub const OURS_EXCLUDE_OURS: &str = "never two of ours inside";
/// The property that a process of ours and a sibling never hold the lock at once.
pub const OURS_EXCLUDE_SIBLINGS: &str = "never one of ours and a sibling inside";
/// The property that ours unlink only files that they hold, except in the instant between the check and the unlink.
pub const NO_FOREIGN_UNLINK: &str = "ours unlink only what they saw to be theirs";
/// The property that ours unlink only files that they hold, also in that instant.
pub const NO_SLIPPED_UNLINK: &str = "ours unlink only what they hold";
/// The property that a wait ends with the lock or a timeout, never with another error.
pub const NO_FAILURE: &str = "ours never fail";
/// The property that each process of ours gets the lock by its own steps if all others are killed now.
pub const SURVIVOR_GETS_IN: &str = "each survivor gets in";
/// The property that each process of ours gets the lock if none is killed from now on and each one gets its turn.
pub const ALL_GET_IN: &str = "each of ours gets in";

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            files: Files::default(),
            processes: [Process::default(); PROCESSES],
            event: Event::None,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for process in 0..self.processes() {
            actions.push(Action::Step(process));
            if self.is_ours(process) && ours::may_judge(self, state, process) {
                actions.push(Action::StepLater(process));
            }
            if self.kills && state.processes[usize::from(process)] != Process::default() {
                actions.push(Action::Kill(process));
            }
        }
        if self.stray_unlinks && state.files.named(Which::Sibling).is_some() {
            actions.push(Action::StrayUnlink);
        }
        let removes = match self.human {
            Human::Away => false,
            Human::Tidy => {
                state.files.named(Which::Private).is_some_and(|ino| state.files.holder(ino).is_none())
            }
            Human::Rash => state.files.named(Which::Private).is_some(),
        };
        if removes {
            actions.push(Action::RemovePrivate);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = *last;
        state.event = Event::None;
        match action {
            Action::Step(process) | Action::StepLater(process) => {
                let later = matches!(action, Action::StepLater(_));
                let moved = if self.is_ours(process) {
                    ours::step(self, &mut state, process, later)
                } else {
                    sibling::step(self, &mut state, process)
                };
                if !moved {
                    return None;
                }
            }
            Action::Kill(process) => self.kill(&mut state, process),
            Action::StrayUnlink => state.files.unlink(Which::Sibling),
            Action::RemovePrivate => state.files.unlink(Which::Private),
        }
        self.tidy(&mut state);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(OURS_EXCLUDE_OURS, |world: &Self, state| world.ours_inside(state) <= 1),
            Property::always(OURS_EXCLUDE_SIBLINGS, |world: &Self, state| {
                world.ours_inside(state) == 0 || world.siblings_inside(state) == 0
            }),
            Property::always(NO_FOREIGN_UNLINK, |_: &Self, state: &State| {
                state.event != Event::ForeignUnlink
            }),
            Property::always(NO_SLIPPED_UNLINK, |_: &Self, state: &State| {
                state.event != Event::SlippedUnlink
            }),
            Property::always(NO_FAILURE, |_: &Self, state: &State| state.event != Event::Failed),
            Property::always(SURVIVOR_GETS_IN, liveness::survivor_gets_in),
            Property::always(ALL_GET_IN, liveness::all_get_in),
        ]
    }
}

impl World {
    pub(crate) fn kill(&self, state: &mut State, process: u8) {
        state.files.release_all(process);
        // With flock, the flock shows whether our process is dead; without it, the pid in the record does.
        state.files.bury(process, if self.is_ours(process) { Record::Ours } else { Record::Dead });
        state.processes[usize::from(process)] = Process::default();
    }

    fn ours_inside(&self, state: &State) -> usize {
        (0..self.ours).filter(|process| ours::is_inside(&state.processes[usize::from(*process)])).count()
    }

    fn siblings_inside(&self, state: &State) -> usize {
        (self.ours..self.processes())
            .filter(|process| sibling::is_inside(&state.processes[usize::from(*process)]))
            .count()
    }

    /// Drops state that no longer matters, and gives states that differ only in numbering the same form.
    pub(crate) fn tidy(&self, state: &mut State) {
        self.sort_alike(state);
        state.files.renumber(&mut state.processes);
    }

    /// Sorts processes that run the same program, which are interchangeable.
    fn sort_alike(&self, state: &mut State) {
        let mut from = 0;
        while from < self.processes() {
            let mut to = from + 1;
            while to < self.processes()
                && self.is_ours(from) == self.is_ours(to)
                && (self.is_ours(from) || self.kind(from) == self.kind(to))
            {
                to += 1;
            }
            // Insertion sort by adjacent exchanges, because an exchange also renames holders and writers of files.
            for end in (from + 1)..to {
                let mut at = end;
                while at > from && rank(state, at) < rank(state, at - 1) {
                    state.processes.swap(usize::from(at), usize::from(at - 1));
                    state.files.exchange(at, at - 1);
                    at -= 1;
                }
            }
            from = to;
        }
    }
}

fn rank(state: &State, process: u8) -> (u8, bool, Option<Ino>, Option<Ino>) {
    let at = &state.processes[usize::from(process)];
    (at.step, at.settled, at.private, at.sibling)
}
