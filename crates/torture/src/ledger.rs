//! Content that shows every fault: for each process a number that only grows, and a checksum over all.
//!
//! A lost update shows as a smaller number, a torn read as a wrong checksum, an overlap as a taken witness. The
//! witness is an fcntl lock on a separate file, which the kernel releases when its process dies.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{FlockOperation, fcntl_lock};
use tokenkeep::{TokenCache, options::Durability, storage::FilePersistence};

use crate::Outcome;

type Numbers = BTreeMap<String, u64>;

/// `{"a":1,"b":2,"pad":"...","sum":N}`. The padding changes the length, so that a part of one content never completes
/// another.
fn compose(numbers: &Numbers) -> String {
    let total: u64 = numbers.values().sum();
    let body: String = numbers.iter().map(|(name, number)| format!("\"{name}\":{number},")).collect();
    let pad = "x".repeat(usize::try_from(total * 37 % 1500).unwrap_or(0));
    let body = format!("{body}\"pad\":\"{pad}\",");
    format!("{{{body}\"sum\":{}}}", sum(&body))
}

fn parse(content: &[u8]) -> Outcome<Numbers> {
    let text = std::str::from_utf8(content)?;
    let body = text.strip_prefix('{').and_then(|text| text.strip_suffix('}')).ok_or("torn: no braces")?;
    let (body, found) = body.rsplit_once("\"sum\":").ok_or("torn: no sum")?;
    if found.parse::<u64>()? != sum(body) {
        return Err("torn: wrong sum".into());
    }
    let mut numbers = Numbers::new();
    for field in body.split(',').filter(|field| !field.is_empty() && !field.starts_with("\"pad\"")) {
        let (name, number) = field.split_once(':').ok_or("torn: no colon")?;
        numbers.insert(name.trim_matches('"').to_owned(), number.parse()?);
    }
    Ok(numbers)
}

/// FNV-1a: any cheap hash is sufficient.
fn sum(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Makes `count` transactions, each adding one to this process's number. Prints `did N` after each acknowledged one.
pub(crate) fn count(path: &Path, name: &str, count: u64, durability: Durability) -> Outcome<()> {
    let cache = TokenCache::new(FilePersistence::new(path)?.durability(durability));
    let witness = witness(path)?;
    let mut acknowledged = None;
    for _ in 0..count {
        let access = cache.begin_write()?;
        fcntl_lock(&witness, FlockOperation::NonBlockingLockExclusive).map_err(|_| "overlap")?;
        let mut numbers = match access.content().filter(|content| !content.is_empty()) {
            Some(content) => parse(content)?,
            None => Numbers::new(),
        };
        let mine = numbers.entry(name.to_owned()).or_insert(0);
        if acknowledged.is_some_and(|before| before != *mine) {
            return Err(format!("lost: {acknowledged:?} was acknowledged and {mine} is there").into());
        }
        *mine += 1;
        let next = *mine;
        let content = compose(&numbers);
        fcntl_lock(&witness, FlockOperation::Unlock)?;
        access.commit(content)?;
        acknowledged = Some(next);
        let mut out = std::io::stdout().lock();
        writeln!(out, "did {next}")?;
        out.flush()?;
    }
    Ok(())
}

fn witness(path: &Path) -> Outcome<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".witness");
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).to_owned();
    Ok(options.open(PathBuf::from(name))?)
}

/// Reads until standard input closes. No number may decrease. Prints the number of reads.
pub(crate) fn watch(path: &Path) -> Outcome<()> {
    let stop = Arc::new(AtomicBool::new(false));
    {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            // The watch ends here, after an error too.
            drop(std::io::stdin().lock().read(&mut [0]));
            stop.store(true, Ordering::Relaxed);
        });
    }
    let cache = TokenCache::new(FilePersistence::new(path)?);
    let mut seen = Numbers::new();
    let mut reads = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        let Some(content) = cache.read()?.filter(|content| !content.is_empty()) else { continue };
        let now = parse(content.expose())?;
        for (name, before) in &seen {
            if now.get(name).is_none_or(|number| number < before) {
                return Err(format!("back in time: {name} was {before} and is {:?}", now.get(name)).into());
            }
        }
        seen = now;
        reads += 1;
    }
    println!("read {reads}");
    Ok(())
}
