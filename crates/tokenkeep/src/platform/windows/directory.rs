//! A name in a directory, by its path.
//!
//! Windows refuses to rename a directory in which a file is open, and both lock files are open while a cache is written.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};

use super::files;
use crate::Result;

/// A name in a directory.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry(PathBuf);

impl AsRef<Path> for Entry {
    fn as_ref(&self) -> &Path {
        self
    }
}

impl Deref for Entry {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Entry {
    /// A name for a lock that has no file.
    pub(crate) fn nowhere(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Another name in the same directory.
    pub(crate) fn named(&self, name: impl AsRef<OsStr>) -> Self {
        Self(self.0.with_file_name(name.as_ref()))
    }

    /// The name with `suffix` after it, in the same directory.
    pub(crate) fn with_suffix(&self, suffix: &str) -> Self {
        let mut name = self.0.as_os_str().to_owned();
        name.push(suffix);
        Self(name.into())
    }

    /// Returns the names in the directory; none if it cannot be read.
    pub(crate) fn names_beside(&self) -> Vec<OsString> {
        let entries = fs::read_dir(files::directory_of(&self.0)).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name()).collect()
    }

    /// The directory is still the same one: it holds the open lock files.
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "elsewhere it has to be looked at")]
    pub(crate) fn is_current(&self) -> Result<bool> {
        Ok(true)
    }

    /// Like [`Entry::is_current`].
    #[allow(clippy::unused_self, clippy::unnecessary_wraps, reason = "elsewhere it has to be looked at")]
    pub(crate) fn require_current(&self) -> Result<()> {
        Ok(())
    }
}

/// Resolves the directory of an absolute path. A final link stays as it is.
#[allow(clippy::unnecessary_wraps, reason = "elsewhere the directory is opened")]
pub(crate) fn locate(path: &Path) -> Result<Entry> {
    Ok(Entry(path.to_owned()))
}

/// Like [`locate`]; creates the directory and its missing parents.
///
/// # Errors
/// Like [`files::create_directory`].
pub(crate) fn locate_or_create(path: &Path) -> Result<Entry> {
    files::create_directory(files::directory_of(path))?;
    locate(path)
}

/// Returns the file that `path` stands for: itself. Links at the end of a cache path are refused, because Windows
/// does not show which account created one.
///
/// # Errors
/// `UnsafeFile` for a link, `Io`.
pub(crate) fn resolve(path: &Path) -> Result<Entry> {
    follow(&Entry(path.to_owned()))
}

/// Like [`resolve`], for an entry.
///
/// # Errors
/// Like [`resolve`].
pub(crate) fn follow(given: &Entry) -> Result<Entry> {
    if let Some(status) = files::status_at(given)?
        && status.is_symlink()
    {
        files::require_plain_file(given, &status)?;
    }
    Ok(given.clone())
}

/// Gives a file a second name.
pub(crate) fn link(from: &Path, to: &Path) -> io::Result<()> {
    files::retry(|| fs::hard_link(from, to))
}
