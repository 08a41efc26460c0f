//! What several modules of tests need: other processes, traces, lock files as siblings leave them.

pub(crate) mod sibling;
pub(crate) mod strace;
pub(crate) mod user;
pub(crate) mod worker;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokenkeep::{TokenCache, options::Durability, storage::FilePersistence};

/// How many times longer than usual a test should try: 1, or what `cargo xtask torture` says.
pub(crate) fn scale() -> u64 {
    std::env::var("TOKENKEEP_TORTURE").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// A directory of the test's own and a cache path in it.
pub(crate) struct Place {
    directory: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// On a file system in memory, where thousands of writes cost little.
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

    /// The names in the directory, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        names_in(self.directory())
    }

    /// The cache, as a program would open it, unsynced because nobody pulls the plug here.
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
    TokenCache::new(std::sync::Arc::new(FilePersistence::new(path).unwrap().durability(Durability::Cached)))
}

/// What is stored, as text.
pub(crate) fn read(cache: &TokenCache) -> Option<String> {
    cache.read().unwrap().map(|content| String::from_utf8_lossy(content.expose()).into_owned())
}

pub(crate) fn write(cache: &TokenCache, text: &str) {
    cache.begin_write().unwrap().commit(text).unwrap();
}

/// Waits until `done`, looking every millisecond; panics after ten seconds with `what`.
pub(crate) fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    let began = Instant::now();
    while !done() {
        assert!(began.elapsed() < Duration::from_secs(10), "waited ten seconds in vain: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// How long `work` takes, and what it yields.
pub(crate) fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let result = work();
    (result, began.elapsed())
}

/// Does `background` over and over, in a thread of its own, until `foreground` has ended, well or not.
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
