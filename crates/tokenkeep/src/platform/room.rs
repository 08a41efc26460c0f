//! Memory for the content of a file, whose size another program has chosen.

use std::path::Path;

use zeroize::Zeroizing;

use crate::{Error, ErrorKind, Result};

/// No token cache is larger. A thousand accounts with ten tokens each take 30 MB.
pub(crate) const LARGEST: u64 = 256 << 20;

/// Refuses a size that no token cache has. A sparse file of any size costs nothing to make.
///
/// # Errors
/// `UnsafeFile`.
pub(crate) fn require_plausible(size: u64, path: &Path) -> Result<()> {
    if size <= LARGEST {
        return Ok(());
    }
    let text = format!("A token cache has at most {} MB, and this has {size} bytes", LARGEST >> 20);
    Err(Error::new(ErrorKind::UnsafeFile, text).at(path).remedy("Move the file away; then sign in again"))
}

/// Returns a buffer for a file of this size that never grows: growing would leave an unwiped copy of the secret behind.
///
/// # Errors
/// `UnsafeFile` for a size that no token cache has; `Io` if there is not enough memory.
pub(crate) fn for_file(size: u64, path: &Path) -> Result<Zeroizing<Vec<u8>>> {
    require_plausible(size, path)?;
    let mut bytes = Zeroizing::new(Vec::new());
    // Room for one byte more than expected lets the read that finds the end fit, and 64 keep std from probing with a buffer
    // of its own.
    let room = usize::try_from(size).unwrap_or(usize::MAX).saturating_add(1).max(64);
    bytes.try_reserve_exact(room).map_err(|error| {
        Error::new(ErrorKind::Io, format!("There is not enough memory for the {size} bytes of the file"))
            .at(path)
            .because(error)
    })?;
    Ok(bytes)
}
