//! The Windows parts. From here inwards: [`dpapi`], encryption by the system; [`files`] and [`writing`], file
//! operations; [`lock_file`], the two lock files; [`access`], access lists; [`process`], other processes; [`answers`],
//! the meaning of error numbers; [`sys`], the system's functions and all unsafe code.

mod access;
mod answers;
pub(crate) mod directory;
pub(crate) mod dpapi;
pub(crate) mod files;
pub(crate) mod key_file;
#[path = "no_keyring.rs"]
pub(crate) mod keyring;
pub(crate) mod lock_file;
#[path = "no_portal.rs"]
pub(crate) mod portal;
pub(crate) mod process;
mod sys;
pub(crate) mod writing;

use std::sync::Arc;

#[cfg(feature = "watch")]
use super::FileEvents;
use super::{ItemRequest, OwnStore};
use crate::persistence::keystore::Keystore;
use crate::{Error, ErrorKind, Protector, Result, Secret, options::DataProtectionScope};
use dpapi::DataProtection;

/// How the system reports changes of files.
#[cfg(feature = "watch")]
pub(crate) const FILE_EVENTS: FileEvents = FileEvents { directories: 2, own_spelling: true };

/// The store that this platform protects best.
pub(crate) const OWN: OwnStore = OwnStore::DataProtection;

/// Windows has no keystore with items.
///
/// # Errors
/// `NotSupported`, always.
pub(crate) fn keystore_item(_request: &ItemRequest<'_>) -> Result<Arc<dyn Keystore>> {
    Err(Error::new(ErrorKind::NotSupported, "On Windows caches are files, not items of a keystore")
        .remedy("Choose a file that Windows encrypts, or another key"))
}

/// Encryption by Windows.
#[allow(clippy::unnecessary_wraps, reason = "other platforms do not have it")]
pub(crate) fn data_protection(
    scope: DataProtectionScope,
    entropy: Option<&Secret>,
) -> Result<Arc<dyn Protector>> {
    let protector = DataProtection::new(scope);
    Ok(Arc::new(match entropy {
        Some(entropy) => protector.entropy(entropy.expose()),
        None => protector,
    }))
}
