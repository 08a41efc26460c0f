//! Where the locks of things stand that have no file of their own, such as a keystore item shared by several caches.

use std::env;
use std::path::{Path, PathBuf};

use crate::atomic_file::fnv;
use crate::platform::files;
use crate::{Error, ErrorKind, Result, environment};

/// The path whose lock is that of the `kind` of thing called `name`; its directory exists afterwards.
///
/// In the user's data directory. Where that cannot be written, as in a container that runs as a user without a home,
/// in the runtime or the temporary directory, in a folder that belongs to this user alone.
///
/// # Errors
/// That of the data directory when no place will do.
pub(super) fn path(kind: &str, name: &str) -> Result<PathBuf> {
    let file = format!("{kind}-{:016x}", fnv(name.as_bytes()));
    let mut first = None;
    for directory in directories() {
        match prepare(&directory) {
            Ok(()) => return Ok(directory.join(file)),
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(first
        .unwrap_or_else(|| Error::new(ErrorKind::InvalidInput, "No directory is known for this user's locks"))
        .remedy("Set HOME, XDG_RUNTIME_DIR or TMPDIR to a directory that can be written"))
}

/// In the same order for all processes of a user that have the same environment.
fn directories() -> impl Iterator<Item = PathBuf> {
    let data = environment::data_directory().filter(|path| path.is_absolute());
    let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    let temporary = env::temp_dir().join(format!("tokenkeep-{}", files::effective_user()));
    let own = |path: PathBuf| path.join("tokenkeep").join("locks");
    data.map(own).into_iter().chain(runtime.map(own)).chain([temporary])
}

fn prepare(directory: &Path) -> Result<()> {
    files::create_directory(directory)?;
    files::require_own_directory(directory)?;
    // A directory may be there and yet on a file system that is mounted read-only.
    files::require_writable(directory)
}
