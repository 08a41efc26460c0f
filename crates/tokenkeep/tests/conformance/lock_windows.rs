//! The two lock files on Windows, and the siblings that find them.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::windows::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokenkeep::{CacheLock, ErrorKind, TokenCache, options::WaitOptions, storage::FilePersistence};

use crate::clock::timed;

const SHARE_READ: u32 = 1;
const SHARE_ALL: u32 = 7;

struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn cache(&self) -> PathBuf {
        self.directory.path().join("cache.bin")
    }

    fn lock_file(&self) -> PathBuf {
        self.directory.path().join("cache.bin.lockfile")
    }

    fn lock(&self) -> CacheLock {
        CacheLock::new(self.cache()).unwrap()
    }
}

fn within(seconds: u64) -> WaitOptions {
    WaitOptions::within(Duration::from_secs(seconds))
}

/// Takes the lock like the JavaScript sibling: creates the file exclusively with full sharing, writes the pid, keeps
/// the handle.
fn as_javascript(path: &Path, pid: u32) -> File {
    let mut file =
        OpenOptions::new().read(true).write(true).create_new(true).share_mode(SHARE_ALL).open(path).unwrap();
    write!(file, "{pid}").unwrap();
    file
}

/// Returns the pid of a process that has ended.
fn dead_pid() -> u32 {
    let mut child = std::process::Command::new("cmd").args(["/c", "exit"]).spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

#[test]
fn siblings_can_read_a_held_lock_file_and_can_neither_write_nor_remove_it() {
    let place = Place::new();
    let guard = place.lock().acquire(&within(5)).unwrap();
    let path = place.lock_file();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.starts_with(&std::process::id().to_string()), "{text:?}");
    assert!(File::options().write(true).create_new(true).open(&path).is_err(), "JavaScript, Python, Java");
    assert!(File::options().read(true).write(true).open(&path).is_err(), "Go opens it for writing");
    let net = OpenOptions::new().read(true).write(true).create(true).share_mode(SHARE_READ).open(&path);
    assert!(net.is_err(), ".NET");
    assert!(fs::remove_file(&path).is_err(), "a stray removal by JavaScript");
    drop(guard);
    assert!(!path.exists(), "the system removes it");
    assert!(place.directory.path().join("cache.bin.tk-lock").exists(), "the private file stays");
}

#[test]
fn a_second_acquire_waits_and_its_timeout_names_the_holder() {
    let place = Place::new();
    let _guard = place.lock().acquire(&within(5)).unwrap();
    // In another thread's queue, like another process.
    let error = place.lock().acquire(&WaitOptions::within(Duration::from_millis(150))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.to_string().contains(&std::process::id().to_string()), "{error}");
}

#[test]
fn spellings_that_differ_in_case_are_one_lock() {
    let place = Place::new();
    let _guard = place.lock().acquire(&within(5)).unwrap();
    let other = CacheLock::new(place.directory.path().join("CACHE.BIN")).unwrap();
    let error = other.acquire(&WaitOptions::within(Duration::from_millis(150))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
}

#[test]
fn the_lock_of_a_living_sibling_is_waited_for_and_acquired_at_its_release() {
    let place = Place::new();
    let sibling = as_javascript(&place.lock_file(), std::process::id());
    let error = place.lock().acquire(&WaitOptions::within(Duration::from_millis(300))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| drop(place.lock().acquire(&within(30)).unwrap()));
        std::thread::sleep(Duration::from_millis(100));
        let ((), took) = timed(|| {
            drop(sibling);
            fs::remove_file(place.lock_file()).unwrap();
            waiter.join().unwrap();
        });
        assert!(took.naps < Duration::from_secs(5), "{took:?}");
    });
}

