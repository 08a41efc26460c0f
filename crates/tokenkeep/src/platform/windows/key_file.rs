//! Reads a key file of an operator after checking who else can read it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

use super::access;
use super::answers::is_absence;
use super::files::{retry, status_of};
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
/// `MissingKey` if there is none, `PermissionDenied`, `UnsafeFile` if it is not a regular file, or can be read or
/// changed by all users, `InvalidInput` if it is too long, `Io`.
pub(crate) fn read(path: &Path, longest: usize) -> Result<Provided> {
    let failed = |error| Error::io("Cannot read the key file", path, error);
    let mut file = open(path)?;
    let refused =
        |what: &str, remedy: &str| Err(Error::new(ErrorKind::UnsafeFile, what).at(path).remedy(remedy));
    if status_of(&file, path)?.is_dir() {
        return refused("The key file is no plain file", "Give the path of a file that holds the key");
    }
    if access::crowd_has(&file, access::CHANGE).map_err(failed)? {
        return refused(
            "Other users can change the key file",
            "Let nobody but the user who runs this program and administrators write it",
        );
    }
    if access::crowd_has(&file, access::READ).map_err(failed)? {
        return refused(
            "Other users can read the key file",
            "Let nobody but the user who runs this program and administrators read it, and think about who may have",
        );
    }
    let mut bytes = Zeroizing::new(vec![0; longest + 1]);
    let mut length = 0;
    // A buffer that never grows, because growing would leave an unwiped copy of the key.
    while length < bytes.len() {
        match file.read(&mut bytes[length..]).map_err(failed)? {
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
    Ok(Provided { bytes, remark: None })
}

/// Follows links, because mounted secrets are links.
fn open(path: &Path) -> Result<File> {
    retry(|| File::open(path)).map_err(|error| match error.kind() {
        _ if is_absence(&error) => {
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
