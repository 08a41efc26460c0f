//! Reads the state of the lock without changing it.

use std::fs;

use tokenkeep::CacheLock;
use tokenkeep::inspect::LockState;
use tokenkeep::options::WaitOptions;

use crate::support::Place;
use crate::support::worker::Worker;

fn state(place: &Place) -> LockState {
    CacheLock::new(place.cache()).unwrap().state().unwrap()
}

#[test]
fn the_state_of_a_free_lock_is_free_and_creates_no_files() {
    let place = Place::new();
    assert_eq!(state(&place), LockState::Free);
    assert!(place.names().is_empty());
    drop(CacheLock::new(place.cache()).unwrap().acquire(&WaitOptions::default()).unwrap());
    assert_eq!(state(&place), LockState::Free);
}

#[test]
fn the_state_names_a_living_holder_and_is_left_after_a_killed_one() {
    let place = Place::new();
    let mut worker = Worker::serve(&place.cache());
    worker.does("begin");
    let LockState::Held(holder) = state(&place) else { panic!("{:?}", state(&place)) };
    assert_eq!((holder.pid, holder.ours, holder.certain), (Some(worker.pid()), true, true));
    worker.kill();
    let before = place.names();
    let LockState::Left(holder) = state(&place) else { panic!("{:?}", state(&place)) };
    assert!(holder.ours && !holder.certain);
    assert_eq!(place.names(), before);
    // The next acquire removes it.
    drop(CacheLock::new(place.cache()).unwrap().acquire(&WaitOptions::default()).unwrap());
    assert_eq!(state(&place), LockState::Free);
}

#[test]
fn the_state_of_a_siblings_lock_depends_on_its_process() {
    let place = Place::new();
    fs::write(place.lockfile(), format!("{} /usr/bin/az", std::process::id())).unwrap();
    let LockState::Held(holder) = state(&place) else { panic!("{:?}", state(&place)) };
    assert_eq!((holder.pid, holder.ours, holder.certain), (Some(std::process::id()), false, false));
    // Above the highest possible process id.
    fs::write(place.lockfile(), "4194305 /usr/bin/az").unwrap();
    let LockState::Left(holder) = state(&place) else { panic!("{:?}", state(&place)) };
    assert_eq!(holder.command.as_deref(), Some("/usr/bin/az"));
    fs::write(place.lockfile(), "").unwrap();
    assert!(matches!(state(&place), LockState::Held(_)), "a sibling may be about to write its name");
    assert!(place.lockfile().exists());
}
