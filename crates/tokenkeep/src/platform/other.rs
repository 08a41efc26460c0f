//! A Unix that nothing here was made for: files of every kind work, a keystore is a typed error.
//!
//! Type-checked for FreeBSD, run nowhere. What cannot be known is answered with care: every file system may be shared with
//! other machines, and nobody is believed dead without proof.

#[path = "no_keyring.rs"]
pub(crate) mod keyring;

use std::env::consts::OS;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{ItemRequest, OwnStore};
use crate::{Error, ErrorKind, Result, storage::Keystore};

pub(crate) use super::posix::{
    boot_id, coarse_clock, command, life, start, user_namespace, wait_for_truncation, writes,
};

/// The store that this platform protects best: none is known.
pub(crate) const OWN: OwnStore = OwnStore::Unknown;

/// The same, for messages.
pub(crate) const OWN_STORE: &str = "the system's keystore";

/// There is none.
///
/// # Errors
/// `NotSupported`, always.
pub(crate) fn keystore_item(_request: &ItemRequest<'_>) -> Result<Arc<dyn Keystore>> {
    Err(Error::new(ErrorKind::NotSupported, format!("tokenkeep knows no keystore of {OS}")).remedy(
        "Allow a fallback: an encrypted file with a passphrase or a key file, a plaintext file, or memory",
    ))
}

/// No system that is not known here is asked for it: where hard links are missing too, the lock file is made openly.
pub(crate) fn rename_unless_there(_from: &Path, _to: &Path) -> io::Result<()> {
    Err(rustix::io::Errno::NOSYS.into())
}

/// Makes sure that `length` bytes fit into the file. Not known here; a full disk is then noticed while the old content is
/// being written over, and that is written back.
#[allow(clippy::unnecessary_wraps, reason = "elsewhere there may be no room")]
pub(crate) fn reserve(_file: &File, _length: u64) -> io::Result<()> {
    Ok(())
}

/// What a file system promises about locks and times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileSystem {
    /// Other machines, or a daemon with a mind of its own, may change files behind our back.
    pub(crate) remote: bool,
}

/// Remote, for all that is known.
pub(crate) fn file_system(_directory: &Path) -> FileSystem {
    FileSystem { remote: true }
}
