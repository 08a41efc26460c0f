//! The private lock file: one inode for ever, on which our own processes exclude each other by flock.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::super::files::{self, retry};
use super::turns::{self, Turn};
use super::{Paths, cannot_link, is_at, is_unsupported, try_lock};
use crate::atomic_file;
use crate::platform::writing;
use crate::{Error, ErrorKind, Result};

/// The private lock file, open and, where the file system can, flocked.
#[derive(Debug)]
pub(crate) struct Private {
    file: File,
    /// Its device and inode.
    identity: (u64, u64),
    /// `false` on a file system without flock: then only the sibling file excludes.
    flocked: bool,
    /// Who took it: a child forked meanwhile has the file open too, but the lock is not its own to release.
    owner: u32,
}

impl Private {
    fn new((file, identity): Opened, flocked: bool) -> Self {
        Self { file, identity, flocked, owner: std::process::id() }
    }

    /// Takes the private lock if it is free.
    pub(crate) fn attempt(paths: &Paths) -> Result<Option<Self>> {
        let opened = open(paths)?;
        match try_lock(&opened.0) {
            Ok(true) => {
                let private = Self::new(opened, true);
                // Other machines' clocks tell another time.
                let ours = paths.remote || !turns::somebody_waits(&private.file);
                Ok(ours.then_some(private))
            }
            Ok(false) => Ok(None),
            Err(error) if is_unsupported(&error) => Ok(Some(Self::new(opened, false))),
            Err(error) => Err(cannot_lock(paths, error)),
        }
    }

    /// Waits until the private lock is free and it is our turn, and takes it.
    pub(crate) fn block(paths: &Paths) -> Result<Self> {
        let opened = open(paths)?;
        let file = &opened.0;
        let lock = || retry(|| file.lock()).map_err(|error| cannot_lock(paths, error));
        if paths.remote {
            lock()?;
            return Ok(Self::new(opened, true));
        }
        let mut turn = Turn::note(file);
        lock()?;
        while turn.is_anothers(file) {
            retry(|| file.unlock()).map_err(|error| cannot_lock(paths, error))?;
            Turn::pause();
            lock()?;
        }
        turn.withdraw(file);
        Ok(Self::new(opened, true))
    }

    /// Whether the path still names the file that is held.
    pub(crate) fn is_current(&self, paths: &Paths) -> Result<bool> {
        is_at(&paths.private, self.identity)
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn identity(&self) -> (u64, u64) {
        self.identity
    }

    /// Whether this process took it, and not one that forked this one.
    pub(super) fn is_own(&self) -> bool {
        self.owner == std::process::id()
    }

    /// As if a process that was forked just now held it.
    #[cfg(test)]
    pub(super) fn as_in_a_forked_child(&mut self) {
        self.owner = self.owner.wrapping_add(1);
    }

    pub(super) fn is_flocked(&self) -> bool {
        self.flocked
    }
}

impl Drop for Private {
    fn drop(&mut self) {
        if self.flocked && self.is_own() {
            // Explicitly, because a child forked meanwhile keeps the open file, and with it the lock, alive. Failing
            // leaves it to the close that follows.
            let _ = retry(|| self.file.unlock());
        }
    }
}

fn cannot_lock(paths: &Paths, error: io::Error) -> Error {
    Error::io("Cannot lock the private lock file", &paths.private, error)
}

/// The file with its device and inode.
type Opened = (File, (u64, u64));

fn open(paths: &Paths) -> Result<Opened> {
    let path = &paths.private;
    // Two rounds suffice unless the file is removed over and over.
    for _ in 0..100 {
        match retry(|| files::careful().read(true).write(true).open(path)) {
            Ok(file) => {
                let status = paths.require_ours(path, &file)?;
                return Ok((file, files::identity(&status)));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(paths)?,
            Err(error) => return Err(files::open_failed(path, error)),
        }
    }
    Err(Error::new(ErrorKind::Io, "The private lock file is removed again and again").at(path))
}

/// Makes the private file if nobody else does. It gets its name last: killed between its creation and its mode or
/// owner, we would leave a file that locks its rightful user out for ever.
fn create(paths: &Paths) -> Result<()> {
    let path = &paths.private;
    let failed = |error| Error::io("Cannot create the lock file", path, error);
    let temporary = atomic_file::temporary_path(&paths.target)?;
    let file = retry(|| files::careful().read(true).write(true).create_new(true).open(&temporary))
        .map_err(failed)?;
    let finished = paths.finish_new(&temporary, &file);
    let linked = finished.map(|()| retry(|| fs::hard_link(&temporary, path)));
    writing::remove_persistently(&temporary);
    match linked? {
        Err(error) if cannot_link(&error) => create_in_place(paths, path),
        // Somebody else was faster; or a writer that sweeps took the file for a dead one's, and we try again.
        Err(error) if matches!(error.kind(), io::ErrorKind::AlreadyExists | io::ErrorKind::NotFound) => {
            Ok(())
        }
        outcome => outcome.map_err(failed),
    }
}

fn create_in_place(paths: &Paths, path: &Path) -> Result<()> {
    match retry(|| files::careful().read(true).write(true).create_new(true).open(path)) {
        Ok(file) => paths.finish_new(path, &file),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(Error::io("Cannot create the lock file", path, error)),
    }
}
