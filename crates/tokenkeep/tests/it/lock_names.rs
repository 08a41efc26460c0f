//! One lock under several names: a lock file of any name, and guards taken by another spelling of the path.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tokenkeep::{CacheLock, ErrorKind, LockGuard, Persistence, storage::FilePersistence};

use crate::lock::within;
use crate::support::{Place, read};

fn over(path: impl AsRef<Path>) -> CacheLock {
    CacheLock::over(path).unwrap()
}

fn is_busy(lock: &CacheLock) -> bool {
    lock.acquire(&within(20)).is_err_and(|error| error.kind() == ErrorKind::Busy)
}

fn save(path: &Path, guard: &LockGuard) -> Result<(), ErrorKind> {
    let file = FilePersistence::new(path).unwrap();
    file.save(guard, b"saved").map(drop).map_err(|error| error.kind())
}

#[test]
fn the_lock_over_the_lock_file_of_a_cache_is_the_lock_of_the_cache() {
    let place = Place::new();
    let of_cache = CacheLock::new(place.cache()).unwrap();
    let over_file = over(place.lockfile());
    let guard = over_file.acquire(&within(1000)).unwrap();
    assert_eq!(guard.path(), place.cache());
    assert!(is_busy(&of_cache));
    assert_eq!(save(&place.cache(), &guard), Ok(()));
    drop(guard);
    let guard = of_cache.acquire(&within(1000)).unwrap();
    assert!(is_busy(&over_file));
    drop(guard);
    assert_eq!(place.names(), ["cache.json", "cache.json.tk-lock"]);
    assert_eq!(read(&place.open()).unwrap(), "saved");
}

#[test]
fn a_lock_file_of_any_name_is_there_while_it_is_held_and_siblings_that_have_it_are_respected() {
    let place = Place::new();
    for name in ["test_lock_1.txt", ".lockfile", "lockfile", "cache.json.lock"] {
        let file = place.directory().join(name);
        let (lock, same) = (over(&file), over(place.directory().join(".").join(name)));
        let guard = lock.acquire(&within(1000)).unwrap();
        let record = fs::read_to_string(&file).unwrap();
        assert!(record.starts_with(&format!("{} ", std::process::id())), "{record}");
        assert!(is_busy(&same));
        assert_eq!(save(&place.cache(), &guard), Err(ErrorKind::InvalidInput));
        drop(guard);
        assert!(!file.exists(), "{name}");

        fs::write(&file, std::process::id().to_string()).unwrap();
        assert!(is_busy(&lock), "{name}");
        fs::remove_file(&file).unwrap();
        drop(lock.acquire(&within(1000)).unwrap());
    }
}

#[test]
fn a_lock_over_no_file_is_refused() {
    let place = Place::new();
    for path in ["", "/", "folder/", "X.lockfile/", "folder/."] {
        let error = CacheLock::over(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{path:?}");
    }
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn a_guard_serves_the_cache_by_every_spelling_of_its_path() {
    let place = Place::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("link");
    symlink(place.directory(), &link).unwrap();
    let name = place.directory().file_name().unwrap();
    let spellings =
        [place.cache(), place.directory().join("..").join(name).join("cache.json"), link.join("cache.json")];
    for taken in &spellings {
        let guard = CacheLock::new(taken).unwrap().acquire(&within(1000)).unwrap();
        for used in &spellings {
            assert_eq!(save(used, &guard), Ok(()), "{taken:?} for {used:?}");
        }
        let other = link.join("other.json");
        assert!(!guard.is_for(&other));
        assert_eq!(save(&other, &guard), Err(ErrorKind::InvalidInput));
    }
}

#[test]
fn a_guard_by_a_link_to_the_file_is_no_guard_of_the_file_beside_which_siblings_look() {
    let place = Place::new();
    let link = place.directory().join("link.json");
    fs::write(place.cache(), "").unwrap();
    symlink(place.cache(), &link).unwrap();
    let guard = CacheLock::new(&link).unwrap().acquire(&within(1000)).unwrap();
    assert!(guard.is_for(&link) && !guard.is_for(&place.cache()));
    assert_eq!(save(&place.cache(), &guard), Err(ErrorKind::InvalidInput));
    // Both have one private lock all the same.
    assert!(is_busy(&CacheLock::new(place.cache()).unwrap()));
}

#[test]
fn a_lock_within_the_process_serves_its_name_alone() {
    let guard = CacheLock::private("memory:of this test").acquire(&within(1000)).unwrap();
    assert!(guard.is_for(Path::new("memory:of this test")) && !guard.is_for(Path::new("memory:of another")));
}
