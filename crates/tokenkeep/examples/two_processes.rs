//! Two processes write one cache at the same time, and neither loses a write of the other.
//!
//! `cargo run --example two_processes -- [PATH]`

use std::error::Error;
use std::process::Command;

use tokenkeep::{TokenCache, options::Durability, storage::FilePersistence};

/// The number of writes of each process.
const WRITES: u32 = 100;

#[allow(clippy::print_stdout, reason = "an example may print")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().unwrap_or_else(|| "two-processes.cache".to_owned());
    // A plaintext file without fsync, to show only the lock.
    let file = FilePersistence::new(&path)?.durability(Durability::Cached);
    let cache = TokenCache::new(file);
    if arguments.next().is_some() {
        return Ok(count_up(&cache)?);
    }

    cache.clear()?;
    let mut other = Command::new(std::env::current_exe()?).arg(&path).arg("the other one").spawn()?;
    count_up(&cache)?;
    if !other.wait()?.success() {
        return Err("the other process has failed".into());
    }
    println!("{} of {} writes are there", stored(&cache)?, 2 * WRITES);
    Ok(())
}

fn count_up(cache: &TokenCache) -> tokenkeep::Result<()> {
    for _ in 0..WRITES {
        // `old` has all earlier writes of the other process.
        cache.update(|old| (number(old) + 1).to_string())?;
    }
    Ok(())
}

fn stored(cache: &TokenCache) -> tokenkeep::Result<u32> {
    Ok(number(cache.read()?.as_ref().map(|content| content.expose())))
}

fn number(content: Option<&[u8]>) -> u32 {
    content.and_then(|text| std::str::from_utf8(text).ok()?.parse().ok()).unwrap_or(0)
}
