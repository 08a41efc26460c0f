//! A Unix without platform code of its own: files work, a keystore is a typed error.
//!
//! Type-checked for FreeBSD, run nowhere. Unknown properties get the safe answer: every file system may be shared
//! with other machines, and no process counts as dead without proof.

#[path = "no_keyring.rs"]
pub(crate) mod keyring;
#[path = "no_portal.rs"]
pub(crate) mod portal;

use std::env::consts::OS;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

#[cfg(feature = "watch")]
use super::FileEvents;
use super::{FileSystemKind, ItemRequest, OwnStore};
use crate::inspect::FileSystem;
use crate::persistence::keystore::Keystore;
use crate::stamp::belief::Times;
use crate::{Error, ErrorKind, Result};

pub(crate) use super::posix::{
    PLACE, boot_id, coarse_clock, command, flock_holders, is_unmapped, life, open_without_links, read_link,
    set_mode, start, user_namespace, user_of, wait_for_truncation, writes,
};

/// How the system reports changes of files.
#[cfg(feature = "watch")]
pub(crate) const FILE_EVENTS: FileEvents = FileEvents { directories: 2, own_spelling: false };

/// The store that this platform protects best: none is known.
pub(crate) const OWN: OwnStore = OwnStore::Unknown;

/// There is no keystore.
///
/// # Errors
/// `NotSupported`, always.
pub(crate) fn keystore_item(_request: &ItemRequest<'_>) -> Result<Arc<dyn Keystore>> {
    Err(Error::new(ErrorKind::NotSupported, format!("tokenkeep knows no keystore of {OS}")).remedy(
        "Allow a fallback: an encrypted file with a passphrase or a key file, a plaintext file, or memory",
    ))
}

/// Not available here: if hard links are missing too, the lock file is created openly.
pub(crate) fn rename_unless_there(
    _from: &File,
    _name: &std::ffi::OsStr,
    _to: &File,
    _new_name: &std::ffi::OsStr,
) -> io::Result<()> {
    Err(rustix::io::Errno::NOSYS.into())
}

/// Does not reserve space. A full disk is detected while the old content is being overwritten, and the old content is
/// written back.
#[allow(clippy::unnecessary_wraps, reason = "elsewhere there may be no room")]
pub(crate) fn reserve(_file: &File, _length: u64) -> io::Result<()> {
    Ok(())
}

/// Remote, because nothing is known.
pub(crate) fn is_remote(_directory: &Path) -> bool {
    true
}

/// Remote, because nothing is known.
pub(crate) fn kind_of(_file: &File) -> FileSystemKind {
    FileSystemKind { remote: true, times: Times::Unknown }
}

/// Unknown.
pub(crate) fn times_at(_path: &Path) -> Times {
    Times::Unknown
}

/// Remote, because nothing is known.
pub(crate) fn file_system(_directory: &Path) -> FileSystem {
    FileSystem { name: None, remote: true, read_only: false }
}
