//! What only macOS knows. Type-checked on Linux; not yet run on a Mac.

#[path = "no_keyring.rs"]
pub(crate) mod keyring;
mod security;

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rustix::process::{Pid, test_kill_process};
use rustix::time::{ClockId, clock_gettime};

use super::process::{Life, UNKNOWN_BOOT};
use super::{ItemNames, OwnStore};
use crate::keychain::KeychainItem;
use crate::{Result, options::Prompting, storage::ItemShape};

/// The platform's own store, for messages.
pub(crate) const OWN_STORE: &str = "the Keychain";

/// An item of the default keychain. Of a shape only the service and the account mean anything here.
///
/// # Errors
/// `InvalidInput` for names that no item can have.
pub(crate) fn own_store(names: &ItemNames<'_>, prompting: Prompting) -> Result<OwnStore> {
    let (service, account) =
        names.shape.and_then(ItemShape::keychain).unwrap_or((names.service, names.account));
    Ok(OwnStore::Item(Arc::new(KeychainItem::new(service, account)?.prompting(prompting))))
}

/// The clock by which file systems stamp times, in nanoseconds since the epoch. APFS stamps with the full clock.
pub(crate) fn coarse_clock() -> i128 {
    let now = clock_gettime(ClockId::Realtime);
    i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec)
}

/// macOS tells the time of its start only through an interface without a safe wrapper. The record of a lock is then
/// of no known start, and on a remote file system never proves anybody dead.
pub(crate) fn boot_id() -> &'static str {
    UNKNOWN_BOOT
}

/// Whether `pid` still exists. A zombie does; its parent is expected to reap it.
pub(crate) fn life(pid: u32) -> Life {
    match i32::try_from(pid).ok().and_then(Pid::from_raw).map(test_kill_process) {
        Some(Err(rustix::io::Errno::SRCH)) | None => Life::Dead,
        Some(_) => Life::Unknown,
    }
}

/// There are none.
pub(crate) fn user_namespace() -> Option<u64> {
    None
}

/// Not to be had without unsafe code.
pub(crate) fn start(_pid: u32) -> Option<u64> {
    None
}

/// Not to be had without unsafe code.
pub(crate) fn command(_pid: u32) -> Option<String> {
    None
}

/// Makes sure that `length` bytes fit into the file. macOS reserves space only by making the file longer, which a reader
/// would see; a full disk is then noticed while the old content is being written over, and that is written back.
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

/// Remote unless the kernel calls it local. A file system that cannot be asked counts as local: what follows fails
/// with an error of its own.
pub(crate) fn file_system(directory: &Path) -> FileSystem {
    // MNT_LOCAL of mount(2).
    const LOCAL: u32 = 0x1000;
    let flags = rustix::fs::statfs(directory).map(|status| status.f_flags);
    FileSystem { remote: flags.is_ok_and(|flags| flags & LOCAL == 0) }
}
