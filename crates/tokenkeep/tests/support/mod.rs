//! Shared by several test modules: other processes, traces, lock files of siblings.

pub(crate) mod sibling;
pub(crate) mod strace;
pub(crate) mod user;
pub(crate) mod worker;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokenkeep::{TokenCache, options::Durability, storage::FilePersistence};

/// The factor for repetitions: 1, or the value that `cargo xtask torture` sets.
pub(crate) fn scale() -> u64 {
    std::env::var("TOKENKEEP_TORTURE").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// A directory for one test, and the path of a cache in it.
pub(crate) struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// On a file system in memory, where thousands of writes are cheap.
    pub(crate) fn in_memory() -> Self {
        let shared = Path::new("/dev/shm");
        if shared.is_dir() { Self { directory: tempfile::tempdir_in(shared).unwrap() } } else { Self::new() }
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.directory.path().join("cache.json")
    }

    pub(crate) fn lockfile(&self) -> PathBuf {
        self.directory.path().join("cache.json.lockfile")
    }

    pub(crate) fn private(&self) -> PathBuf {
        self.directory.path().join("cache.json.tk-lock")
    }

    /// Returns the sorted names in the directory.
    pub(crate) fn names(&self) -> Vec<String> {
        names_in(self.directory())
    }

    /// Opens the cache like a program, unsynced because the tests survive no power failure.
    pub(crate) fn open(&self) -> TokenCache {
        open(&self.cache())
    }
}

pub(crate) fn names_in(directory: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

pub(crate) fn open(path: &Path) -> TokenCache {
    TokenCache::new(FilePersistence::new(path).unwrap().durability(Durability::Cached))
}

/// Returns the stored content as text.
pub(crate) fn read(cache: &TokenCache) -> Option<String> {
    cache.read().unwrap().map(|content| String::from_utf8_lossy(content.expose()).into_owned())
}

pub(crate) fn write(cache: &TokenCache, text: &str) {
    cache.begin_write().unwrap().commit(text).unwrap();
}

/// Waits until `done`, checked every millisecond; panics with `what` after a minute.
pub(crate) fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(60), "waited a minute in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Repeats `background` in its own thread until `foreground` has ended, also by a panic.
pub(crate) fn beside<T>(background: impl Fn() + Sync, foreground: impl FnOnce() -> T) -> T {
    struct Done<'a>(&'a AtomicBool);
    impl Drop for Done<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                background();
            }
        });
        let _done = Done(&done);
        foreground()
    })
}
