//! What stands between a file's bytes and a cache's content: nothing ([`Plain`]) or encryption ([`sealed`]).

pub(crate) mod sealed;

use std::borrow::Cow;
use std::fmt;

use crate::{Backend, Error, ErrorKind, Protection, Result, Secret};
use sealed::header;

/// Turns content into what may lie in a file, and back. The example `custom_protector` is a whole one.
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
    /// The bytes to write for `content`. They need no wiping: either they are safe to show or `content` itself.
    ///
    /// `replacing` is the beginning of the file that they will take the place of, as long as [`head_length`] asks for;
    /// `None` when there is none. A protector refuses to replace what it has no key for.
    ///
    /// # Errors
    /// `MissingKey`, `WrongKey`, `KeyGone`, `UnknownFormat`, `Unprotected` for what stands there; otherwise those of
    /// the mechanism behind it, see the implementation.
    ///
    /// [`head_length`]: Protector::head_length
    fn protect<'a>(&self, content: &'a [u8], replacing: Option<&[u8]>) -> Result<Cow<'a, [u8]>>;

    /// How many of the first bytes of the file to be replaced [`protect`](Protector::protect) looks at.
    fn head_length(&self) -> usize {
        0
    }

    /// The content that `bytes`, read from a file and not empty, stand for.
    ///
    /// # Errors
    /// `Damaged` when they fail authentication with the right key, `Truncated` when their end is missing; `MissingKey`, `WrongKey`, `KeyGone`,
    /// `UnknownFormat` when it cannot be told; `Unprotected` when they are a plaintext cache that was never protected;
    /// others as the mechanism has them.
    fn unprotect(&self, bytes: Secret) -> Result<Secret>;

    /// The kind of store that this protector makes of a file.
    fn backend(&self) -> Backend;

    /// Who can read what it protects.
    fn protection(&self) -> Protection;

    /// Whether what it protects can still be opened after a restart of the machine.
    fn survives_reboot(&self) -> bool {
        true
    }

    /// Sentences about what works but is weaker than it should be, for a warning when the store is verified.
    ///
    /// # Errors
    /// Those of [`protect`](Protector::protect).
    fn remarks(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}

/// No encryption: the file's mode, 0600, is all there is.
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
        header::MAGIC.len()
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

/// A program that lost its key, or its configuration, must not write plaintext over somebody's encrypted sign-ins.
fn refuse_sealed(bytes: &[u8]) -> Result<()> {
    if !bytes.starts_with(&header::MAGIC) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::MissingKey, "The file is encrypted, and it was opened as plaintext")
        .remedy("Open it as an encrypted file with the key it was made with, or choose another path"))
}
