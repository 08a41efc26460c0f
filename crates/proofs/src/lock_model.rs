//! The lock protocol between processes as a state machine: every system call is one step, any process may be killed
//! between any two of its steps, and every interleaving is explored.
//!
//! [`files`] is the kernel: two names, inodes, flocks. [`ours`] is this library's program, [`sibling`] those of the
//! other languages. [`explore`] runs the checker, and [`liveness`] asks of every state whether the living get in.
//!
//! What is left out: time (a file stands "unchanged for a while" only when nobody living is concerned with it, see
//! [`World::settles`]), the queue of threads inside one process, limits and cancellation (giving up closes the files,
//! exactly as being killed does), and remote file systems.

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

/// Room for this many processes.
pub const PROCESSES: usize = 5;

/// Who takes part, and under which circumstances.
#[derive(Clone, Debug)]
pub struct World {
    /// How many processes use this library.
    pub ours: u8,
    /// The processes that use other libraries.
    pub siblings: Vec<Kind>,
    /// Whether the original JavaScript library is about, which now and then unlinks whatever lock file is there.
    pub stray_unlinks: bool,
    /// Whether somebody removes the private lock file by hand, at any moment.
    pub human: Human,
    /// Whether the file system has hard links.
    pub hard_links: bool,
    /// Whether the file system has flock. Without, only existence and pids tell who is inside.
    pub flock: bool,
    /// Whether processes are killed.
    pub kills: bool,
    /// Whether siblings that unlock before they unlink do both without a pause that is longer than ours at a take-over,
    /// and flock what they have opened without a pause.
    pub brisk: bool,
    /// Whether a sibling may stop for so long between two calls that its lock file is given up.
    pub freezing: bool,
    /// What is deliberately wrong.
    pub fault: Option<Fault>,
}

/// When a person removes the private lock file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Human {
    /// Never.
    Away,
    /// When nobody holds it.
    Tidy,
    /// At any moment.
    Rash,
}

impl World {
    /// `ours` processes of this library and these siblings, nothing else.
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

    /// The same with the original's stray unlinks.
    #[must_use]
    pub fn with_stray_unlinks(mut self) -> Self {
        self.stray_unlinks = true;
        self
    }

    /// The same with a person who removes the private lock file.
    #[must_use]
    pub fn with_human(mut self, human: Human) -> Self {
        self.human = human;
        self
    }

    /// The same on a file system without hard links.
    #[must_use]
    pub fn without_hard_links(mut self) -> Self {
        self.hard_links = false;
        self
    }

    /// The same on a file system without flock.
    #[must_use]
    pub fn without_flock(mut self) -> Self {
        self.flock = false;
        self
    }

    /// The same with processes that all come to their own end.
    #[must_use]
    pub fn without_kills(mut self) -> Self {
        self.kills = false;
        self
    }

    /// The same with siblings that are never interrupted between two adjacent calls.
    #[must_use]
    pub fn with_brisk_siblings(mut self) -> Self {
        self.brisk = true;
        self
    }

    /// The same with siblings that may stop anywhere for longer than any patience lasts.
    #[must_use]
    pub fn with_freezing_siblings(mut self) -> Self {
        self.freezing = true;
        self
    }

    /// The same with something deliberately wrong.
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

    /// Whether the file may have been seen unchanged for long enough to be given up. In reality that is a matter of
    /// seconds; here it is possible whenever no living process of a sibling is in the middle of something with it.
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

/// Everything there is at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct State {
    /// What the kernel knows.
    pub files: Files,
    /// Where each process is.
    pub processes: [Process; PROCESSES],
    /// What happened in the last step, where that is worth knowing.
    pub event: Event,
}

/// One process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Process {
    /// The next thing to do, in the numbering of [`ours`] or [`sibling`].
    pub step: u8,
    /// Whether the lock file was judged to have stood long enough when it was opened.
    pub settled: bool,
    /// The private lock file it has open.
    pub private: Option<Ino>,
    /// The sibling lock file it has open.
    pub sibling: Option<Ino>,
}

/// What a step did that a property asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// Nothing special.
    None,
    /// One of ours unlinked a lock file that it did not hold, right after it had seen its own there.
    SlippedUnlink,
    /// One of ours unlinked a lock file that it did not hold.
    ForeignUnlink,
    /// One of ours gave up with an error that is not a time-out.
    Failed,
}

/// Who moves next, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A process does its next system call.
    Step(u8),
    /// A process of ours opens the sibling lock file, after it has stood unchanged for long.
    StepLater(u8),
    /// A process is killed; the same program may be started again.
    Kill(u8),
    /// The original JavaScript library unlinks the lock file, whoever's it is.
    StrayUnlink,
    /// A person removes the private lock file.
    RemovePrivate,
}

/// The property that two processes of ours are never inside at once.
pub const OURS_EXCLUDE_OURS: &str = "never two of ours inside";
/// The property that one of ours and a sibling are never inside at once.
pub const OURS_EXCLUDE_SIBLINGS: &str = "never one of ours and a sibling inside";
/// The property that ours unlink only what they hold, but for the instant between the look and the unlink.
pub const NO_FOREIGN_UNLINK: &str = "ours unlink only what they saw to be theirs";
/// The property that not even in that instant anything foreign is unlinked.
pub const NO_SLIPPED_UNLINK: &str = "ours unlink only what they hold";
/// The property that waiting ends with the lock or a time-out, never with another error.
pub const NO_FAILURE: &str = "ours never fail";
/// The property that if everybody else is killed now, each of ours gets in by its own steps alone.
pub const SURVIVOR_GETS_IN: &str = "whoever survives gets in";
/// The property that if nobody is killed from now on and everybody gets a turn, each of ours gets in.
pub const EVERYBODY_GETS_IN: &str = "everybody of ours gets in";

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
            Property::always(EVERYBODY_GETS_IN, liveness::everybody_gets_in),
        ]
    }
}

impl World {
    pub(crate) fn kill(&self, state: &mut State, process: u8) {
        state.files.release_all(process);
        // Where there is flock it tells whether one of ours is dead; without it, the pid in the record does.
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

    /// Forgets what can no longer matter and gives states that differ only in names the same form.
    pub(crate) fn tidy(&self, state: &mut State) {
        self.sort_alike(state);
        state.files.renumber(&mut state.processes);
    }

    /// Processes that run the same program may change places.
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
            // Insertion sort by adjacent exchange, because an exchange also renames holders and writers of files.
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
