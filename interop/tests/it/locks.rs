//! Each side waits while the other side holds the lock. The test set `mixed` of the Node package runs JavaScript and
//! Python in large numbers; this file has the original in JavaScript, Go, .NET as its documentation describes it,
//! Python, and Java made to use the common lock name.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use tokenkeep::options::WaitOptions;
use tokenkeep::{CacheLock, ErrorKind};
use tokenkeep_interop::{Peer, Running};

use crate::no_session;

/// The factor for repetitions and hold times: 1, or the value that `cargo xtask torture` sets.
fn scale() -> u32 {
    std::env::var("TOKENKEEP_TORTURE").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// How long a lock is held. The short form is long enough to catch a waiter that ignores the lock. The long form
/// exceeds the time after which a library goes on without the lock (Python 5 s, Java 6 s).
fn hold() -> Duration {
    if scale() > 1 { Duration::from_secs(20) } else { Duration::from_secs(2) }
}

/// The program, its action, and the path it needs to take the lock of a cache.
struct Locker(Peer, &'static str, fn(&Path) -> String);

fn of_cache(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Java names its lock `.lockfile` in the cache's folder. No other library uses that name.
fn of_lockfile(path: &Path) -> String {
    format!("{}.lockfile", path.display())
}

const GO: Locker = Locker(Peer::Go, "lock", of_cache);
const DOTNET: Locker = Locker(Peer::Python, "dotnet-lock", of_cache);
const ORIGINAL: Locker = Locker(Peer::Node, "lock", of_cache);
const PYTHON: Locker = Locker(Peer::Python, "lock", of_cache);
const JAVA: Locker = Locker(Peer::Java, "lock", of_lockfile);

impl Locker {
    fn start(&self, path: &Path) -> Running {
        Running::start(self.0, no_session(), &[self.1, &(self.2)(path)])
    }
}

fn theirs_then_ours(locker: &Locker) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.json");
    let mut theirs = locker.start(&path);
    assert_eq!(theirs.line(), "held");
    let lock = CacheLock::new(&path).unwrap();
    let start = Instant::now();
    let error = lock.acquire(&WaitOptions::within(hold())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    assert!(start.elapsed() >= hold(), "it waited");
    let waiting =
        thread::spawn(move || lock.acquire(&WaitOptions::within(Duration::from_secs(60))).map(drop));
    theirs.release();
    assert_eq!(theirs.line(), "released");
    waiting.join().unwrap().unwrap();
    theirs.end();
}

fn ours_then_theirs(locker: &Locker) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.json");
    let guard = CacheLock::new(&path).unwrap().acquire(&WaitOptions::within(hold())).unwrap();
    let mut theirs = locker.start(&path);
    assert!(theirs.is_silent_for(hold()), "somebody got in, or gave up");
    drop(guard);
    assert_eq!(theirs.line(), "held");
    theirs.release();
    assert_eq!(theirs.line(), "released");
    theirs.end();
}

#[test]
fn go_waits_for_tokenkeep_and_tokenkeep_waits_for_go() {
    theirs_then_ours(&GO);
    ours_then_theirs(&GO);
}

#[test]
fn the_original_waits_for_tokenkeep_and_tokenkeep_waits_for_the_original() {
    theirs_then_ours(&ORIGINAL);
    ours_then_theirs(&ORIGINAL);
}

#[test]
fn dotnet_waits_for_tokenkeep_and_tokenkeep_waits_for_dotnet() {
    theirs_then_ours(&DOTNET);
    ours_then_theirs(&DOTNET);
}

#[test]
fn python_waits_for_tokenkeep_and_tokenkeep_waits_for_python() {
    theirs_then_ours(&PYTHON);
    // Python gives up after five seconds. The test set `mixed` shows that it then does not write.
    if hold() < Duration::from_secs(5) {
        ours_then_theirs(&PYTHON);
    }
}

#[test]
fn java_with_the_common_lock_name_waits_for_tokenkeep_and_tokenkeep_waits_for_java() {
    theirs_then_ours(&JAVA);
    // Java gives up after twelve seconds.
    if hold() < Duration::from_secs(12) {
        ours_then_theirs(&JAVA);
    }
}

/// Both sides take and release the lock many times without a pause. Inside, each creates a file that must not exist
/// yet.
fn quickly(peer: Peer, verb: &str) {
    let times = if scale() > 1 { 1000 } else { 100 };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.json");
    let count = times.to_string();
    let theirs = Running::start(peer, no_session(), &[verb, path.to_str().unwrap(), &count]);
    let witness = folder.path().join("cache.json.alone");
    let lock = CacheLock::new(&path).unwrap();
    for _ in 0..times {
        let guard = lock.acquire(&WaitOptions::within(Duration::from_secs(60))).unwrap();
        drop(OpenOptions::new().write(true).create_new(true).open(&witness).expect("nobody else is inside"));
        thread::sleep(Duration::from_micros(200));
        fs::remove_file(&witness).unwrap();
        drop(guard);
    }
    theirs.end();
}

#[test]
fn many_quick_holds_of_go_and_tokenkeep_never_overlap() {
    quickly(Peer::Go, "write");
}

#[test]
fn many_quick_holds_of_the_original_and_tokenkeep_never_overlap() {
    quickly(Peer::Node, "write-alone");
}

#[test]
fn many_quick_holds_of_dotnet_and_tokenkeep_never_overlap() {
    quickly(Peer::Python, "dotnet-write-alone");
}
