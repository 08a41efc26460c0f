//! Windows' Data Protection API between a file and its content.
//!
//! The file is the system's output without a header of ours: every sibling library writes the same and reads ours.
//! The system never prompts here.

use std::borrow::Cow;
use std::fmt;

use windows_sys::Win32::Security::Cryptography::{CRYPTPROTECT_LOCAL_MACHINE, CRYPTPROTECT_UI_FORBIDDEN};
use zeroize::Zeroizing;

use super::answers::{self, Call};
use super::sys;
use crate::protector::sealed::header::MAGIC as SEALED;
use crate::protector::sealed::holds_plaintext;
use crate::{
    Backend, Error, ErrorKind, Protection, Protector, Result, Secret, options::DataProtectionScope, schema,
};

/// A protector that lets Windows encrypt, with keys that it keeps for the user or the machine.
///
/// A plaintext token cache found in the file's place is taken over by [`FilePersistence`](crate::storage::FilePersistence):
/// encrypted, read back and overwritten.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("cache.bin");
/// use tokenkeep::options::DataProtectionScope;
/// use tokenkeep::storage::{DataProtection, FilePersistence};
///
/// let protector = DataProtection::new(DataProtectionScope::CurrentUser).entropy(*b"a second secret");
/// let cache = tokenkeep::TokenCache::new(FilePersistence::with_protector(path, protector)?);
/// cache.update(|_| "{}")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Default)]
pub struct DataProtection {
    scope: DataProtectionScope,
    entropy: Option<Zeroizing<Vec<u8>>>,
}

impl DataProtection {
    /// Encryption for `scope`.
    pub fn new(scope: DataProtectionScope) -> Self {
        Self { scope, entropy: None }
    }

    /// Adds a second secret that decryption needs. Siblings that share the file must use the same. It is not stored
    /// anywhere; without it the content is lost.
    #[must_use]
    pub fn entropy(mut self, entropy: impl Into<Vec<u8>>) -> Self {
        let entropy = Zeroizing::new(entropy.into());
        // For the system, empty entropy and none are the same.
        self.entropy = (!entropy.is_empty()).then_some(entropy);
        self
    }

    fn entropy_bytes(&self) -> Option<&[u8]> {
        self.entropy.as_ref().map(|entropy| entropy.as_slice())
    }
}

/// The flags of an encryption.
fn flags(scope: DataProtectionScope) -> u32 {
    match scope {
        DataProtectionScope::CurrentUser => CRYPTPROTECT_UI_FORBIDDEN,
        DataProtectionScope::LocalMachine => CRYPTPROTECT_UI_FORBIDDEN | CRYPTPROTECT_LOCAL_MACHINE,
    }
}

impl fmt::Debug for DataProtection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataProtection")
            .field("scope", &self.scope)
            .field("has_entropy", &self.entropy.is_some())
            .finish()
    }
}

impl Protector for DataProtection {
    fn protect<'a>(&self, content: &'a [u8], replacing: Option<&[u8]>) -> Result<Cow<'a, [u8]>> {
        let old = replacing.unwrap_or_default();
        refuse_sealed(old)?;
        if holds_plaintext(old) {
            return Err(unprotected().remedy(
                "Load the cache before saving it: that encrypts it in its place; nothing was written",
            ));
        }
        let answer = sys::protect(content, self.entropy_bytes(), flags(self.scope));
        Ok(Cow::Owned(answers::bytes(Call::Protect, answer)?.to_vec()))
    }

    fn head_length(&self) -> usize {
        64
    }

    fn unprotect(&self, bytes: Secret) -> Result<Secret> {
        let sealed = bytes.expose();
        refuse_sealed(sealed)?;
        // A keystore's marker, without content to encrypt; it stays unchanged until the first write.
        if sealed.trim_ascii() == b"{}" {
            return Ok(bytes);
        }
        // No blob looks like a token cache; the system decides whether other bytes are a blob.
        if schema::is_msal_cache(sealed) {
            return Err(unprotected());
        }
        // The file contains the scope, so the flag would have no effect.
        let answer = sys::unprotect(sealed, self.entropy_bytes(), CRYPTPROTECT_UI_FORBIDDEN);
        answers::bytes(Call::Unprotect, answer).map(Secret::from_zeroizing)
    }

    fn backend(&self) -> Backend {
        Backend::DpapiFile
    }

    fn protection(&self) -> Protection {
        match self.scope {
            DataProtectionScope::CurrentUser => Protection::OsUser,
            DataProtectionScope::LocalMachine => Protection::OsMachine,
        }
    }
}

fn unprotected() -> Error {
    Error::new(ErrorKind::Unprotected, "A plaintext cache stands where one that Windows encrypted belongs")
}

fn refuse_sealed(bytes: &[u8]) -> Result<()> {
    if !bytes.starts_with(&SEALED) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::MissingKey, "The file is encrypted with a key that is not Windows' own")
        .remedy("Open it as an encrypted file with the key it was made with, or choose another path"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wine does not distinguish the scopes, so the test checks the flags of the call.
    #[test]
    fn the_scope_that_was_asked_for_is_what_the_system_is_told_and_it_never_asks_a_person() {
        assert_eq!(flags(DataProtectionScope::CurrentUser), 1);
        assert_eq!(flags(DataProtectionScope::LocalMachine), 5);
    }
}
