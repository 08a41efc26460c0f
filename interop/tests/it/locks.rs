//! The lock: while one holds it, the other waits, whichever side is ours. JavaScript and Python in crowds are the set `mixed`
//! of the Node tests; here are the original in JavaScript, Go, .NET as documented, Python, and Java made to use the name that
//! the others use.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use tokenkeep::options::WaitOptions;
use tokenkeep::{CacheLock, ErrorKind};
use tokenkeep_interop::{Peer, Running};

use crate::no_session;

/// How much longer than usual to try: 1, or what `cargo xtask torture` says.
fn scale() -> u32 {
    std::env::var("TOKENKEEP_TORTURE").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// How long a lock is held: long enough for a waiter that does not respect it to be inside, in the long form longer than
/// any library waits before it goes ahead (Python 5 s, Java 6 s).
fn hold() -> Duration {
    if scale() > 1 { Duration::from_secs(20) } else { Duration::from_secs(2) }
}

/// How a program takes the lock of the cache at a path.
struct Locker(Peer, &'static str, fn(&Path) -> String);

fn of_cache(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Java's own name for it is `.lockfile` in the folder, which nobody else looks at.
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
fn go_waits_for_ours_and_ours_for_go() {
    theirs_then_ours(&GO);
    ours_then_theirs(&GO);
}

#[test]
fn the_original_waits_for_ours_and_ours_for_the_original() {
    theirs_then_ours(&ORIGINAL);
    ours_then_theirs(&ORIGINAL);
}

#[test]
fn dotnet_waits_for_ours_and_ours_for_dotnet() {
    theirs_then_ours(&DOTNET);
    ours_then_theirs(&DOTNET);
}

#[test]
fn python_waits_for_ours_and_ours_for_python() {
    theirs_then_ours(&PYTHON);
    // It gives up after five seconds; that it then stays outside is shown by the set `mixed`.
    if hold() < Duration::from_secs(5) {
        ours_then_theirs(&PYTHON);
    }
}

#[test]
fn java_over_the_same_name_waits_for_ours_and_ours_for_java() {
    theirs_then_ours(&JAVA);
    // It gives up after twelve seconds.
    if hold() < Duration::from_secs(12) {
        ours_then_theirs(&JAVA);
    }
}

/// Many holds, one directly after the other, on both sides at once: a file that only one may make is the witness.
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
fn many_quick_holds_of_go_and_ours_never_overlap() {
    quickly(Peer::Go, "write");
}

#[test]
fn many_quick_holds_of_the_original_and_ours_never_overlap() {
    quickly(Peer::Node, "write-alone");
}

#[test]
fn many_quick_holds_of_dotnet_and_ours_never_overlap() {
    quickly(Peer::Python, "dotnet-write-alone");
}
