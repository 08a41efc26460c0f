//! Examines the directories of caches: the file system, its locks, and the permissions.

use std::fs::{self, File};
use std::path::Path;

use tokenkeep::environment;
use tokenkeep::inspect::{self, FileSystem, quoted};

use super::report::{Finding, Section};
use crate::platform;

/// The heading of the section.
pub(super) const TITLE: &str = "places";

/// Examines the directory of the named cache, or the default directory.
pub(super) fn examine(named: Option<&Path>) -> Section {
    let mut section = Section::new(TITLE);
    let wanted = match named {
        Some(path) => std::path::absolute(path).ok().and_then(|path| path.parent().map(Path::to_owned)),
        None => environment::data_directory(),
    };
    let Some(directory) = wanted else {
        section.finding(Finding::problem(
            "no-home",
            "No home directory is known for this user, so that there is no place for a cache",
            if cfg!(windows) {
                "Set LOCALAPPDATA, or give the program a path for its cache"
            } else {
                "Set HOME, or give the program a path for its cache"
            },
        ));
        return section;
    };
    if let Some(path) = named.filter(|path| path.exists())
        && inspect::file_system(path).read_only
        && !inspect::file_system(&directory).read_only
    {
        let shown = path.display();
        section.finding(Finding::problem(
            "read-only",
            format!("{shown} is mounted read-only"),
            "Mount it for writing, or choose a cache path on a file system that can be written",
        ));
    }
    section.fact("directory", directory.display().to_string());
    let existing = directory.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/")).to_owned();
    if existing != directory {
        section.fact("state", format!("not there yet; it would be created in {}", existing.display()));
    }
    let file_system = inspect::file_system(&existing);
    section.fact("file system", describe(&file_system));
    section.fact("locks", locks(&existing));
    examine_file_system(&mut section, &existing, &file_system);
    examine_rights(&mut section, &existing, existing == directory);
    section
}

fn describe(file_system: &FileSystem) -> String {
    let name = file_system.name.as_deref().unwrap_or("unknown");
    let place =
        if file_system.remote { "shared with other machines, or served by a daemon" } else { "local" };
    let read_only = if file_system.read_only { ", mounted read-only" } else { "" };
    format!("{name}, {place}{read_only}")
}

/// Says whether flock works, tried on the directory itself, which changes nothing.
fn locks(directory: &Path) -> String {
    if cfg!(windows) {
        return "the system's own".to_owned();
    }
    match File::open(directory).map(|file| file.try_lock_shared()) {
        Ok(Ok(()) | Err(fs::TryLockError::WouldBlock)) => "flock works".to_owned(),
        Ok(Err(fs::TryLockError::Error(error))) => {
            format!("flock does not work ({error}): programs exclude each other by the existence of a file")
        }
        Err(error) => format!("unknown: {error}"),
    }
}

fn examine_file_system(section: &mut Section, directory: &Path, file_system: &FileSystem) {
    let shown = directory.display();
    if file_system.read_only {
        section.finding(Finding::problem(
            "read-only",
            format!("{shown} is on a file system that is mounted read-only"),
            "Choose a cache path on a file system that can be written",
        ));
    }
    if file_system.remote {
        let name = file_system.name.as_deref().unwrap_or("unknown");
        section.finding(Finding::warning(
            "remote-file-system",
            format!("{shown} is on {name}, where locks and times depend on other machines"),
            "Keep the cache on a local disk where you can; tokenkeep waits longer and reads more often here",
        ));
    }
}

/// Examines the permissions: whether this user may write there, and whether others may.
fn examine_rights(section: &mut Section, directory: &Path, is_the_one: bool) {
    let shown = directory.display();
    let status = match fs::metadata(directory) {
        Ok(status) => status,
        Err(error) => {
            section.finding(Finding::problem(
                "directory-unreadable",
                format!("{shown} cannot be looked at: {error}"),
                "Give this user access to it, or choose another cache path",
            ));
            return;
        }
    };
    let mode = platform::mode(&status);
    if let Some(mode) = mode {
        section.fact("permissions", format!("{mode:04o}"));
    }
    // The mode bits decide for the owner, and root may always write. The read-only attribute of Windows does not
    // protect a directory.
    let own = platform::is_own(&status);
    if own == Some(true) && mode.is_some_and(|mode| mode & 0o300 != 0o300) {
        section.finding(Finding::problem(
            "directory-read-only",
            format!("{shown} cannot be written: no sign-in can be kept there"),
            format!(
                "Choose another cache path, or give yourself the right to write: chmod u+wx {}",
                quoted(directory)
            ),
        ));
    }
    if own == Some(false) && is_the_one {
        section.finding(Finding::warning(
            "directory-of-another",
            format!("{shown} belongs to another user"),
            "Choose a cache path in a directory of your own",
        ));
    }
    // A directory with write permission for everyone and the sticky bit, such as /tmp, is in order.
    if mode.is_some_and(|mode| mode & 0o022 != 0 && mode & 0o1000 == 0) {
        section.finding(Finding::warning(
            "directory-open",
            format!("Other users may write to {shown}, and put files of their own in the place of a cache"),
            format!("Take the right from them: chmod go-w {}", quoted(directory)),
        ));
    }
}
