//! The stores of this platform. What another platform has is an error here.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokenkeep::key_source::KeySource;
use tokenkeep::{
    options::Prompting,
    storage::{FilePersistence, KeystorePersistence},
};

use crate::failure::Failure;

/// A prompt may stand for `prompt` milliseconds; 0 allows none.
#[allow(dead_code, reason = "Windows has no prompts")]
fn prompting(prompt: u32) -> Prompting {
    match prompt {
        0 => Prompting::Never,
        limit => Prompting::Allowed { limit: Duration::from_millis(limit.into()) },
    }
}

#[cfg(target_os = "linux")]
mod platform {
    use super::*;

    fn item(
        service: &str,
        account: &str,
        prompt: u32,
    ) -> Result<tokenkeep::storage::SecretServiceItem, Failure> {
        Ok(tokenkeep::storage::SecretServiceItem::new(service, account)?.prompting(prompting(prompt)))
    }

    pub(crate) fn secret_service(
        path: &Path,
        service: &str,
        account: &str,
        prompt: u32,
    ) -> Result<KeystorePersistence, Failure> {
        Ok(KeystorePersistence::new(path, item(service, account, prompt)?)?)
    }

    pub(crate) fn key(service: &str, account: &str, prompt: u32) -> Result<Arc<dyn KeySource>, Failure> {
        Ok(Arc::new(tokenkeep::key_source::KeystoreItem::new(item(service, account, prompt)?)))
    }
}

#[cfg(target_os = "macos")]
mod platform {
    use tokenkeep::keychain::KeychainItem;

    use super::*;

    fn item(service: &str, account: &str, prompt: u32) -> Result<KeychainItem, Failure> {
        Ok(KeychainItem::new(service, account)?.prompting(prompting(prompt)))
    }

    pub(crate) fn keychain(
        path: &Path,
        service: &str,
        account: &str,
        prompt: u32,
    ) -> Result<KeystorePersistence, Failure> {
        Ok(KeystorePersistence::new(path, item(service, account, prompt)?)?)
    }

    pub(crate) fn key(service: &str, account: &str, prompt: u32) -> Result<Arc<dyn KeySource>, Failure> {
        Ok(Arc::new(tokenkeep::key_source::KeystoreItem::new(item(service, account, prompt)?)))
    }
}

/// A cache in an item of the Secret Service, with its marker at `path`.
pub(crate) fn secret_service(
    path: &Path,
    service: &str,
    account: &str,
    prompt: u32,
) -> Result<KeystorePersistence, Failure> {
    #[cfg(target_os = "linux")]
    return platform::secret_service(path, service, account, prompt);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (path, service, account, prompt);
        Err(unsupported("The Secret Service exists only on Linux"))
    }
}

/// A cache in an item of the Keychain, with its marker at `path`.
pub(crate) fn keychain(
    path: &Path,
    service: &str,
    account: &str,
    prompt: u32,
) -> Result<KeystorePersistence, Failure> {
    #[cfg(target_os = "macos")]
    return platform::keychain(path, service, account, prompt);
    #[cfg(not(target_os = "macos"))]
    {
        let _ = (path, service, account, prompt);
        Err(unsupported("The Keychain exists only on macOS"))
    }
}

/// A cache in a file that Windows encrypts: for the machine, or for the user.
pub(crate) fn data_protection(
    path: &Path,
    machine: bool,
    entropy: Option<&str>,
) -> Result<FilePersistence, Failure> {
    #[cfg(windows)]
    {
        use tokenkeep::{options::DataProtectionScope, storage::DataProtection};
        let scope =
            if machine { DataProtectionScope::LocalMachine } else { DataProtectionScope::CurrentUser };
        let protector = DataProtection::new(scope).entropy(entropy.unwrap_or_default());
        Ok(FilePersistence::with_protector(path, protector)?)
    }
    #[cfg(not(windows))]
    {
        let _ = (path, machine, entropy);
        Err(unsupported("Dpapi is not supported on this platform"))
    }
}

/// A key in an item of the platform's keystore.
pub(crate) fn key(service: &str, account: &str, prompt: u32) -> Result<Arc<dyn KeySource>, Failure> {
    #[cfg(any(target_os = "linux", target_os = "macos"))]
    return platform::key(service, account, prompt);
    #[cfg(not(any(target_os = "linux", target_os = "macos")))]
    {
        let _ = (service, account, prompt);
        Err(unsupported("This platform has no keystore with items"))
    }
}

fn unsupported(why: &str) -> Failure {
    use tokenkeep::{Error, ErrorKind};
    Error::new(ErrorKind::NotSupported, why).into()
}
