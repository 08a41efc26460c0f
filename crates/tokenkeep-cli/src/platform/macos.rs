//! What only macOS knows: the Keychain. Type-checked on Linux; not yet run on a Mac.

use std::path::Path;
use std::time::Duration;

use tokenkeep::Result;
use tokenkeep::keychain::KeychainItem;

use super::FileSystem;

/// An item of this system's keystore.
pub(crate) type Item = KeychainItem;

/// The item of these names, asked for within `deadline` and without a prompt.
pub(crate) fn item(service: &str, account: &str, deadline: Duration) -> Result<Item> {
    Ok(KeychainItem::new(service, account)?.deadline(deadline))
}

/// Not to be had without unsafe code.
pub(crate) fn file_system(_directory: &Path) -> FileSystem {
    FileSystem::default()
}
