//! Turns the operating system's file events into signals: events of the file itself, however it is replaced, and of
//! the directories above it, which may be removed and created again.
//!
//! The watches are on directories, not on the file, because a renamed file replaces the watched one. They are on the
//! file's directory and on the nearest existing directory above it, so that the creation of the directory itself is
//! noticed.

use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::Signal;
use crate::platform::{directory, files};

/// If directories change all the time, their next event causes another try.
const TRIES: usize = 5;

/// The watcher of the system's events.
#[derive(Debug)]
pub(super) struct Signs {
    path: PathBuf,
    watcher: RecommendedWatcher,
    /// All names under which the system may report the file.
    targets: Arc<Mutex<Vec<PathBuf>>>,
    armed: Vec<PathBuf>,
}

impl Signs {
    /// Creates it without watches; see [`Signs::arm`].
    pub(super) fn new(path: &Path, signals: Sender<Signal>) -> notify::Result<Self> {
        let targets = Arc::new(Mutex::new(vec![path.to_owned()]));
        let known = Arc::clone(&targets);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let targets = known.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(sign) = sign_of(&event, &targets) {
                // The receiving thread may have ended.
                let _ = signals.send(sign);
            }
        })?;
        Ok(Self { path: path.to_owned(), watcher, targets, armed: Vec::new() })
    }

    /// Watches the directories that exist now. Changes before it returns may go unnoticed.
    ///
    /// # Errors
    /// The system's, such as its limit on watches.
    pub(super) fn arm(&mut self) -> notify::Result<()> {
        for _ in 0..TRIES {
            // A directory that was removed and created again is not watched any more, although it has the same name.
            for directory in self.armed.drain(..) {
                // It may be gone.
                let _ = self.watcher.unwatch(&directory);
            }
            let targets = targets_of(&self.path);
            let wanted = directories_of(&targets);
            for directory in &wanted {
                match self.watcher.watch(directory, RecursiveMode::NonRecursive) {
                    Ok(()) => self.armed.push(directory.clone()),
                    // It was removed in between.
                    Err(_) if !directory.is_dir() => {}
                    Err(error) => return Err(error),
                }
            }
            let settled = directories_of(&targets_of(&self.path)) == wanted;
            *self.targets.lock().unwrap_or_else(PoisonError::into_inner) = targets;
            if settled {
                break;
            }
        }
        Ok(())
    }
}

/// Returns the file's own path, the target of a final link, and both paths with all links resolved.
fn targets_of(path: &Path) -> Vec<PathBuf> {
    let mut targets = vec![path.to_owned()];
    targets.extend(directory::resolve(path).ok().map(|target| target.to_path_buf()));
    for index in 0..targets.len() {
        let real = files::directory_of(&targets[index]).canonicalize();
        if let (Ok(directory), Some(name)) = (real, targets[index].file_name()) {
            let real = directory.join(name);
            targets.push(real);
        }
    }
    targets.sort_unstable();
    targets.dedup();
    targets
}

fn directories_of(targets: &[PathBuf]) -> Vec<PathBuf> {
    let mut directories: Vec<PathBuf> = Vec::new();
    for target in targets {
        let existing = target.ancestors().skip(1).filter(|directory| directory.is_dir());
        directories.extend(existing.take(2).map(Path::to_owned));
    }
    directories.sort_unstable();
    directories.dedup();
    directories
}

/// Returns the signal of an event; `None` if it concerns another file, or is only a read.
fn sign_of(event: &notify::Result<Event>, targets: &[PathBuf]) -> Option<Signal> {
    let Ok(event) = event else { return Some(Signal::Sign { arm_again: true }) };
    if event.need_rescan() || event.paths.is_empty() {
        return Some(Signal::Sign { arm_again: true });
    }
    if let EventKind::Access(kind) = event.kind
        && kind != AccessKind::Close(AccessMode::Write)
    {
        return None;
    }
    let hit = |path: &&PathBuf| targets.iter().any(|target| target.starts_with(path));
    let mut hits = event.paths.iter().filter(hit).peekable();
    hits.peek()?;
    let arm_again = hits.any(|path| !targets.contains(path));
    Some(Signal::Sign { arm_again })
}
