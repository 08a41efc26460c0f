//! The stand-in for the desktop's portal on systems without one.

use std::time::Duration;

use zeroize::Zeroizing;

use crate::options::Prompting;
use crate::{Error, ErrorKind, Result};

/// # Errors
/// `NotSupported`, always.
pub(crate) fn secret(
    _address: Option<&str>,
    _deadline: Duration,
    _prompting: Prompting,
) -> Result<Zeroizing<Vec<u8>>> {
    Err(Error::new(ErrorKind::NotSupported, "Only Linux has a portal that keeps secrets")
        .remedy("Choose the system's keystore, a passphrase or a key file"))
}
