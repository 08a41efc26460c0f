//! The names of temporary files and of copies beside a cache, and the hashes and random numbers in names.

use std::ffi::OsString;
use std::path::Path;

use crate::{Error, ErrorKind, Result};

/// The longest file name that every file system takes, in bytes.
const LONGEST: usize = 255;

/// Returns an unused, unpredictable name for a temporary file beside `target`.
///
/// # Errors
/// `Io` if the operating system gives no random bytes.
pub(crate) fn temporary_name(target: &Path) -> Result<String> {
    Ok(format!("{}{:016x}.tmp", temporary_prefix(target), random()?))
}

/// Returns `.tk-<hash of the target's name>-`, which fits beside a name of 255 bytes and never matches another
/// cache's file.
pub(crate) fn temporary_prefix(target: &Path) -> String {
    format!(".tk-{:016x}-", name_hash(target))
}

/// Returns the name `<target><suffix>`, or `tk-<hash of the target's name><suffix>` where that is too long for a file name.
pub(crate) fn with_suffix(target: &Path, suffix: &str) -> OsString {
    let mut name = target.file_name().unwrap_or_default().to_owned();
    name.push(suffix);
    if name.len() > LONGEST {
        name = format!("tk-{:016x}{suffix}", name_hash(target)).into();
    }
    name
}

fn name_hash(target: &Path) -> u64 {
    fnv(target.file_name().unwrap_or_default().as_encoded_bytes())
}

/// FNV-1a. The result is part of names that every release must find again; it need not resist an attacker.
pub(crate) fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Returns an unpredictable number, so that another user cannot create a file of that name first.
///
/// # Errors
/// `Io` if the operating system gives no random bytes.
pub(crate) fn random() -> Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(|error| {
        Error::new(ErrorKind::Io, "The operating system gives no random bytes").because(error.to_string())
    })?;
    Ok(u64::from_le_bytes(bytes))
}
