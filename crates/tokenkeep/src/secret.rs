//! Bytes that must not be printed and do not outlive their use.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, TryLockError};

use zeroize::{Zeroizing, optimization_barrier};

/// Content of a token cache: shared without copying, redacted in `Debug`, wiped when the last holder drops it.
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

/// What a secret's last holder wipes.
#[derive(PartialEq, Eq)]
struct Wiped(Zeroizing<Vec<u8>>);

impl Drop for Wiped {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut *self.0);
        wipe(&mut bytes);
        put_by(bytes);
    }
}

/// The memory of a secret that is gone, wiped, for the next one of its kind. What an allocator gives back to the system with
/// every cache that is written or read has to be given anew, page by page, which takes longer than writing into it.
static SPARE: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// What is worth putting by: less costs an allocator nothing, and more would be a program's for ever.
const SPARES: RangeInclusive<usize> = 64 * 1024..=8 * 1024 * 1024;

fn put_by(mut bytes: Vec<u8>) {
    if SPARES.contains(&bytes.capacity()) {
        bytes.clear();
        with_spare(|spare| {
            if spare.capacity() < bytes.capacity() {
                std::mem::swap(spare, &mut bytes);
            }
        });
    }
}

/// Never waits: in a process that was forked, whoever held it may not be there.
fn with_spare<T: Default>(work: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    match SPARE.try_lock() {
        Ok(mut spare) => work(&mut spare),
        Err(TryLockError::Poisoned(poisoned)) => work(&mut poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => T::default(),
    }
}

/// Room for a secret of `length` bytes.
pub(crate) fn room(length: usize) -> Vec<u8> {
    let spare = with_spare(|spare| {
        // Not for a fraction of it, which would then keep the rest.
        let fits = (length..=length.saturating_mul(2)).contains(&spare.capacity());
        if fits && SPARES.contains(&length) { std::mem::take(spare) } else { Vec::new() }
    });
    if spare.capacity() > 0 { spare } else { Vec::with_capacity(length) }
}

/// Overwrites all that `bytes` ever held. What `Zeroizing` does byte by byte in a build that is optimised for size, which
/// for a cache of five megabytes takes as long as writing it.
fn wipe(bytes: &mut Vec<u8>) {
    const ZEROS: [u8; 4096] = [0; 4096];
    bytes.resize(bytes.capacity(), 0);
    for part in bytes.chunks_mut(ZEROS.len()) {
        part.copy_from_slice(&ZEROS[..part.len()]);
    }
    optimization_barrier(bytes.as_slice());
}

impl Secret {
    /// Takes over `bytes`.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self::from_zeroizing(Zeroizing::new(bytes))
    }

    /// An empty buffer with room for a secret of `length` bytes, for [`Secret::new`]: where it can be, the memory of one
    /// that has been wiped, which the system need not give anew.
    ///
    /// ```
    /// let mut bytes = tokenkeep::Secret::room(7);
    /// bytes.extend_from_slice(b"a token");
    /// assert_eq!(tokenkeep::Secret::new(bytes).expose(), b"a token");
    /// ```
    pub fn room(length: usize) -> Vec<u8> {
        room(length)
    }

    pub(crate) fn from_zeroizing(bytes: Zeroizing<Vec<u8>>) -> Self {
        Self(Arc::new(Wiped(bytes)))
    }

    /// The bytes for changing in place; copied only if somebody else holds them too.
    pub(crate) fn into_zeroizing(self) -> Zeroizing<Vec<u8>> {
        match Arc::try_unwrap(self.0) {
            Ok(mut own) => std::mem::take(&mut own.0),
            Err(shared) => shared.0.clone(),
        }
    }

    /// The bytes in the clear. The name says what the caller is doing.
    pub fn expose(&self) -> &[u8] {
        &self.0.0
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.expose().len()
    }

    /// Whether there are no bytes at all.
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
        let mut own = room(bytes.len());
        own.extend_from_slice(bytes);
        Self::new(own)
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
    use super::{SPARES, Secret, wipe};

    #[test]
    fn everything_is_overwritten_also_what_was_cut_off() {
        let mut bytes = b"a secret of some length".repeat(1_000);
        let length = bytes.len();
        bytes.truncate(10);
        wipe(&mut bytes);
        assert!(bytes.len() >= length && bytes.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn memory_of_a_secret_that_is_gone_serves_the_next_one_of_its_size() {
        // More than other tests of this process use meanwhile.
        let length = SPARES.end() / 2 + 1;
        let again = || {
            drop(Secret::new(vec![7; length]));
            let bytes = Secret::room(length - 10);
            bytes.is_empty() && bytes.capacity() == length
        };
        // Another test may be at it in that very moment.
        assert!((0..100).any(|_| again()));
        drop(Secret::new(vec![7; length]));
        assert_eq!(Secret::room(length / 3).capacity(), length / 3, "not for a fraction of it");
        assert_eq!(Secret::room(SPARES.end() + 1).capacity(), SPARES.end() + 1);
    }
}
