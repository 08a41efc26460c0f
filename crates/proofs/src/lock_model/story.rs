//! Formats paths through the model as text.

use stateright::Path;

use super::{Action, State, World, ours, sibling};

/// The steps of a path.
pub(crate) fn narrate(world: &World, path: Path<State, Action>) -> Vec<String> {
    path.into_vec().into_iter().filter_map(|(state, action)| Some(describe(world, &state, action?))).collect()
}

fn describe(world: &World, state: &State, action: Action) -> String {
    let next = |process: u8| {
        let at = &state.processes[usize::from(process)];
        if world.is_ours(process) {
            format!("ours {process} {}", ours::name(at))
        } else {
            sibling::name(world.kind(process), at)
        }
    };
    match action {
        Action::Step(process) => next(process),
        Action::StepLater(process) => format!("{}, which has stood for long", next(process)),
        Action::Kill(process) => format!("killed before it acts: {}", next(process)),
        Action::StrayUnlink => "the original JavaScript unlinks any lock file".to_owned(),
        Action::RemovePrivate => "a person removes the private lock file".to_owned(),
    }
}
