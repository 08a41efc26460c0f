//! Windows' Data Protection API between a file and its content.
//!
//! The file is the system's output without a header of ours: every sibling library writes the same and reads ours.
//! The system never prompts here.

use std::borrow::Cow;
use std::fmt;
use std::io;

use windows_sys::Win32::Foundation::{
    ERROR_ACCESS_DENIED, ERROR_FILE_NOT_FOUND, ERROR_INVALID_DATA, ERROR_NO_SUCH_LOGON_SESSION,
    ERROR_PATH_NOT_FOUND, NTE_BAD_KEY_STATE, NTE_BAD_KEYSET, NTE_KEYSET_NOT_DEF, SEC_E_DELEGATION_REQUIRED,
};
use windows_sys::Win32::Security::Cryptography::{CRYPTPROTECT_LOCAL_MACHINE, CRYPTPROTECT_UI_FORBIDDEN};
use zeroize::Zeroizing;

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
        let sealed = sys::protect(content, self.entropy_bytes(), flags(self.scope))
            .map_err(|error| failure("Windows cannot encrypt the cache", error))?;
        Ok(Cow::Owned(sealed))
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
        sys::unprotect(sealed, self.entropy_bytes(), CRYPTPROTECT_UI_FORBIDDEN)
            .map(Secret::from_zeroizing)
            .map_err(|error| failure("Windows cannot decrypt the cache", error))
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

/// Translates the system's errors. Their numbers are not documented for these functions; these were observed.
fn failure(what: &str, error: io::Error) -> Error {
    let code = error.raw_os_error().unwrap_or(0);
    let is = |codes: &[u32]| codes.iter().any(|known| known.cast_signed() == code);
    // RPC_S_SERVER_UNAVAILABLE and RPC_S_CALL_FAILED of winerror.h.
    let service_is_silent = [1722, 1726];
    let (kind, why, remedy) = if is(&[ERROR_INVALID_DATA]) {
        (
            ErrorKind::Damaged,
            "it is damaged, or was encrypted with another entropy",
            "Give the entropy it was made with; if it is lost, remove the file and sign in again",
        )
    } else if is(&[ERROR_FILE_NOT_FOUND, ERROR_PATH_NOT_FOUND, ERROR_NO_SUCH_LOGON_SESSION]) {
        (
            ErrorKind::MissingKey,
            "the user's profile, with its keys, is not loaded",
            "Load the profile (for a service or an application pool: Load User Profile = true; for a scheduled task: \
             store the password), or use the scope LocalMachine",
        )
    } else if is(&[NTE_BAD_KEY_STATE.cast_unsigned()]) {
        (
            ErrorKind::WrongKey,
            "it was encrypted by another user or on another machine, or this user's password was reset by an administrator",
            "Run as the user who signed in; if that is this one, remove the file and sign in again",
        )
    } else if is(&[
        NTE_BAD_KEYSET.cast_unsigned(),
        NTE_KEYSET_NOT_DEF.cast_unsigned(),
        SEC_E_DELEGATION_REQUIRED.cast_unsigned(),
    ]) {
        (
            ErrorKind::MissingKey,
            "the key is not on this machine",
            "With a roaming profile, wait until it is here; in a domain, make sure that a domain controller can be reached",
        )
    } else if is(&service_is_silent) {
        (
            ErrorKind::StoreUnavailable,
            "the service that keeps the keys does not answer",
            "Start the services Cryptographic Services and Credential Manager, or try again when Windows has started",
        )
    } else if is(&[ERROR_ACCESS_DENIED]) {
        (
            ErrorKind::PermissionDenied,
            "this process may not use the user's keys",
            "Run it as the user who signed in, not under a restricted token",
        )
    } else {
        (ErrorKind::StoreFailed, "the Data Protection API failed", "Look into Windows' event log")
    };
    Error::new(kind, format!("{what}: {why}")).remedy(remedy).because(error)
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

    #[test]
    fn every_refusal_says_what_to_do() {
        let kind = |code: u32| {
            let error =
                failure("Windows cannot decrypt the cache", io::Error::from_raw_os_error(code.cast_signed()));
            assert!(error.to_string().contains(". "), "{error}");
            assert_eq!(error.os_code(), Some(code.cast_signed()));
            error.kind()
        };
        assert_eq!(kind(13), ErrorKind::Damaged);
        assert_eq!(kind(0x8009_000b), ErrorKind::WrongKey);
        assert_eq!(kind(2), ErrorKind::MissingKey, "the profile is not loaded");
        assert_eq!(kind(0x8009_0016), ErrorKind::MissingKey, "the key set does not exist");
        assert_eq!(kind(0x8009_0345), ErrorKind::MissingKey, "no domain controller");
        assert_eq!(kind(1722), ErrorKind::StoreUnavailable);
        assert_eq!(kind(5), ErrorKind::PermissionDenied);
        assert_eq!(kind(0x8009_0020), ErrorKind::StoreFailed);
    }
}
