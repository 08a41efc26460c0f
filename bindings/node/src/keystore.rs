//! The keystores of this platform.

use std::path::Path;

use tokenkeep::KeystorePersistence;

use crate::failure::Failure;

/// A cache in an item of the Secret Service, with its marker at `path`.
#[cfg(target_os = "linux")]
pub(crate) fn secret_service(
    path: &Path,
    service: &str,
    account: &str,
    prompt: bool,
) -> Result<KeystorePersistence, Failure> {
    use tokenkeep::{Prompting, SecretServiceItem};
    let prompting = if prompt { Prompting::allowed() } else { Prompting::Never };
    let item = SecretServiceItem::new(service, account)?.prompting(prompting);
    Ok(KeystorePersistence::new(path, item)?)
}

/// This platform has no Secret Service.
#[cfg(not(target_os = "linux"))]
pub(crate) fn secret_service(_: &Path, _: &str, _: &str, _: bool) -> Result<KeystorePersistence, Failure> {
    use tokenkeep::{Error, ErrorKind};
    Err(Error::new(ErrorKind::NotSupported, "The Secret Service exists only on Linux").into())
}
