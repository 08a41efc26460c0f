//! Turns the operating system's file events into signals: events of the file itself, however it is replaced, and of
//! the directories above it, which may be removed and created again.
//!
//! The watches are on directories, not on the file, because a renamed file replaces the watched one. They are on the
//! file's directory and on the nearest existing directory above it, so that the creation of the directory itself is
//! noticed.

use std::path::{Component, Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::Signal;
use crate::platform::{FILE_EVENTS, directory, files};

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
            if let Some(sign) = sign_of(&event, &targets, FILE_EVENTS.own_spelling) {
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
            let wanted = directories_of(&targets, FILE_EVENTS.directories);
            for directory in &wanted {
                match self.watcher.watch(directory, RecursiveMode::NonRecursive) {
                    Ok(()) => self.armed.push(directory.clone()),
                    // It was removed in between.
                    Err(_) if !directory.is_dir() => {}
                    Err(error) => return Err(error),
                }
            }
            let settled = directories_of(&targets_of(&self.path), FILE_EVENTS.directories) == wanted;
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
            targets.push(files::plain_form(directory.join(name)));
        }
    }
    targets.sort_unstable();
    targets.dedup();
    targets
}

/// Returns the nearest existing directories above each target, `count` of each.
fn directories_of(targets: &[PathBuf], count: usize) -> Vec<PathBuf> {
    let mut directories: Vec<PathBuf> = Vec::new();
    for target in targets {
        let existing = target.ancestors().skip(1).filter(|directory| directory.is_dir());
        directories.extend(existing.take(count).map(Path::to_owned));
    }
    directories.sort_unstable();
    directories.dedup();
    directories
}

/// Returns the signal of an event; `None` if it concerns another file, or is only a read. `own_spelling`: whether the event
/// may spell the path otherwise.
fn sign_of(event: &notify::Result<Event>, targets: &[PathBuf], own_spelling: bool) -> Option<Signal> {
    let Ok(event) = event else { return Some(Signal::Sign { arm_again: true }) };
    if event.need_rescan() || event.paths.is_empty() {
        return Some(Signal::Sign { arm_again: true });
    }
    if let EventKind::Access(kind) = event.kind
        && kind != AccessKind::Close(AccessMode::Write)
    {
        return None;
    }
    let targets: Vec<PathBuf> = targets.iter().map(|target| folded(target, own_spelling)).collect();
    let paths = event.paths.iter().map(|path| folded(path, own_spelling));
    let mut hits = paths.filter(|path| targets.iter().any(|target| target.starts_with(path))).peekable();
    hits.peek()?;
    let arm_again = hits.any(|path| !targets.contains(&path));
    Some(Signal::Sign { arm_again })
}

/// Returns a path in which spellings of one name are equal: in lower case. A file system may compose letters beyond ASCII or
/// take them apart, so all names with such letters are equal, which at worst costs a look.
fn folded(path: &Path, own_spelling: bool) -> PathBuf {
    if !own_spelling {
        return path.to_owned();
    }
    let name = |part: Component<'_>| match part.as_os_str().to_str().filter(|name| name.is_ascii()) {
        Some(name) => name.to_ascii_lowercase(),
        None => "?".to_owned(),
    };
    path.components().map(name).collect()
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, ModifyKind};

    use super::*;

    fn sees(event: &str, own_spelling: bool) -> bool {
        let targets = [PathBuf::from("/home/ada/Ordner/Cache ü.json")];
        let event = Ok(Event::new(EventKind::Modify(ModifyKind::Any)).add_path(event.into()));
        sign_of(&event, &targets, own_spelling).is_some()
    }

    #[test]
    fn an_event_in_the_spelling_of_the_disk_is_recognised_where_systems_have_one() {
        for spelling in ["/home/ada/ordner/cache ü.json", "/home/ada/Ordner/CACHE u\u{308}.json"] {
            assert!(sees(spelling, true), "{spelling}");
            assert!(!sees(spelling, false), "on Linux it is another file: {spelling}");
        }
        assert!(!sees("/home/ada/Ordner/other.json", true));
    }

    #[test]
    fn a_removed_directory_is_noticed_by_the_event_of_a_directory_above() {
        let event = Ok(Event::new(EventKind::Create(CreateKind::Folder)).add_path("/home/ada/ordner".into()));
        let targets = [PathBuf::from("/home/ada/Ordner/cache.json")];
        assert!(matches!(sign_of(&event, &targets, true), Some(Signal::Sign { arm_again: true })));
    }

    #[test]
    fn one_directory_above_the_file_is_watched_where_events_come_from_everything_below() {
        let home = tempfile::tempdir().unwrap();
        let target = [home.path().join("missing/cache.json")];
        assert_eq!(directories_of(&target, 1), [home.path()], "until the directory is there");
        std::fs::create_dir(home.path().join("missing")).unwrap();
        assert_eq!(directories_of(&target, 1), [home.path().join("missing")]);
        assert_eq!(directories_of(&target, 2).len(), 2);
    }
}
