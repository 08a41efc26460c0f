//! The keystores of this platform.

use std::path::Path;
use std::sync::Arc;

use tokenkeep::KeystorePersistence;
use tokenkeep::key_source::KeySource;

use crate::failure::Failure;

#[cfg(target_os = "linux")]
fn item(service: &str, account: &str, prompt: u32) -> Result<tokenkeep::SecretServiceItem, Failure> {
    use std::time::Duration;
    use tokenkeep::{Prompting, SecretServiceItem};
    let prompting = match prompt {
        0 => Prompting::Never,
        limit => Prompting::Allowed { limit: Duration::from_millis(limit.into()) },
    };
    Ok(SecretServiceItem::new(service, account)?.prompting(prompting))
}

/// A cache in an item of the Secret Service, with its marker at `path`. A prompt may stand for `prompt` milliseconds; 0
/// allows none.
#[cfg(target_os = "linux")]
pub(crate) fn secret_service(
    path: &Path,
    service: &str,
    account: &str,
    prompt: u32,
) -> Result<KeystorePersistence, Failure> {
    Ok(KeystorePersistence::new(path, item(service, account, prompt)?)?)
}

/// A key in an item of the platform's keystore, prompting as [`secret_service`].
#[cfg(target_os = "linux")]
pub(crate) fn key(service: &str, account: &str, prompt: u32) -> Result<Arc<dyn KeySource>, Failure> {
    Ok(Arc::new(tokenkeep::key_source::KeystoreItem::new(item(service, account, prompt)?)))
}

/// This platform has no Secret Service.
#[cfg(not(target_os = "linux"))]
pub(crate) fn secret_service(_: &Path, _: &str, _: &str, _: u32) -> Result<KeystorePersistence, Failure> {
    Err(unsupported("The Secret Service exists only on Linux"))
}

/// This platform's keystore is not part of this version.
#[cfg(not(target_os = "linux"))]
pub(crate) fn key(_: &str, _: &str, _: u32) -> Result<Arc<dyn KeySource>, Failure> {
    Err(unsupported("Keys in this platform's keystore are not part of this version"))
}

#[cfg(not(target_os = "linux"))]
fn unsupported(why: &str) -> Failure {
    use tokenkeep::{Error, ErrorKind};
    Error::new(ErrorKind::NotSupported, why).into()
}
