//! Checks of every reachable state that surviving processes get the lock.

use super::{PROCESSES, Process, State, World, ours, sibling};

/// More steps than a process needs to get the lock alone, to detect a loop.
const ENOUGH: u16 = 60;

/// Returns whether each process of ours gets the lock by its own steps if all others are killed in this state.
pub fn survivor_gets_in(world: &World, state: &State) -> bool {
    (0..world.ours).all(|survivor| {
        let mut after = *state;
        for process in (0..world.processes()).filter(|process| *process != survivor) {
            world.kill(&mut after, process);
        }
        // Remove the others, so that no exchange of processes can hide the survivor.
        for _ in 0..ENOUGH {
            if ours::is_inside(&after.processes[usize::from(survivor)]) {
                return true;
            }
            let later = ours::may_judge(world, &after, survivor);
            if !ours::step(world, &mut after, survivor, later) {
                return false;
            }
            after.files.renumber(&mut after.processes);
        }
        false
    })
}

/// Returns whether each process of ours gets the lock if no process is killed from now on, each one inside finishes,
/// and the processes take turns.
pub fn all_get_in(world: &World, state: &State) -> bool {
    let mut state = *state;
    let mut been = [false; PROCESSES];
    for _ in 0..ENOUGH * u16::from(world.processes()) {
        let mut moved = false;
        for process in 0..world.processes() {
            let at = usize::from(process);
            let is_ours = world.is_ours(process);
            if is_ours && ours::is_inside(&state.processes[at]) {
                been[at] = true;
            }
            // A process that has had the lock stays outside, and so does each sibling that is outside.
            if state.processes[at] == Process::default() && (been[at] || !is_ours) {
                continue;
            }
            let later = is_ours && ours::may_judge(world, &state, process);
            moved |= if is_ours {
                ours::step(world, &mut state, process, later)
            } else {
                sibling::step(world, &mut state, process)
            };
            state.files.renumber(&mut state.processes);
        }
        if been[..usize::from(world.ours)].iter().all(|been| *been) {
            return true;
        }
        if !moved {
            break;
        }
    }
    false
}
