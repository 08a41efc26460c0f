//! What only Windows knows. From here inwards: [`dpapi`], encryption by the system; [`files`] and [`writing`], what the
//! core asks of files; [`lock_file`], the two lock files; [`access`], who may open what; [`process`], other processes;
//! [`sys`], the system's own functions and all unsafe code.

mod access;
pub(crate) mod dpapi;
pub(crate) mod files;
pub(crate) mod key_file;
#[path = "no_keyring.rs"]
pub(crate) mod keyring;
pub(crate) mod lock_file;
pub(crate) mod process;
mod sys;
pub(crate) mod writing;

use std::sync::Arc;

use super::{ItemNames, OwnStore};
use crate::{Result, options::Prompting};
use dpapi::DataProtection;

/// The platform's own store, for messages.
pub(crate) const OWN_STORE: &str = "a file encrypted by Windows";

/// A file that Windows encrypts for the user; it has no use for the names of an item, and asks nobody anything.
#[allow(clippy::unnecessary_wraps, reason = "elsewhere there are names that cannot be used")]
pub(crate) fn own_store(_names: &ItemNames<'_>, _prompting: Prompting) -> Result<OwnStore> {
    Ok(OwnStore::File(Arc::new(DataProtection::default())))
}
