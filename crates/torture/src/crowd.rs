//! Many writes at once in one process, and how many threads they take.

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use tokenkeep::{TokenCache, WriteAccess, options::WaitOptions, storage::FilePersistence};

use crate::Outcome;

/// Starts `count` writes while the lock is held, each of which adds a byte. Prints the number of threads while all wait.
pub(crate) fn on_one_path(path: &Path, count: usize) -> Outcome<()> {
    let cache = open(path)?;
    let held = cache.begin_write()?;
    let written = start(std::iter::repeat_n(&cache, count));
    // Long enough for a thread per write to start, if there were one.
    std::thread::sleep(Duration::from_millis(500));
    println!("threads {}", threads()?);
    held.commit("")?;
    println!("written {}", written.iter().filter(|written| *written).count());
    println!("length {}", cache.read()?.map_or(0, |content| content.len()));
    Ok(())
}

/// Starts a write of each of `count` caches. Prints the largest number of threads until all are done.
pub(crate) fn on_many_paths(path: &Path, count: usize) -> Outcome<()> {
    let caches: Vec<TokenCache> =
        (0..count).map(|number| open(&path.join(format!("{number}.json")))).collect::<Outcome<_>>()?;
    let written = start(caches.iter());
    let mut most = 0;
    let mut done = 0;
    while done < count {
        most = most.max(threads()?);
        done += usize::from(written.recv_timeout(Duration::from_secs(60))?);
    }
    println!("threads {most}");
    println!("written {done}");
    Ok(())
}

fn open(path: &Path) -> Outcome<TokenCache> {
    let file = FilePersistence::new(path)?.durability(tokenkeep::options::Durability::Cached);
    Ok(TokenCache::new(std::sync::Arc::new(file)))
}

/// Begins a write of each cache in the order given. Each tells whether it was written.
fn start<'c>(caches: impl Iterator<Item = &'c TokenCache>) -> mpsc::Receiver<bool> {
    let (sender, written) = mpsc::channel();
    for cache in caches {
        let sender = sender.clone();
        let add = |access: WriteAccess| {
            let next = [access.content().unwrap_or_default(), b"x"].concat();
            access.commit(next)
        };
        let wait = WaitOptions::within(Duration::from_secs(60));
        cache.nonblocking().begin_write_waiting(&wait).then(move |begun| {
            let ok = begun.is_ok_and(|begun| begun.and_then(|access| add(access.into_blocking())).is_ok());
            // The receiver lives until all are done.
            let _ = sender.send(ok);
        });
    }
    written
}

fn threads() -> Outcome<usize> {
    Ok(std::fs::read_dir("/proc/self/task")?.count())
}
