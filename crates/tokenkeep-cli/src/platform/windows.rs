//! What only Windows knows, which is that caches are files that it encrypts: there is no keystore to have items in.

use std::path::Path;
use std::time::Duration;

use tokenkeep::storage::Keystore;
use tokenkeep::{Error, ErrorKind, Result, Secret};

use super::FileSystem;

/// Never made.
#[derive(Debug)]
pub(crate) enum Item {}

impl Keystore for Item {
    fn load(&self) -> Result<Option<Secret>> {
        match *self {}
    }

    fn save(&self, _content: &[u8]) -> Result<()> {
        match *self {}
    }

    fn delete(&self) -> Result<bool> {
        match *self {}
    }

    fn verify(&self) -> Result<()> {
        match *self {}
    }

    fn location(&self) -> String {
        match *self {}
    }
}

/// There is none.
pub(crate) fn item(_service: &str, _account: &str, _deadline: Duration) -> Result<Item> {
    Err(Error::new(ErrorKind::NotSupported, "On Windows caches are files, not items of a keystore")
        .remedy("Name the file with --cache-path"))
}

/// Not looked at.
pub(crate) fn file_system(_directory: &Path) -> FileSystem {
    FileSystem::default()
}
