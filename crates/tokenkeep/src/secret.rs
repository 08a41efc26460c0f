//! Bytes that must not be printed and are wiped after use.

use std::fmt;
use std::sync::Arc;

use zeroize::{Zeroizing, optimization_barrier};

/// Content of a token cache: shared without copying, redacted in `Debug`, wiped when the last owner drops it.
///
/// ```
/// let secret = tokenkeep::Secret::from("a token");
/// assert_eq!(secret.expose(), b"a token");
/// assert_eq!(format!("{secret:?}"), "Secret(7 bytes)");
///
/// let taken_over = tokenkeep::Secret::new(vec![1, 2, 3]); // without a copy
/// assert!(taken_over.len() == 3 && !taken_over.is_empty());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Arc<Wiped>);

/// Bytes that are overwritten when they are dropped: 4 KB at a time, where `Zeroizing` writes byte by byte in a build that is
/// optimised for size, which takes as long as writing the cache file.
#[derive(PartialEq, Eq)]
struct Wiped(Vec<u8>);

impl Drop for Wiped {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Overwrites the whole capacity of `bytes`.
fn wipe(bytes: &mut Vec<u8>) {
    const ZEROS: [u8; 4096] = [0; 4096];
    bytes.resize(bytes.capacity(), 0);
    for part in bytes.chunks_mut(ZEROS.len()) {
        part.copy_from_slice(&ZEROS[..part.len()]);
    }
    optimization_barrier(bytes.as_slice());
}

impl Secret {
    /// Takes ownership of `bytes`.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Wiped(bytes)))
    }

    pub(crate) fn from_zeroizing(mut bytes: Zeroizing<Vec<u8>>) -> Self {
        Self::new(std::mem::take(&mut *bytes))
    }

    /// Returns the bytes for changing in place; copies them only if they have another owner.
    pub(crate) fn into_zeroizing(self) -> Zeroizing<Vec<u8>> {
        match Arc::try_unwrap(self.0) {
            Ok(mut own) => Zeroizing::new(std::mem::take(&mut own.0)),
            Err(shared) => Zeroizing::new(shared.0.clone()),
        }
    }

    /// Returns the bytes in plaintext. The name makes the disclosure visible in the caller's code.
    pub fn expose(&self) -> &[u8] {
        &self.0.0
    }

    /// Returns the length in bytes.
    pub fn len(&self) -> usize {
        self.expose().len()
    }

    /// Returns whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.expose().is_empty()
    }
}

impl From<Vec<u8>> for Secret {
    fn from(bytes: Vec<u8>) -> Self {
        Self::new(bytes)
    }
}

impl From<&[u8]> for Secret {
    fn from(bytes: &[u8]) -> Self {
        Self::new(bytes.to_vec())
    }
}

impl<const N: usize> From<&[u8; N]> for Secret {
    fn from(bytes: &[u8; N]) -> Self {
        Self::new(bytes.to_vec())
    }
}

impl<const N: usize> From<[u8; N]> for Secret {
    fn from(bytes: [u8; N]) -> Self {
        Self::new(bytes.to_vec())
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::from(text.as_bytes())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text.into_bytes())
    }
}

impl AsRef<[u8]> for Secret {
    fn as_ref(&self) -> &[u8] {
        self.expose()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::wipe;

    #[test]
    fn everything_is_overwritten_also_what_was_cut_off() {
        let mut bytes = b"a secret of some length".repeat(1_000);
        let length = bytes.len();
        bytes.truncate(10);
        wipe(&mut bytes);
        assert!(bytes.len() >= length && bytes.iter().all(|byte| *byte == 0));
    }
}
