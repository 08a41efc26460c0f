//! A persistence of the program itself: a directory with a file for each version, so that older ones can be restored.
//!
//! `cargo run --example custom_persistence -- [DIRECTORY]`
//!
//! The library provides the lock, the reload before a write and the merge. A persistence only loads and saves, and
//! gets a guard that proves the lock.
#![allow(clippy::disallowed_methods, reason = "an example with a directory of its own")]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use tokenkeep::{
    Backend, ErrorKind, Info, LockGuard, Persistence, Protection, Result, Secret, Stamp, TokenCache,
    storage::Loaded,
};

/// The number of versions to keep.
const KEPT: u64 = 3;

#[derive(Debug)]
struct Versions {
    directory: PathBuf,
    /// Names the cache and its lock; no file with this name is written.
    path: PathBuf,
}

impl Versions {
    fn new(directory: PathBuf) -> Self {
        let path = directory.join("cache");
        Self { directory, path }
    }

    fn file(&self, version: u64) -> PathBuf {
        self.directory.join(format!("{version}.version"))
    }

    /// Returns the newest version; 0 if there is none.
    fn newest(&self) -> Result<u64> {
        let names = match fs::read_dir(&self.directory) {
            Ok(names) => names,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
            Err(error) => {
                return Err(tokenkeep::Error::io("Cannot list the versions", &self.directory, error));
            }
        };
        let number = |name: &Path| name.file_stem()?.to_str()?.parse::<u64>().ok();
        let versions = names.filter_map(|name| number(name.ok()?.file_name().as_ref()));
        Ok(versions.max().unwrap_or(0))
    }
}

impl Persistence for Versions {
    fn path(&self) -> &Path {
        &self.path
    }

    fn stamp(&self) -> Result<Stamp> {
        // No number is ever used twice, so that equal numbers mean unchanged content, which is then not read again.
        Ok(Stamp::version(self.newest()?))
    }

    fn load(&self, _guard: Option<&LockGuard>) -> Result<Loaded> {
        let newest = self.newest()?;
        let stamp = Stamp::version(newest);
        if newest == 0 {
            return Ok(Loaded { content: None, stamp });
        }
        let path = self.file(newest);
        let content =
            fs::read(&path).map_err(|error| tokenkeep::Error::io("Cannot read a version", &path, error))?;
        // An empty version says that the content was deleted.
        Ok(Loaded { content: (!content.is_empty()).then(|| Secret::new(content)), stamp })
    }

    fn save(&self, _guard: &LockGuard, content: &[u8]) -> Result<Stamp> {
        let next = self.newest()? + 1;
        let (path, draft) = (self.file(next), self.directory.join("draft"));
        // Atomically: a version gets its name only when it is complete.
        let written = fs::write(&draft, content).and_then(|()| fs::rename(&draft, &path));
        written.map_err(|error| tokenkeep::Error::io("Cannot write a version", &path, error))?;
        if next > KEPT {
            // A failure leaves one file too many; the next write tries again.
            drop(fs::remove_file(self.file(next - KEPT)));
        }
        Ok(Stamp::version(next))
    }

    fn delete(&self, guard: &LockGuard) -> Result<bool> {
        if self.load(Some(guard))?.content.is_none() {
            return Ok(false);
        }
        self.save(guard, b"")?;
        let newest = self.newest()?;
        for version in newest.saturating_sub(KEPT)..newest {
            drop(fs::remove_file(self.file(version)));
        }
        Ok(true)
    }

    fn verify(&self) -> Result<()> {
        let probe = self.directory.join(format!("probe-{}", std::process::id()));
        let works = fs::create_dir_all(&self.directory).and_then(|()| fs::write(&probe, b"probe"));
        drop(fs::remove_file(&probe));
        works.map_err(|error| {
            tokenkeep::Error::new(ErrorKind::NotVerified, "The directory cannot be written").because(error)
        })
    }

    fn info(&self) -> Info {
        Info::new(Backend::Custom, Protection::Plaintext, self.directory.to_string_lossy())
    }
}

#[allow(clippy::print_stdout, reason = "an example may print")]
fn main() -> std::result::Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| "custom-persistence".to_owned());
    let store = Versions::new(directory.into());
    store.verify()?;
    let cache = TokenCache::new(store);
    for _ in 0..5 {
        cache.update(|old| [old.unwrap_or_default(), b"x"].concat())?;
    }
    let content = cache.read()?.ok_or("nothing is stored")?;
    println!("{} in {}", String::from_utf8_lossy(content.expose()), cache.info().location);
    Ok(())
}
