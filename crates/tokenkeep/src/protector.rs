//! The layer between a file's bytes and a cache's content: none ([`Plain`]) or encryption ([`sealed`]).

pub(crate) mod sealed;

use std::borrow::Cow;
use std::fmt;

use crate::{Backend, Error, ErrorKind, Protection, Result, Secret};
use sealed::header;

/// Converts content into the bytes of a file, and back. The example `custom_protector` is complete.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("cache.sealed");
/// use tokenkeep::key_source::Passphrase;
/// use tokenkeep::{storage::{FilePersistence, Sealed}, Persistence, Protector};
///
/// let sealed = Sealed::new(Passphrase::new("correct horse battery staple"), "my-app/cache");
/// assert_eq!(sealed.protection().code(), "passphrase");
/// let file = FilePersistence::with_protector(path, sealed)?;
/// assert_eq!(file.info().backend.code(), "encrypted-file");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Protector: Send + Sync + fmt::Debug {
    /// Returns the bytes to write for `content`. They need no wiping: either they are not secret, or they are
    /// `content` itself.
    ///
    /// `replacing` has the first bytes of the file to be replaced, as many as [`head_length`] asks for; `None` if
    /// there is none. A protector refuses to replace a file for which it has no key.
    ///
    /// # Errors
    /// `MissingKey`, `WrongKey`, `KeyGone`, `UnknownFormat`, `Unprotected` for the existing file; otherwise those of
    /// the mechanism, see the implementation.
    ///
    /// [`head_length`]: Protector::head_length
    fn protect<'a>(&self, content: &'a [u8], replacing: Option<&[u8]>) -> Result<Cow<'a, [u8]>>;

    /// Returns the number of bytes of the file to be replaced that [`protect`](Protector::protect) needs.
    fn head_length(&self) -> usize {
        0
    }

    /// Returns the content of `bytes`, which were read from a file and are not empty.
    ///
    /// # Errors
    /// `Damaged` if they fail authentication with the right key, `Truncated` if their end is missing; `MissingKey`,
    /// `WrongKey`, `KeyGone`, `UnknownFormat` if the content cannot be decrypted; `Unprotected` if they are a
    /// plaintext cache that was never encrypted; others depend on the mechanism.
    fn unprotect(&self, bytes: Secret) -> Result<Secret>;

    /// Returns the kind of store that a file becomes with this protector.
    fn backend(&self) -> Backend;

    /// Returns who can read the protected content.
    fn protection(&self) -> Protection;

    /// Returns whether the content can still be read after a restart of the machine.
    fn survives_reboot(&self) -> bool {
        true
    }

    /// Returns sentences about a state that works but is weaker than it should be, for a warning at verification.
    ///
    /// # Errors
    /// Those of [`protect`](Protector::protect).
    fn remarks(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}

/// No encryption: only the file's mode, 0600, protects the content.
///
/// ```
/// use tokenkeep::{Protection, Protector, storage::Plain};
///
/// assert_eq!(&*Plain.protect(b"as it is", None)?, b"as it is");
/// assert_eq!(Plain.protection(), Protection::Plaintext);
/// # Ok::<(), tokenkeep::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl Protector for Plain {
    fn protect<'a>(&self, content: &'a [u8], replacing: Option<&[u8]>) -> Result<Cow<'a, [u8]>> {
        refuse_sealed(replacing.unwrap_or_default())?;
        Ok(Cow::Borrowed(content))
    }

    fn head_length(&self) -> usize {
        DATA_PROTECTION.len().max(header::MAGIC.len())
    }

    fn unprotect(&self, bytes: Secret) -> Result<Secret> {
        refuse_sealed(bytes.expose())?;
        Ok(bytes)
    }

    fn backend(&self) -> Backend {
        Backend::PlaintextFile
    }

    fn protection(&self) -> Protection {
        Protection::Plaintext
    }
}

/// The first bytes of everything that Windows' Data Protection API encrypts: a version, and the id of its provider.
const DATA_PROTECTION: [u8; 20] = [
    0x01, 0x00, 0x00, 0x00, 0xd0, 0x8c, 0x9d, 0xdf, 0x01, 0x15, 0xd1, 0x11, 0x8c, 0x7a, 0x00, 0xc0, 0x4f,
    0xc2, 0x97, 0xeb,
];

/// A program that lost its key or its configuration must not overwrite encrypted sign-ins, nor take them for damage.
pub(crate) fn refuse_sealed(bytes: &[u8]) -> Result<()> {
    refuse_data_protection(bytes)?;
    if !bytes.starts_with(&header::MAGIC) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::MissingKey, "The file is encrypted, and it was opened as plaintext")
        .remedy("Open it as an encrypted file with the key it was made with, or choose another path"))
}

fn refuse_data_protection(bytes: &[u8]) -> Result<()> {
    if !bytes.starts_with(&DATA_PROTECTION) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::MissingKey, "The file is encrypted by Windows, for a user of Windows")
        .remedy("Open it on Windows as that user, or choose another path"))
}
