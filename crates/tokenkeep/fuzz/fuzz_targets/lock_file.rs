//! Any bytes, as the lock file that another library left: looked at, and taken over or waited for.
#![no_main]

use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use tokenkeep::options::WaitOptions;
use tokenkeep::{CacheLock, ErrorKind};

/// A folder in memory, where the machine has one.
fn cache() -> &'static PathBuf {
    static CACHE: OnceLock<PathBuf> = OnceLock::new();
    CACHE.get_or_init(|| {
        let memory = PathBuf::from("/dev/shm");
        let parent = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let folder = parent.join(format!("tokenkeep-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        folder.join("cache.json")
    })
}

fuzz_target!(|bytes: &[u8]| {
    let lock_file = cache().with_file_name("cache.json.lockfile");
    std::fs::write(&lock_file, bytes).expect("a lock file");
    let lock = CacheLock::new(cache()).expect("a path");
    match lock.state() {
        Ok(state) => drop(format!("{state:?}")),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
    // A stranger's lock is waited for; the wait ends.
    let began = Instant::now();
    match lock.acquire(&WaitOptions::within(Duration::from_millis(5))) {
        Ok(guard) => drop(guard),
        Err(error) => assert!([ErrorKind::Busy, ErrorKind::UnsafeFile].contains(&error.kind()), "{error}"),
    }
    assert!(began.elapsed() < Duration::from_secs(5), "the wait has an end");
    let _ = std::fs::remove_file(&lock_file);
});
