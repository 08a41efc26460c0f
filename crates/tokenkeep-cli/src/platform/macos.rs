//! The macOS parts: the Keychain. Type-checked on Linux; not yet run on a Mac.

use std::path::Path;
use std::time::Duration;

use tokenkeep::Result;
use tokenkeep::keychain::KeychainItem;

use super::FileSystem;

/// An item of this system's keystore.
pub(crate) type Item = KeychainItem;

/// Returns the item with these names, with a deadline and without prompts.
pub(crate) fn item(service: &str, account: &str, deadline: Duration) -> Result<Item> {
    Ok(KeychainItem::new(service, account)?.deadline(deadline))
}

/// Unknown, because statfs(2) needs unsafe code.
pub(crate) fn file_system(_directory: &Path) -> FileSystem {
    FileSystem::default()
}
