//! Lanes: runs tasks that need each other in order, and the others at the same time.
//!
//! Most stages wait for processes, locks and timers, so two at a time take little longer than one. A task starts when
//! all that it needs have ended (with any result, which the caller judges); of several, the first in the list starts.
//! A task that must be alone waits until none runs, and no other starts meanwhile.

use std::io::{IsTerminal, Write};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// A task that can run in a lane.
pub(crate) trait Task: Copy + Sync {
    type Report: Send + Sync;

    fn name(&self) -> &'static str;

    /// The names of earlier tasks in the list that must have ended; a name not in the list is ignored.
    fn needs(&self) -> &'static [&'static str];

    fn is_alone(&self) -> bool;
}

/// The default number of lanes: two, because more would take time from the tests' own processes; one on a machine
/// with one processor.
pub(crate) fn usual() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(2)
}

/// The state of a task.
#[derive(Debug)]
enum State<R> {
    Waiting,
    Running,
    Ended(Arc<R>),
}

/// The next task to start.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Task(usize),
    /// Another task must end first.
    Later,
    /// All tasks have been started.
    Nothing,
}

/// Runs `tasks` in `lanes` threads and returns their reports in the tasks' order. `work` gets the task and the
/// reports so far, those of its needs among them.
pub(crate) fn run<T: Task>(
    tasks: &[T],
    lanes: usize,
    work: impl Fn(T, &[Arc<T::Report>]) -> T::Report + Sync,
) -> Vec<Arc<T::Report>> {
    let states: Mutex<Vec<State<T::Report>>> = Mutex::new(tasks.iter().map(|_| State::Waiting).collect());
    let changed = Condvar::new();
    let lane = || {
        let mut now = states.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match next(tasks, &now) {
                Next::Nothing => return,
                Next::Later => now = changed.wait(now).unwrap_or_else(PoisonError::into_inner),
                Next::Task(index) => {
                    now[index] = State::Running;
                    show_status(tasks, &now);
                    let before = reports(&now);
                    drop(now);
                    let report = work(tasks[index], &before);
                    now = states.lock().unwrap_or_else(PoisonError::into_inner);
                    now[index] = State::Ended(Arc::new(report));
                    show_status(tasks, &now);
                    changed.notify_all();
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..lanes {
            scope.spawn(lane);
        }
        lane();
    });
    reports(&states.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn reports<R>(states: &[State<R>]) -> Vec<Arc<R>> {
    let ended = |state: &State<R>| if let State::Ended(report) = state { Some(report.clone()) } else { None };
    states.iter().filter_map(ended).collect()
}

fn next<T: Task>(tasks: &[T], states: &[State<T::Report>]) -> Next {
    let running = || tasks.iter().zip(states).filter(|(_, state)| matches!(state, State::Running));
    if running().any(|(task, _)| task.is_alone()) {
        return Next::Later;
    }
    let ended = |name: &&str| {
        tasks.iter().zip(states).all(|(task, state)| task.name() != *name || matches!(state, State::Ended(_)))
    };
    let ready = |task: &T| task.needs().iter().all(ended);
    let mut waiting = (0..tasks.len()).filter(|index| matches!(states[*index], State::Waiting)).peekable();
    if waiting.peek().is_none() {
        return Next::Nothing;
    }
    match waiting.find(|index| ready(&tasks[*index])) {
        // It is next: the running tasks end soon, and no later task starts before it.
        Some(index) if tasks[index].is_alone() && running().next().is_some() => Next::Later,
        Some(index) => Next::Task(index),
        None => Next::Later,
    }
}

/// Shows the running tasks in one line on a terminal, which is overwritten. Elsewhere shows nothing, because a log
/// does not need it.
fn show_status<T: Task>(tasks: &[T], states: &[State<T::Report>]) {
    let mut out = std::io::stdout().lock();
    if out.is_terminal() {
        let running = tasks.iter().zip(states).filter(|(_, state)| matches!(state, State::Running));
        let names: Vec<_> = running.map(|(task, _)| task.name()).collect();
        // Progress only; a closed terminal must not stop the run.
        drop(write!(out, "\r\x1b[K{}", names.join(", ")).and_then(|()| out.flush()));
    }
}

/// Removes that line, so that another can be printed in its place.
pub(crate) fn clear_status() {
    let mut out = std::io::stdout().lock();
    if out.is_terminal() {
        drop(write!(out, "\r\x1b[K"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Clone, Copy)]
    struct Step(&'static str, &'static [&'static str], bool);

    impl Task for Step {
        type Report = &'static str;

        fn name(&self) -> &'static str {
            self.0
        }

        fn needs(&self) -> &'static [&'static str] {
            self.1
        }

        fn is_alone(&self) -> bool {
            self.2
        }
    }

    const STEPS: [Step; 6] = [
        Step("a", &[], false),
        Step("b", &["a"], false),
        Step("c", &[], false),
        Step("alone", &["a"], true),
        Step("d", &["b"], false),
        Step("e", &["not chosen"], false),
    ];

    /// Returns the largest number of tasks at once, the number beside "alone", and the order of their starts.
    fn ran(lanes: usize) -> (usize, usize, Vec<&'static str>) {
        let (running, most, beside) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        let order = Mutex::new(Vec::new());
        let reports = run(&STEPS, lanes, |step, before| {
            for need in step.1.iter().filter(|need| **need != "not chosen") {
                assert!(before.iter().any(|report| **report == *need), "{} before {need}", step.0);
            }
            order.lock().unwrap().push(step.0);
            let now = running.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            std::thread::sleep(std::time::Duration::from_millis(30));
            if step.is_alone() {
                beside.fetch_max(running.load(Ordering::SeqCst) - 1, Ordering::SeqCst);
            }
            running.fetch_sub(1, Ordering::SeqCst);
            step.0
        });
        let names: Vec<_> = reports.iter().map(|report| **report).collect();
        assert_eq!(names, STEPS.map(|step| step.0), "the reports are in the order of the list");
        (most.into_inner(), beside.into_inner(), order.into_inner().unwrap())
    }

    #[test]
    fn one_lane_keeps_the_order_of_the_list() {
        assert_eq!(ran(1), (1, 0, STEPS.map(|step| step.0).to_vec()));
    }

    #[test]
    fn two_lanes_run_two_at_once_and_leave_alone_what_must_be() {
        for _ in 0..10 {
            let (most, beside, _) = ran(2);
            assert_eq!((most, beside), (2, 0));
        }
    }
}