#[test]
fn a_dead_siblings_lock_file_is_taken_over_when_it_stayed_unchanged_and_removed_at_the_release() {
    let place = Place::new();
    drop(as_javascript(&place.lock_file(), dead_pid()));
    let (guard, took) = timed(|| place.lock().acquire(&within(30)).unwrap());
    assert!(took.clock >= Duration::from_millis(1_900), "{took:?}: it may have been alive a moment ago");
    assert!(took.naps < Duration::from_secs(20), "{took:?}");
    let text = fs::read_to_string(place.lock_file()).unwrap();
    assert!(text.starts_with(&std::process::id().to_string()), "{text:?}");
    drop(guard);
    assert!(!place.lock_file().exists());
}

#[test]
fn a_living_siblings_lock_file_without_an_open_handle_is_not_taken_over() {
    let place = Place::new();
    // Python closes the file after it has written its pid.
    drop(as_javascript(&place.lock_file(), std::process::id()));
    let error = place.lock().acquire(&within(4)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(place.lock_file().exists());
}

#[test]
fn our_lock_files_from_before_a_power_failure_are_taken_over_at_once() {
    let place = Place::new();
    let guard = place.lock().acquire(&within(5)).unwrap();
    let text = fs::read(place.lock_file()).unwrap();
    drop(guard);
    fs::write(place.lock_file(), text).unwrap();
    let ((), took) = timed(|| drop(place.lock().acquire(&within(30)).unwrap()));
    assert!(took.naps < Duration::from_secs(2), "{took:?}");
    assert!(!place.lock_file().exists());
}

#[test]
fn a_cache_that_a_sibling_has_open_exclusively_is_read_and_written_after_its_close() {
    let place = Place::new();
    let cache = || TokenCache::new(FilePersistence::new(place.cache()).unwrap());
    cache().begin_write().unwrap().commit(b"{}").unwrap();
    for _ in 0..3 {
        let own = OpenOptions::new().read(true).write(true).share_mode(0).open(place.cache()).unwrap();
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| cache().read().map(|content| content.map(|content| content.len())));
            let writer = scope.spawn(|| cache().begin_write()?.commit(b"[]").map(drop));
            std::thread::sleep(Duration::from_millis(200));
            drop(own);
            assert_eq!(reader.join().unwrap().unwrap(), Some(2));
            writer.join().unwrap().unwrap();
        });
    }
}

#[test]
fn a_backup_that_has_the_private_lock_file_for_itself_is_waited_for_as_long_as_the_caller_allows() {
    let place = Place::new();
    drop(place.lock().acquire(&within(5)).unwrap());
    let private = place.directory.path().join("cache.bin.tk-lock");
    let backup = OpenOptions::new().read(true).share_mode(0).open(&private).unwrap();
    let refused = place.lock().acquire(&WaitOptions::within(Duration::from_millis(200))).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Busy, "{refused}");
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| drop(place.lock().acquire(&within(30)).unwrap()));
        // Longer than a file operation is repeated.
        std::thread::sleep(Duration::from_millis(1_500));
        drop(backup);
        waiter.join().unwrap();
    });
}

#[test]
fn readers_beside_a_writer_never_find_the_cache_missing_or_denied() {
    let place = Place::new();
    let cache = || TokenCache::new(FilePersistence::new(place.cache()).unwrap());
    cache().update(|_| "{}").unwrap();
    let writes = 40;
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let cache = cache();
            for round in 0..writes {
                cache.update(|_| format!("{{\"round\":{round}}}")).unwrap();
            }
        });
        let reader = cache();
        while !writer.is_finished() {
            assert!(reader.read().unwrap().is_some(), "a replacement has no moment without the file");
        }
        writer.join().unwrap();
    });
}

#[test]
fn a_directory_at_the_path_of_the_cache_is_refused() {
    let place = Place::new();
    fs::create_dir(place.cache()).unwrap();
    let file = FilePersistence::new(place.cache()).unwrap();
    assert_eq!(file.prepare().unwrap_err().kind(), ErrorKind::UnsafeFile);
}
