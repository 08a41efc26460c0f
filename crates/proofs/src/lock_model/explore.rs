//! Runs the checker on a world and reports the result.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model, StateRecorder};

use super::{World, ours, story};

/// The result of an exploration.
#[derive(Debug)]
pub struct Report {
    /// The number of different states.
    pub states: usize,
    /// The number of steps between states.
    pub steps: usize,
    /// The longest of the shortest paths to a state.
    pub depth: usize,
    /// The time it took.
    pub took: Duration,
    /// The properties that do not hold, each with a path that breaks it.
    pub broken: BTreeMap<&'static str, Vec<String>>,
}

/// Explores every state of `world`.
pub fn everything(world: World) -> Report {
    let began = Instant::now();
    let names = world.clone();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let checker = world.checker().threads(threads).spawn_bfs().join();
    Report {
        states: checker.unique_state_count(),
        steps: checker.state_count(),
        depth: checker.max_depth(),
        took: began.elapsed(),
        broken: checker
            .discoveries()
            .into_iter()
            .map(|(name, path)| (name, story::narrate(&names, path)))
            .collect(),
    }
}

/// Returns the shortest path that breaks `property`, or `None` if no path of at most `depth` steps does.
pub fn shortest(world: &World, property: &'static str, depth: usize) -> Option<Vec<String>> {
    (1..=depth).find_map(|depth| {
        let only = BTreeSet::from([property]);
        let checker = world
            .clone()
            .checker()
            .finish_when(HasDiscoveries::AllOf(only))
            .target_max_depth(depth)
            .spawn_bfs()
            .join();
        Some(story::narrate(world, checker.discovery(property)?))
    })
}

/// Returns the steps of our program that occur in no state of these worlds.
pub fn unreached(worlds: &[World]) -> BTreeSet<&'static str> {
    let mut left: BTreeSet<_> = ours::every_step().collect();
    for world in worlds {
        let (recorder, states) = StateRecorder::new_with_accessor();
        world.clone().checker().visitor(recorder).spawn_bfs().join();
        for state in states() {
            for process in &state.processes[..usize::from(world.ours)] {
                left.remove(ours::name(process));
            }
        }
    }
    left
}
