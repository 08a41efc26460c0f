//! What stands between a file's bytes and a cache's content.

use std::borrow::Cow;
use std::fmt;

use crate::{Backend, Protection, Result, Secret};

/// Turns content into what may lie in a file, and back.
pub trait Protector: Send + Sync + fmt::Debug {
    /// The bytes to write for `content`. They need no wiping: either they are safe to show or `content` itself.
    ///
    /// # Errors
    /// Those of the mechanism behind it; see the implementation.
    fn protect<'a>(&self, content: &'a [u8]) -> Result<Cow<'a, [u8]>>;

    /// The content that `bytes`, read from a file and not empty, stand for.
    ///
    /// # Errors
    /// `Damaged` when they fail authentication with the right key; others as the mechanism has them.
    fn unprotect(&self, bytes: Secret) -> Result<Secret>;

    /// The kind of store that this protector makes of a file.
    fn backend(&self) -> Backend;

    /// Who can read what it protects.
    fn protection(&self) -> Protection;
}

/// No encryption: the file's mode, 0600, is all there is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

impl Protector for Plain {
    fn protect<'a>(&self, content: &'a [u8]) -> Result<Cow<'a, [u8]>> {
        Ok(Cow::Borrowed(content))
    }

    fn unprotect(&self, bytes: Secret) -> Result<Secret> {
        Ok(bytes)
    }

    fn backend(&self) -> Backend {
        Backend::PlaintextFile
    }

    fn protection(&self) -> Protection {
        Protection::Plaintext
    }
}
