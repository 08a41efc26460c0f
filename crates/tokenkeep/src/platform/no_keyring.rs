//! The stand-in for the kernel keyring on systems without one.

use zeroize::Zeroizing;

use crate::{Error, ErrorKind, Result};

/// Never opened.
#[derive(Debug)]
pub(crate) struct Keyring {
    pub(crate) persistent: bool,
}

impl Keyring {
    /// # Errors
    /// `NotSupported`, always.
    pub(crate) fn open() -> Result<Self> {
        Err(not_supported())
    }

    pub(crate) fn read(&self, _name: &str) -> Result<Option<Zeroizing<Vec<u8>>>> {
        Err(not_supported())
    }

    pub(crate) fn add(&self, _name: &str, _bytes: &[u8]) -> Result<()> {
        Err(not_supported())
    }
}

fn not_supported() -> Error {
    Error::new(ErrorKind::NotSupported, "Only Linux keeps keys in its kernel")
        .remedy("Choose the system's keystore, a passphrase or a key file")
}
