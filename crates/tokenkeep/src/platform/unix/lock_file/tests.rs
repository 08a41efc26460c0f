//! The cases that the model of the protocol (`crates/proofs`) found, on real files. Other tests are outside the
//! crate.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::sibling::{SETTLED, SiblingLock};
use super::{LATE_UNLINK, Paths, Private, take_sibling_lock};
use crate::platform::directory::{self, Entry};
use crate::{CacheLock, options::WaitOptions};

struct Place {
    _directory: tempfile::TempDir,
    cache: PathBuf,
    lock: CacheLock,
}

impl Place {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let cache = directory.path().join("cache.json");
        let lock = CacheLock::new(&cache).unwrap();
        Self { _directory: directory, cache, lock }
    }

    fn lockfile(&self) -> PathBuf {
        self.entry().with_suffix(".lockfile").to_path_buf()
    }

    fn entry(&self) -> Entry {
        directory::locate(&self.cache).unwrap()
    }

    /// Leaves the lock files of a process of ours that was killed inside.
    fn leave_a_dead_link(&self) {
        drop(self.lock.acquire(&ten_seconds()).unwrap());
        fs::hard_link(&*self.entry().with_suffix(".tk-lock"), self.lockfile()).unwrap();
    }
}

fn ten_seconds() -> WaitOptions {
    WaitOptions::within(Duration::from_secs(10))
}

#[test]
fn without_hard_links_a_new_file_that_a_sibling_locked_first_is_the_siblings() {
    let place = Place::new();
    let path = place.lockfile();
    let paths = Paths::beside(&place.entry(), &place.entry()).unwrap();
    let private = Private::attempt(&paths).unwrap().unwrap();
    let (watch, events) = Default::default();
    let lock = SiblingLock::new(&private, &paths, &watch, &events).unwrap();
    let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    let sibling = File::open(&path).unwrap();
    sibling.try_lock().unwrap();
    assert!(!lock.make_ready(&file, &place.entry().with_suffix(".lockfile")).unwrap());
}

#[test]
fn a_stray_unlink_between_the_link_and_the_look_is_not_an_error() {
    let place = Place::new();
    let path = place.lockfile();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let _ = fs::remove_file(&path);
            }
        });
        let outcome: Result<(), _> = (0..500).try_for_each(|_| place.lock.acquire(&ten_seconds()).map(drop));
        done.store(true, Ordering::Relaxed);
        outcome.unwrap();
    });
}

#[test]
fn the_time_in_which_a_sibling_holds_the_flock_does_not_make_its_file_stale() {
    let place = Place::new();
    // A pid beyond the maximum is of no living process. Go locks such a file and cannot write its own pid into it.
    fs::write(place.lockfile(), "4194305").unwrap();
    let sibling = File::open(place.lockfile()).unwrap();
    sibling.try_lock().unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let guard = place.lock.acquire(&ten_seconds()).unwrap();
            (Instant::now(), guard)
        });
        std::thread::sleep(SETTLED + Duration::from_millis(300));
        let released = Instant::now();
        sibling.unlock().unwrap();
        let (entered, _guard) = waiter.join().unwrap();
        let waited = entered - released;
        assert!(waited >= SETTLED - Duration::from_millis(100), "{waited:?} after the sibling's unlock");
    });
}

#[test]
fn a_sibling_that_unlinks_after_it_unlocked_does_not_take_our_lock_file_away() {
    let mut prompt = 0;
    for round in 0..200 {
        let place = Place::new();
        place.leave_a_dead_link();
        let sibling = File::open(place.lockfile()).unwrap();
        sibling.try_lock().unwrap();
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| place.lock.acquire(&ten_seconds()).unwrap());
            // Until the waiter blocks in flock.
            std::thread::sleep(Duration::from_millis(20));
            sibling.unlock().unwrap();
            let unlocked = Instant::now();
            std::thread::sleep(Duration::from_micros(200));
            fs::remove_file(place.lockfile()).unwrap();
            // On a busy machine this thread may have slept for longer than the pause under test.
            let late = unlocked.elapsed() >= LATE_UNLINK - Duration::from_millis(1);
            let _guard = waiter.join().unwrap();
            assert!(late || place.lockfile().exists(), "round {round}");
            prompt += u32::from(!late);
        });
        if prompt == 10 {
            return;
        }
    }
    panic!("the machine is too busy to sleep for less than the pause");
}

#[test]
fn a_forked_child_that_drops_what_its_parent_holds_releases_nothing() {
    let place = Place::new();
    let paths = Paths::beside(&place.entry(), &place.entry()).unwrap();
    let private = Private::attempt(&paths).unwrap().unwrap();
    let (watch, events) = Default::default();
    let sleep = |_: Duration| Ok(());
    let mut held = take_sibling_lock(private, &paths, &watch, &sleep, &events).unwrap().unwrap();
    // The same open file once more, as the parent would still have it after its child has closed its own.
    let parents = held.private.file().try_clone().unwrap();
    held.private.as_in_a_forked_child();
    drop(held);
    assert!(place.lockfile().exists());
    assert!(Private::attempt(&paths).unwrap().is_none(), "the flock is the parent's still");
    assert!(Private::attempt(&paths).unwrap().is_none());
    drop(parents);
    assert!(Private::attempt(&paths).unwrap().is_some());
}
