//! Reads a key file of an operator after checking who else can read it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::directory;
use super::files::{effective_user, retry, status_of};
use crate::{Error, ErrorKind, Result};

/// The content of a key file.
pub(crate) struct Provided {
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    /// A warning about weak permissions.
    pub(crate) remark: Option<String>,
}

/// Reads the key file at `path`, up to `longest` bytes.
///
/// # Errors
/// `MissingKey` if there is none, `PermissionDenied`, `UnsafeFile` if it is not a regular file, belongs to another
/// user, or can be read or changed by others, `InvalidInput` if it is too long, `Io`.
pub(crate) fn read(path: &Path, longest: usize) -> Result<Provided> {
    let mut file = open(path)?;
    let status = status_of(&file, path)?;
    let refused =
        |what: String, remedy: &str| Err(Error::new(ErrorKind::UnsafeFile, what).at(path).remedy(remedy));
    if !status.is_file() {
        return refused(
            "The key file is no plain file".to_owned(),
            "Give the path of a file that holds the key",
        );
    }
    let (user, mode) = (effective_user(), status.mode() & 0o777);
    if status.uid() != user && status.uid() != 0 {
        let what = format!("The key file belongs to user {}, who could replace it", status.uid());
        return refused(what, "Give it to the user who runs this program, or to root");
    }
    if mode & 0o022 != 0 {
        let what = format!("Other users can change the key file (mode {mode:03o})");
        return refused(what, "Run chmod go-w on it");
    }
    if mode & 0o077 != 0 && status.uid() != 0 {
        let what = format!("Other users can read the key file (mode {mode:03o})");
        return refused(what, "Run chmod 600 on it, and think about who may have read it");
    }
    let remark = (mode & 0o004 != 0).then(|| {
        format!("Every user of this machine or container can read the key file {path:?} (mode {mode:03o}), which belongs to root")
    });
    let failed = |error| Error::io("Cannot read the key file", path, error);
    let mut bytes = Zeroizing::new(vec![0; longest + 1]);
    let mut length = 0;
    // A buffer that never grows, because growing would leave an unwiped copy of the key.
    while length < bytes.len() {
        match retry(|| file.read(&mut bytes[length..])).map_err(failed)? {
            0 => break,
            count => length += count,
        }
    }
    if length > longest {
        let text = format!("The key file is longer than {longest} bytes");
        return Err(Error::new(ErrorKind::InvalidInput, text)
            .at(path)
            .remedy("Give the path of a file that holds nothing but the key"));
    }
    bytes.truncate(length);
    Ok(Provided { bytes, remark })
}

/// Follows links, because mounted secrets are links; never waits for a writer of a FIFO.
fn open(path: &Path) -> Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let absolute =
        std::path::absolute(path).map_err(|error| Error::io("Cannot open the key file", path, error))?;
    directory::open_through_links(&absolute, flags)?.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            Error::new(ErrorKind::MissingKey, "The key is missing: there is no key file")
                .at(path)
                .remedy("Put the key there; nothing was written")
                .because(error)
        }
        io::ErrorKind::PermissionDenied => {
            Error::new(ErrorKind::PermissionDenied, "Cannot read the key file")
                .at(path)
                .remedy("Give the user who runs this program read access to it")
                .because(error)
        }
        _ => Error::io("Cannot open the key file", path, error),
    })
}
