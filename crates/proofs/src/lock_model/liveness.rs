//! Whether the living get in, asked of every state that can be reached.

use super::{PROCESSES, Process, State, World, ours, sibling};

/// More steps than any process needs to get in alone: a loop would show here.
const ENOUGH: u16 = 60;

/// If everybody else were killed at this moment, would each of ours get in by its own steps alone?
pub fn survivor_gets_in(world: &World, state: &State) -> bool {
    (0..world.ours).all(|survivor| {
        let mut after = *state;
        for process in (0..world.processes()).filter(|process| *process != survivor) {
            world.kill(&mut after, process);
        }
        // Alone, so that no exchange of processes can hide the survivor.
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

/// If nobody were killed from now on, everybody who is in the middle of something came to its end, and turns were
/// taken, would each of ours get in?
pub fn everybody_gets_in(world: &World, state: &State) -> bool {
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
            // Who has been inside, and every sibling that is outside, stays outside.
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
