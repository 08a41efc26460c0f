//! The directory of locks that have no cache file, such as those of keystore items shared by several caches.

use std::env;
use std::path::{Path, PathBuf};

use crate::names::fnv;
use crate::platform::files;
use crate::{Error, ErrorKind, Result, environment};

/// Returns the lock path for the thing `name` of this `kind`. Its directory belongs to this user alone, or will when
/// the lock is acquired.
///
/// It is in the directory of the user's log-in, which does not depend on the environment: a program in a snap, in a unit of
/// systemd or in the terminal of an editor has another data directory, and the same keystore. Without a log-in it is in the
/// data directory. If that is not writable, as in a container whose user has no home directory, it is in the runtime or the
/// temporary directory, in a folder that belongs to this user alone. In the directory of the log-in and in one that all users
/// may write, the folder is created at once: a sandbox may refuse it there, and no other user can create it between the check
/// and its use.
///
/// # Errors
/// That of the data directory if no directory is usable.
pub(super) fn path(kind: &str, name: &str) -> Result<PathBuf> {
    let file = file_name(kind, name);
    let mut first = None;
    let mut found = None;
    for directory in
        directories(files::login_directory().filter(|path| files::require_own_directory(path).is_ok()))
    {
        match judge(&directory) {
            Ok(()) => {
                found = Some(directory.path.join(file));
                break;
            }
            Err(error) => first = first.or(Some(error)),
        }
    }
    found.ok_or_else(|| {
        first
            .unwrap_or_else(|| {
                Error::new(ErrorKind::InvalidInput, "No directory is known for this user's locks")
            })
            .remedy(if cfg!(windows) {
                "Set LOCALAPPDATA or TEMP to a directory that can be written"
            } else {
                "Set HOME, XDG_RUNTIME_DIR or TMPDIR to a directory that can be written"
            })
    })
}

/// Returns the last part of that path.
pub(super) fn file_name(kind: &str, name: &str) -> String {
    // Not a secret, and a collision does no harm: two things then share a lock.
    format!("{kind}-{:016x}", fnv(name.as_bytes()))
}

struct Candidate {
    path: PathBuf,
    /// Whether it is created at once.
    at_once: bool,
}

/// In the same order for all processes of a user with the same environment; with a log-in, of all.
fn directories(login: Option<PathBuf>) -> impl Iterator<Item = Candidate> {
    let own = |path: PathBuf| Candidate { path: path.join("tokenkeep").join("locks"), at_once: false };
    let of_login = login.map(|path| Candidate { at_once: true, ..own(path) });
    let data = environment::data_directory().filter(|path| path.is_absolute());
    let temporary =
        Candidate { path: env::temp_dir().join(format!("tokenkeep-{}", files::user())), at_once: true };
    of_login.into_iter().chain(data.map(own)).chain(files::runtime_directory().map(own)).chain([temporary])
}

fn judge(directory: &Candidate) -> Result<()> {
    let path = &directory.path;
    if directory.at_once {
        files::create_directory(path)?;
    }
    if path.is_dir() {
        files::require_own_directory(path)?;
    }
    // A missing directory can be created if its nearest existing parent is writable. An existing directory may still
    // be on a read-only file system.
    let existing = path.ancestors().find(|directory| directory.exists()).unwrap_or(Path::new("/"));
    files::require_writable(existing)
}
