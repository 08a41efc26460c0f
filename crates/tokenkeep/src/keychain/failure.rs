//! Translates the Security framework's status codes into errors with remedies.

use std::time::Duration;

use super::calls::Unfinished;
use super::{Item, Status};
use crate::{Error, ErrorKind, options::Prompting};

/// Codes of `SecBase.h`, `MacErrors.h` and `CSCommon.h` that [`Status`] does not have.
const WRITE_PERMISSION: i32 = -61;
const NO_ACCESS_FOR_ITEM: i32 = -25243;
const NOT_AVAILABLE: i32 = -25291;
const READ_ONLY: i32 = -25292;
const NO_SUCH_KEYCHAIN: i32 = -25294;
const INVALID_KEYCHAIN: i32 = -25295;
const INTERACTION_REQUIRED: i32 = -25315;
const IN_DARK_WAKE: i32 = -25320;
const STATIC_CODE_NOT_FOUND: i32 = -67068;
const STATIC_CODE_CHANGED: i32 = -67034;
const SIGNATURE_FAILED: i32 = -67061;

/// Codes above this are an error number of the kernel for the keychain's file.
const UNIX: i32 = 100_000;
const UNIX_EPERM: i32 = UNIX + 1;
const UNIX_ENOENT: i32 = UNIX + 2;
const UNIX_EACCES: i32 = UNIX + 13;
const UNIX_ENOSPC: i32 = UNIX + 28;
const UNIX_EROFS: i32 = UNIX + 30;

/// The end of a remedy where a program is not allowed to read an item: each write by one program takes the permission
/// from the others.
const SHARED: &str = "where several programs share a cache, keep its key in the Keychain and its content in an encrypted \
                      file (key: { type: \"keystore\" }; KeystoreItem in Rust)";

pub(super) fn into_error(
    why: Unfinished,
    what: &str,
    item: &Item,
    prompting: Prompting,
    deadline: Duration,
) -> Error {
    let about =
        |kind, text: String| Error::new(kind, text).within(&format!("{what} the keychain item {item}"));
    match why {
        Unfinished::Refused(status) => {
            let (kind, text, remedy) = refusal(status, item, prompting != Prompting::Never);
            about(kind, format!("{text} (OSStatus {})", status.0)).remedy(remedy)
        }
        Unfinished::Unanswered => match prompting {
            Prompting::Never => {
                let text = format!("the Keychain did not answer within {} ms", deadline.as_millis());
                about(ErrorKind::StoreTimeout, text).remedy(
                    "Try again; if that fails too, log out and in, which restarts the service behind it",
                )
            }
            Prompting::Allowed { limit } => {
                let text = format!("macOS' question was not answered within {} ms", limit.as_millis());
                about(ErrorKind::StoreLocked, text).remedy("Answer it, and try again")
            }
        },
        Unfinished::StillUnanswered => match prompting {
            Prompting::Never => {
                about(ErrorKind::StoreTimeout, "the Keychain has not answered an earlier call yet".to_owned())
                    .remedy(
                        "Try again; if that fails too, log out and in, which restarts the service behind it",
                    )
            }
            Prompting::Allowed { .. } => {
                about(ErrorKind::StoreLocked, "macOS still shows the question of an earlier call".to_owned())
                    .remedy("Answer it, and try again")
            }
        },
        Unfinished::NoThread(error) => {
            Error::new(ErrorKind::Io, "Cannot start the thread that asks the Keychain").because(error)
        }
    }
}

fn refusal(status: Status, item: &Item, asks: bool) -> (ErrorKind, &'static str, String) {
    let (kind, why, remedy) = match status {
        Status::AUTH_FAILED | Status(INTERACTION_REQUIRED | IN_DARK_WAKE) if !asks => {
            return (
                ErrorKind::StoreLocked,
                "the keychain is locked, or this program is not yet allowed to use the item",
                format!(
                    "Unlock the keychain (security unlock-keychain), or let the program ask and choose Always Allow, at \
                     the Mac itself; {SHARED}"
                ),
            );
        }
        Status(INTERACTION_REQUIRED | IN_DARK_WAKE) => (
            ErrorKind::StoreLocked,
            "the Mac sleeps, and its user cannot be asked",
            "Try again when it is awake",
        ),
        Status::INTERACTION_NOT_ALLOWED if asks || item.data_protection => (
            ErrorKind::StoreLocked,
            "the keychain is locked, or the item is another program's, and this session cannot ask: it has no screen",
            "Unlock it (security unlock-keychain); for another program's item, start this program once at the Mac itself \
             and choose Always Allow",
        ),
        Status::USER_CANCELED => (
            ErrorKind::StoreLocked,
            "access was not granted when macOS asked for it",
            "Try again and choose Allow or Always Allow",
        ),
        Status::AUTH_FAILED => {
            return (
                ErrorKind::PermissionDenied,
                "access was denied when macOS asked, or the password of the keychain was wrong",
                format!(
                    "Try again and choose Always Allow, or sign out, which needs no permission; {SHARED}"
                ),
            );
        }
        Status::INVALID_OWNER_EDIT | Status(NO_ACCESS_FOR_ITEM) => (
            ErrorKind::PermissionDenied,
            "the item is another program's",
            "Use that program, or remove the item in Keychain Access and sign in again",
        ),
        Status::MISSING_ENTITLEMENT => (
            ErrorKind::StoreUnavailable,
            "the program is not signed for the data protection keychain or the access group",
            "Sign it with an application identifier and, for a group, with keychain-access-groups, or use the default keychain",
        ),
        // Without a prompt, the second is the answer to an addition without a default keychain.
        Status::NO_DEFAULT_KEYCHAIN
        | Status::INTERACTION_NOT_ALLOWED
        | Status(NOT_AVAILABLE | NO_SUCH_KEYCHAIN | UNIX_ENOENT) => (
            ErrorKind::StoreUnavailable,
            "there is no default keychain for this user and this HOME",
            "Sign in to the machine as this user once, set HOME to the user's own, or choose a default keychain \
             (security default-keychain -s login.keychain)",
        ),
        Status(INVALID_KEYCHAIN) => (
            ErrorKind::StoreFailed,
            "the keychain's file is damaged",
            "Restore it from a backup, or make a new default keychain in Keychain Access (Settings, Reset Default Keychains)",
        ),
        Status(READ_ONLY | WRITE_PERMISSION | UNIX_EPERM | UNIX_EACCES | UNIX_EROFS) => (
            ErrorKind::PermissionDenied,
            "the keychain's file cannot be written",
            "Give the user write access to the files in ~/Library/Keychains",
        ),
        Status(UNIX_ENOSPC) => (
            ErrorKind::StorageFull,
            "the disk of the keychain is full",
            "Free some space and try again; the old content is unharmed",
        ),
        Status(STATIC_CODE_NOT_FOUND | STATIC_CODE_CHANGED | SIGNATURE_FAILED) => (
            ErrorKind::StoreFailed,
            "the file of this program was replaced or removed while it runs, and macOS no longer knows the program",
            "Restart the program",
        ),
        Status::ITEM_NOT_FOUND | Status::INVALID_ITEM_REF | Status::INVALID_RECORD => {
            (ErrorKind::Busy, "another program keeps replacing it", "Try again")
        }
        Status(_) => (
            ErrorKind::StoreFailed,
            "the Security framework failed",
            "Look the number up with: security error NUMBER",
        ),
    };
    (kind, why, remedy.to_owned())
}
