//! Who has the lock, seen from outside: a look that changes nothing.

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
fn a_lock_that_nobody_has_is_free_and_stays_without_files() {
    let place = Place::new();
    assert_eq!(state(&place), LockState::Free);
    assert!(place.names().is_empty());
    drop(CacheLock::new(place.cache()).unwrap().acquire(&WaitOptions::default()).unwrap());
    assert_eq!(state(&place), LockState::Free);
}

#[test]
fn a_process_that_holds_it_is_named_and_one_that_was_killed_has_left_it() {
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
    // The next one clears it away.
    drop(CacheLock::new(place.cache()).unwrap().acquire(&WaitOptions::default()).unwrap());
    assert_eq!(state(&place), LockState::Free);
}

#[test]
fn a_sibling_is_judged_by_its_process() {
    let place = Place::new();
    fs::write(place.lockfile(), format!("{} /usr/bin/az", std::process::id())).unwrap();
    let LockState::Held(holder) = state(&place) else { panic!("{:?}", state(&place)) };
    assert_eq!((holder.pid, holder.ours, holder.certain), (Some(std::process::id()), false, false));
    // Beyond the highest process id there can be.
    fs::write(place.lockfile(), "4194305 /usr/bin/az").unwrap();
    let LockState::Left(holder) = state(&place) else { panic!("{:?}", state(&place)) };
    assert_eq!(holder.command.as_deref(), Some("/usr/bin/az"));
    fs::write(place.lockfile(), "").unwrap();
    assert!(matches!(state(&place), LockState::Held(_)), "a sibling may be about to write its name");
    assert!(place.lockfile().exists());
}
