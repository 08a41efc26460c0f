//! The Windows parts. Windows encrypts caches in files, so there are no keystore items; Ctrl-C calls a function of
//! the process.

use std::path::Path;
use std::time::Duration;

use tokenkeep::storage::Keystore;
use tokenkeep::{Error, ErrorKind, Result, Secret};

use super::FileSystem;

/// Has no values.
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

/// Always an error: there are no keystore items.
pub(crate) fn item(_service: &str, _account: &str, _deadline: Duration) -> Result<Item> {
    Err(Error::new(ErrorKind::NotSupported, "On Windows caches are files, not items of a keystore")
        .remedy("Name the file with --cache-path"))
}

/// Not determined.
pub(crate) fn file_system(_directory: &Path) -> FileSystem {
    FileSystem::default()
}

/// Calls `pressed` for every Ctrl-C and Ctrl-Break. Closing the console ends the process. If the handler cannot be
/// installed, Ctrl-C ends the process.
pub(crate) fn on_interrupt(pressed: impl FnMut() + Send + 'static) {
    drop(ctrlc::set_handler(pressed));
}
