//! The macOS parts. Type-checked on Linux; not yet run on a Mac.

#[path = "no_keyring.rs"]
pub(crate) mod keyring;
#[path = "no_portal.rs"]
pub(crate) mod portal;
mod security;

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{RenameFlags, StatFs, renameat_with};

#[cfg(feature = "watch")]
use super::FileEvents;
use super::{FileSystemKind, ItemRequest, OwnStore};
use crate::Result;
use crate::inspect::FileSystem;
use crate::keychain::KeychainItem;
use crate::persistence::keystore::Keystore;
use crate::stamp::belief::Times;

pub(crate) use super::posix::{
    PLACE, boot_id, coarse_clock, command, flock_holders, is_unmapped, life, open_without_links, read_link,
    set_mode, start, user_namespace, user_of, wait_for_truncation, writes,
};

/// How the system reports changes of files.
#[cfg(feature = "watch")]
pub(crate) const FILE_EVENTS: FileEvents = FileEvents { directories: 1, own_spelling: true };

/// The store that this platform protects best.
pub(crate) const OWN: OwnStore = OwnStore::Keychain;

/// Returns an item of the default keychain.
///
/// # Errors
/// `InvalidInput` for names that no item can have.
pub(crate) fn keystore_item(request: &ItemRequest<'_>) -> Result<Arc<dyn Keystore>> {
    super::keychain_item(request, |service, account| KeychainItem::new(service, account))
}

/// Renames a file of one directory to a name of another unless that is taken.
pub(crate) fn rename_unless_there(
    from: &File,
    name: &std::ffi::OsStr,
    to: &File,
    new_name: &std::ffi::OsStr,
) -> io::Result<()> {
    Ok(renameat_with(from, name, to, new_name, RenameFlags::NOREPLACE)?)
}

/// Reserves space for `length` bytes in the file. macOS can do this only by making the file longer, which a reader
/// would see. A full disk is therefore detected while the old content is being overwritten, and the old content is
/// written back.
#[allow(clippy::unnecessary_wraps, reason = "elsewhere there may be no room")]
pub(crate) fn reserve(_file: &File, _length: u64) -> io::Result<()> {
    Ok(())
}

/// Returns whether other machines may change the files of an existing directory: unless the kernel calls it local. One
/// that cannot be queried counts as local: the next call fails with its own error.
pub(crate) fn is_remote(directory: &Path) -> bool {
    file_system(directory).remote
}

/// Returns the kind of file system that has an open file or directory.
pub(crate) fn kind_of(file: &File) -> FileSystemKind {
    let status = rustix::fs::fstatfs(file);
    let remote = status.as_ref().is_ok_and(|status| !is_local(status));
    FileSystemKind { remote, times: times(status) }
}

/// Returns the times of the file system that has a file which is not open.
pub(crate) fn times_at(path: &Path) -> Times {
    times(rustix::fs::statfs(path))
}

/// APFS keeps nanoseconds. HFS+ keeps whole seconds, and another file system is not known.
fn times(status: rustix::io::Result<StatFs>) -> Times {
    match status.is_ok_and(|status| is_local(&status) && name(&status) == "apfs") {
        true => Times::Kept { grain: 0 },
        false => Times::Unknown,
    }
}

/// Describes the file system of an existing directory.
pub(crate) fn file_system(directory: &Path) -> FileSystem {
    // MNT_RDONLY of mount(2).
    const READ_ONLY: u32 = 0x1;
    match rustix::fs::statfs(directory) {
        Ok(status) => FileSystem {
            name: Some(name(&status)),
            remote: !is_local(&status),
            read_only: status.f_flags & READ_ONLY != 0,
        },
        Err(_) => FileSystem { name: None, remote: false, read_only: false },
    }
}

fn is_local(status: &StatFs) -> bool {
    // MNT_LOCAL of mount(2).
    const LOCAL: u32 = 0x1000;
    status.f_flags & LOCAL != 0
}

fn name(status: &StatFs) -> String {
    let bytes =
        status.f_fstypename.iter().map(|letter| letter.cast_unsigned()).take_while(|letter| *letter != 0);
    bytes.map(char::from).collect()
}
