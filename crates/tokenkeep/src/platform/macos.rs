//! The macOS parts. Type-checked on Linux; not yet run on a Mac.

#[path = "no_keyring.rs"]
pub(crate) mod keyring;
mod security;

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::{ItemRequest, OwnStore};
use crate::Result;
use crate::item_shape::ItemShape;
use crate::keychain::KeychainItem;
use crate::persistence::keystore::Keystore;

pub(crate) use super::posix::{
    boot_id, coarse_clock, command, life, start, user_namespace, wait_for_truncation, writes,
};

/// The store that this platform protects best.
pub(crate) const OWN: OwnStore = OwnStore::Keychain;

/// Its name, for messages.
pub(crate) const OWN_STORE: &str = "the Keychain";

/// Returns an item of the default keychain. Of a shape, only the service and the account apply here.
///
/// # Errors
/// `InvalidInput` for names that no item can have.
pub(crate) fn keystore_item(request: &ItemRequest<'_>) -> Result<Arc<dyn Keystore>> {
    let names = (request.service, request.account);
    let (service, account) = request.shape.and_then(ItemShape::keychain).unwrap_or(names);
    let item = KeychainItem::new(service, account)?.prompting(request.prompting);
    Ok(Arc::new(match request.deadline {
        Some(deadline) => item.deadline(deadline),
        None => item,
    }))
}

/// Renames a file unless the target exists.
pub(crate) fn rename_unless_there(from: &Path, to: &Path) -> io::Result<()> {
    Ok(renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE)?)
}

/// Reserves space for `length` bytes in the file. macOS can do this only by making the file longer, which a reader
/// would see. A full disk is therefore detected while the old content is being overwritten, and the old content is
/// written back.
#[allow(clippy::unnecessary_wraps, reason = "elsewhere there may be no room")]
pub(crate) fn reserve(_file: &File, _length: u64) -> io::Result<()> {
    Ok(())
}

/// The properties of a file system that locks and times depend on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileSystem {
    /// Other machines, or a daemon, may change its files.
    pub(crate) remote: bool,
}

/// Remote unless the kernel calls it local. A file system that cannot be queried counts as local: the next call fails
/// with its own error.
pub(crate) fn file_system(directory: &Path) -> FileSystem {
    // MNT_LOCAL of mount(2).
    const LOCAL: u32 = 0x1000;
    let flags = rustix::fs::statfs(directory).map(|status| status.f_flags);
    FileSystem { remote: flags.is_ok_and(|flags| flags & LOCAL == 0) }
}
