//! Several processes on one file: no write is lost, and a killed holder stops no other process.
//!
//! The other processes are this test binary; an environment variable makes it run [`worker`] in place of a test.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokenkeep::{TokenCache, options::Durability, storage::FilePersistence};

use crate::clock::timed;

const TASK: &str = "TOKENKEEP_CONFORMANCE_WORKER";
const PATH: &str = "TOKENKEEP_CONFORMANCE_PATH";

/// Opens the file, with the same protection in all processes.
fn open(path: &Path) -> TokenCache {
    #[cfg(windows)]
    let file = FilePersistence::with_protector(path, tokenkeep::storage::DataProtection::default());
    #[cfg(not(windows))]
    let file = FilePersistence::new(path);
    TokenCache::new(file.unwrap().durability(Durability::Cached))
}

fn start(task: &str, path: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "processes::worker", "--nocapture"])
        .env(TASK, task)
        .env(PATH, path)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// Waits, with a limit, for a worker that must succeed.
fn finish(mut child: Child) {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            return;
        }
        if began.elapsed() > Duration::from_secs(120) {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("a worker did not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn wait_for(path: &Path) {
    let began = Instant::now();
    while !path.exists() {
        assert!(began.elapsed() < Duration::from_secs(60), "{path:?} did not appear");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The body of the other processes. As a test of its own it does nothing.
#[test]
fn worker() {
    let (Some(task), Some(path)) = (std::env::var_os(TASK), std::env::var_os(PATH)) else { return };
    let path = Path::new(&path);
    let cache = open(path);
    match task.to_str().unwrap() {
        "hold" => {
            let _access = cache.begin_write().unwrap();
            std::fs::write(path.with_extension("held"), b"").unwrap();
            // Until it is killed.
            std::thread::sleep(Duration::from_secs(120));
        }
        name => {
            for turn in 0..25 {
                let access = cache.begin_write().unwrap();
                let old = String::from_utf8(access.content().unwrap_or_default().to_vec()).unwrap();
                access.commit(format!("{old}{name}.{turn} ")).unwrap();
            }
        }
    }
}

#[test]
fn four_processes_that_write_without_pause_lose_no_write() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cache.bin");
    let workers: Vec<_> = ["a", "b", "c", "d"].iter().map(|name| start(name, &path)).collect();
    let reader = open(&path);
    let mut longest = 0;
    // Reads at the same time are whole and never older than the read before.
    for _ in 0..50 {
        let seen = reader.read().unwrap().map_or(0, |content| {
            let text = String::from_utf8(content.expose().to_vec()).unwrap();
            assert!(text.is_empty() || text.ends_with(' '), "{text:?}");
            text.len()
        });
        assert!(seen >= longest);
        longest = seen;
        std::thread::sleep(Duration::from_millis(5));
    }
    workers.into_iter().for_each(finish);
    let content = open(&path).read().unwrap().unwrap();
    let text = String::from_utf8(content.expose().to_vec()).unwrap();
    let mut turns: Vec<&str> = text.split_whitespace().collect();
    turns.sort_unstable();
    turns.dedup();
    assert_eq!(turns.len(), 100, "{text}");
}

#[test]
fn a_killed_holder_stops_no_other_process_and_leaves_the_content_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cache.bin");
    open(&path).begin_write().unwrap().commit(b"before").unwrap();
    let mut holder = start("hold", &path);
    wait_for(&path.with_extension("held"));
    let mut lock_file = path.clone().into_os_string();
    lock_file.push(".lockfile");
    assert!(Path::new(&lock_file).exists(), "siblings see that the cache is in use");
    holder.kill().unwrap();
    holder.wait().unwrap();
    let cache = open(&path);
    let (access, took) = timed(|| cache.begin_write().unwrap());
    assert!(took.naps < Duration::from_secs(1), "{took:?}");
    assert_eq!(access.content(), Some(&b"before"[..]));
    access.commit(b"after").unwrap();
    assert!(!Path::new(&lock_file).exists());
}
