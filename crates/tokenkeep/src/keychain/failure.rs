//! Translates the Security framework's status codes into errors with remedies.

use std::time::Duration;

use super::{Item, Status};
use crate::{Error, ErrorKind, options::Prompting};

/// Codes of `SecBase.h` that [`Status`] does not have.
const NOT_AVAILABLE: i32 = -25291;
const READ_ONLY: i32 = -25292;
const NO_SUCH_KEYCHAIN: i32 = -25294;
const NO_DEFAULT_KEYCHAIN: i32 = -25307;

pub(super) fn into_error(status: Status, what: &str, item: &Item) -> Error {
    let (kind, why, remedy) = match status {
        Status::INTERACTION_NOT_ALLOWED => (
            ErrorKind::StoreLocked,
            "the keychain is locked, or this program is not allowed to read the item without asking",
            "Unlock the login keychain (security unlock-keychain), or let the program ask; over ssh and in launch \
             daemons nobody can be asked",
        ),
        Status::USER_CANCELED => (
            ErrorKind::StoreLocked,
            "access was not granted when macOS asked for it",
            "Try again and choose Allow or Always Allow",
        ),
        Status::AUTH_FAILED => (
            ErrorKind::PermissionDenied,
            "this program may not use it, or the password of the keychain was wrong",
            "Allow the program in Keychain Access (the item's Access Control), or remove the item there and sign in again",
        ),
        Status::MISSING_ENTITLEMENT => (
            ErrorKind::StoreUnavailable,
            "the program is not signed for the data protection keychain or the access group",
            "Sign it with an application identifier and, for a group, with keychain-access-groups, or use the default keychain",
        ),
        Status(NOT_AVAILABLE | NO_SUCH_KEYCHAIN | NO_DEFAULT_KEYCHAIN) => (
            ErrorKind::StoreUnavailable,
            "there is no keychain for this user",
            "Sign in to the machine as this user once, or choose a default keychain (security default-keychain -s login.keychain)",
        ),
        Status(READ_ONLY) => (
            ErrorKind::PermissionDenied,
            "the keychain is read-only",
            "Give the user write access to the keychain's file",
        ),
        Status::ITEM_NOT_FOUND => {
            (ErrorKind::StoreFailed, "it disappeared while it was being used", "Try again")
        }
        Status(_) => (
            ErrorKind::StoreFailed,
            "the Security framework failed",
            "Look the number up with: security error NUMBER",
        ),
    };
    let Status(number) = status;
    Error::new(kind, format!("{why} (OSStatus {number})"))
        .within(&format!("{what} the keychain item {item}"))
        .remedy(remedy)
}

/// The error when neither the system nor the user answered in time.
pub(super) fn too_late(what: &str, item: &Item, prompting: Prompting, limit: Duration) -> Error {
    let millis = limit.as_millis();
    match prompting {
        Prompting::Never => {
            let text =
                format!("{what} the keychain item {item}: the Keychain did not answer within {millis} ms");
            Error::new(ErrorKind::StoreTimeout, text)
                .remedy("Try again; if that fails too, log out and in, which restarts the service behind it")
        }
        Prompting::Allowed { .. } => {
            let text = format!(
                "{what} the keychain item {item}: nobody answered macOS' question within {millis} ms"
            );
            Error::new(ErrorKind::StoreLocked, text).remedy("Try again and answer it")
        }
    }
}
