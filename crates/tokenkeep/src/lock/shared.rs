//! Where the locks of things stand that have no file of their own, such as a keystore item shared by several caches.

use std::env;
use std::path::{Path, PathBuf};

use crate::atomic_file::fnv;
use crate::platform::files;
use crate::{Error, ErrorKind, Result, environment};

/// The path whose lock is that of the `kind` of thing called `name`. Its directory is this user's own, or will be when
/// the lock is taken.
///
/// In the user's data directory. Where that cannot be written, as in a container that runs as a user without a home,
/// in the runtime or the temporary directory, in a folder that belongs to this user alone. In a directory that all
/// users may write the folder is made at once, so that nobody else can make it first once it has been judged.
///
/// # Errors
/// That of the data directory when no place will do.
pub(super) fn path(kind: &str, name: &str) -> Result<PathBuf> {
    let file = file_name(kind, name);
    let mut first = None;
    let mut found = None;
    for directory in directories() {
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
            .remedy("Set HOME, XDG_RUNTIME_DIR or TMPDIR to a directory that can be written")
    })
}

/// The last part of that path.
pub(super) fn file_name(kind: &str, name: &str) -> String {
    // Nothing secret, and nothing that depends on nobody finding the same twice: at worst, two things share a lock.
    format!("{kind}-{:016x}", fnv(name.as_bytes()))
}

struct Candidate {
    path: PathBuf,
    /// Whether others may make something of that name.
    exposed: bool,
}

/// In the same order for all processes of a user that have the same environment.
fn directories() -> impl Iterator<Item = Candidate> {
    let own = |path: PathBuf| Candidate { path: path.join("tokenkeep").join("locks"), exposed: false };
    let data = environment::data_directory().filter(|path| path.is_absolute());
    let temporary =
        Candidate { path: env::temp_dir().join(format!("tokenkeep-{}", files::user())), exposed: true };
    data.map(own).into_iter().chain(files::runtime_directory().map(own)).chain([temporary])
}

fn judge(directory: &Candidate) -> Result<()> {
    let path = &directory.path;
    if directory.exposed {
        files::create_directory(path)?;
    }
    if path.is_dir() {
        files::require_own_directory(path)?;
    }
    // What is missing can be made where what exists can be written. A directory may also be there and yet on a file
    // system that is mounted read-only.
    let existing = path.ancestors().find(|directory| directory.exists()).unwrap_or(Path::new("/"));
    files::require_writable(existing)
}
