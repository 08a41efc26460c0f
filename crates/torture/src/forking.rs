//! A process that forks, without executing another program, while its other threads use the library.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use fork::{Fork, fork, waitpid_nohang};
use tokenkeep::{
    CacheLock, ErrorKind, LockGuard, Persistence, TokenCache, nonblocking, options::WaitOptions,
    storage::FilePersistence,
};

use crate::Outcome;

const PATIENCE: Duration = Duration::from_secs(30);

/// Forks `count` times while one thread holds the lock of `path`, one waits for it, and others take locks, work on the pool
/// and set timers without pause.
pub(crate) fn fork_often(path: &Path, count: u32) -> Outcome<()> {
    let guard = CacheLock::new(path)?.acquire(&WaitOptions::default())?;
    let waiting = {
        let lock = CacheLock::new(path)?;
        thread::spawn(move || lock.acquire(&WaitOptions::within(PATIENCE * 2)).map(drop))
    };
    let over = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..3)
        .map(|_| {
            let (cache, over) = (open(&beside(path, "busy"))?, Arc::clone(&over));
            Ok(thread::spawn(move || while !over.load(Ordering::Relaxed) && exercise(&cache).is_ok() {}))
        })
        .collect::<Outcome<_>>()?;
    for number in 0..count {
        match fork()? {
            Fork::Child => {
                let code = match in_child(path, guard) {
                    Ok(()) => 0,
                    Err(error) => {
                        eprintln!("torture: child {number}: {error}");
                        1
                    }
                };
                std::process::exit(code)
            }
            Fork::Parent(child) => {
                let began = Instant::now();
                let status = loop {
                    match waitpid_nohang(child)? {
                        Some(status) => break status,
                        None if began.elapsed() > PATIENCE => {
                            return Err(format!("child {number} ({child}) does not end").into());
                        }
                        None => thread::sleep(Duration::from_millis(1)),
                    }
                };
                if status != 0 {
                    return Err(format!("child {number} ended with {status}").into());
                }
            }
        }
    }
    over.store(true, Ordering::Relaxed);
    for thread in busy {
        thread.join().map_err(|_| "a busy thread panicked")?;
    }
    drop(guard);
    waiting.join().map_err(|_| "the waiting thread panicked")??;
    println!("forked {count}");
    Ok(())
}

fn in_child(path: &Path, parents: LockGuard) -> Outcome<()> {
    tokenkeep::after_fork_in_child();
    let refused = FilePersistence::new(path)?.save(&parents, b"a child's").map(drop);
    require(refused, ErrorKind::InvalidInput, "the parent's guard is of use")?;
    drop(parents);
    let brief = WaitOptions::within(Duration::from_millis(20));
    let busy = CacheLock::new(path)?.acquire(&brief).map(drop);
    require(busy, ErrorKind::Busy, "the parent's lock is released in the child")?;
    // The path that the parent's threads use at this moment, too.
    for name in ["busy", "child"] {
        exercise(&open(&beside(path, name))?)?;
    }
    Ok(())
}

/// A write that blocks, one that does not, and a timer.
fn exercise(cache: &TokenCache) -> Outcome<()> {
    cache.update(|old| old.unwrap_or_default().to_ascii_uppercase())?;
    let (sender, receiver) = mpsc::channel();
    let told = sender.clone();
    cache.nonblocking().update(|_| "from the pool").then(move |outcome| {
        let _ = sender.send(matches!(outcome, Ok(Ok(_))));
    });
    let timer = nonblocking::after(Duration::from_millis(1), move || {
        let _ = told.send(true);
    })?;
    for _ in 0..2 {
        if !receiver.recv_timeout(PATIENCE / 2)? {
            return Err("a write on the pool failed".into());
        }
    }
    drop(timer);
    Ok(())
}

fn require(outcome: tokenkeep::Result<()>, kind: ErrorKind, otherwise: &str) -> Outcome<()> {
    match outcome {
        Err(error) if error.kind() == kind => Ok(()),
        outcome => Err(format!("{otherwise}: {outcome:?}").into()),
    }
}

fn open(path: &Path) -> Outcome<TokenCache> {
    let file = FilePersistence::new(path)?.durability(tokenkeep::options::Durability::Cached);
    Ok(TokenCache::new(Arc::new(file)))
}

fn beside(path: &Path, name: &str) -> std::path::PathBuf {
    path.with_file_name(format!("{name}.json"))
}
