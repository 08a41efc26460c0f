//! What Windows' error numbers mean for the call that failed.
//!
//! This file has only decisions over numbers, so that its tests run on every system: most of these answers cannot be
//! caused on purpose, and Wine does not give them. [`super`]'s other files make the calls.

use std::io;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::{Error, ErrorKind, Result};

/// Numbers of winerror.h.
pub(crate) mod code {
    pub(crate) const INVALID_FUNCTION: i32 = 1;
    pub(crate) const FILE_NOT_FOUND: i32 = 2;
    pub(crate) const PATH_NOT_FOUND: i32 = 3;
    pub(crate) const ACCESS_DENIED: i32 = 5;
    pub(crate) const INVALID_DATA: i32 = 13;
    pub(crate) const NOT_SAME_DEVICE: i32 = 17;
    pub(crate) const CRC: i32 = 23;
    pub(crate) const SHARING_VIOLATION: i32 = 32;
    pub(crate) const LOCK_VIOLATION: i32 = 33;
    pub(crate) const HANDLE_DISK_FULL: i32 = 39;
    pub(crate) const NOT_SUPPORTED: i32 = 50;
    pub(crate) const INVALID_PARAMETER: i32 = 87;
    pub(crate) const DISK_FULL: i32 = 112;
    pub(crate) const CALL_NOT_IMPLEMENTED: i32 = 120;
    pub(crate) const IO_DEVICE: i32 = 1117;
    pub(crate) const DEVICE_NOT_CONNECTED: i32 = 1167;
    pub(crate) const USER_MAPPED_FILE: i32 = 1224;
    pub(crate) const NO_SUCH_LOGON_SESSION: i32 = 1312;
    pub(crate) const PASSWORD_RESTRICTION: i32 = 1325;
    pub(crate) const RPC_SERVER_UNAVAILABLE: i32 = 1722;
    pub(crate) const RPC_CALL_FAILED: i32 = 1726;
    pub(crate) const NTE_BAD_KEY_STATE: i32 = 0x8009_000b_u32.cast_signed();
    pub(crate) const NTE_BAD_KEYSET: i32 = 0x8009_0016_u32.cast_signed();
    pub(crate) const NTE_KEYSET_NOT_DEF: i32 = 0x8009_0019_u32.cast_signed();
    pub(crate) const SEC_E_DELEGATION_REQUIRED: i32 = 0x8009_0345_u32.cast_signed();
    pub(crate) const SEC_E_DOWNGRADE_DETECTED: i32 = 0x8009_0350_u32.cast_signed();
}

/// Returns an error number in one form: some functions wrap it in an HRESULT of the facility Win32.
pub(crate) fn plain(code: i32) -> i32 {
    const FACILITY_WIN32: u32 = 0x8007;
    let bits = code.cast_unsigned();
    if bits >> 16 == FACILITY_WIN32 { (bits & 0xffff).cast_signed() } else { code }
}

/// Returns whether the error has one of these numbers.
pub(crate) fn is_one_of(error: &io::Error, codes: &[i32]) -> bool {
    error.raw_os_error().is_some_and(|raw| codes.contains(&plain(raw)))
}

/// A call of the Data Protection API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Protect,
    Unprotect,
}

/// The answer of the Data Protection API: its bytes, or `None` for a success without a buffer.
pub(crate) type Answer = io::Result<Option<Zeroizing<Vec<u8>>>>;

/// Returns the bytes that the Data Protection API gave.
///
/// # Errors
/// Those of [`refusal`]. A success without a buffer is a failure: short of memory, the API answers so. Taken for empty
/// content, it would replace the cache by an empty one.
pub(crate) fn bytes(call: Call, answer: Answer) -> Result<Zeroizing<Vec<u8>>> {
    match answer {
        Ok(Some(bytes)) if call == Call::Unprotect || !bytes.is_empty() => Ok(bytes),
        Ok(_) => Err(refusal(call, &io::Error::from(io::ErrorKind::OutOfMemory))),
        Err(error) => Err(refusal(call, &error)),
    }
}

/// Translates the API's errors. Their numbers are not documented for these functions; these were observed.
fn refusal(call: Call, error: &io::Error) -> Error {
    use code::*;
    let what = match call {
        Call::Protect => "Windows cannot encrypt the cache",
        Call::Unprotect => "Windows cannot decrypt the cache",
    };
    let raw = error.raw_os_error();
    let (kind, why, remedy) = match raw.map(plain) {
        None if error.kind() == io::ErrorKind::OutOfMemory => (
            ErrorKind::StoreFailed,
            "the Data Protection API answered without data, as it does without free memory",
            "Close some programs and try again; nothing was written",
        ),
        Some(0) => (
            ErrorKind::StoreUnavailable,
            "no domain controller that can be written can be reached",
            "Connect to the network of the organisation and try again",
        ),
        // For bytes that are no blob at all, such as zeros after a power failure.
        Some(INVALID_PARAMETER) if call == Call::Unprotect => (
            ErrorKind::Damaged,
            "the file is not one that Windows encrypted",
            "Restore it from a copy, or remove it and sign in again",
        ),
        Some(INVALID_DATA) if call == Call::Unprotect => (
            ErrorKind::Damaged,
            "it is damaged, or was encrypted with another entropy",
            "Give the entropy it was made with; if it is lost, remove the file and sign in again",
        ),
        Some(FILE_NOT_FOUND | PATH_NOT_FOUND | NO_SUCH_LOGON_SESSION) => (
            ErrorKind::MissingKey,
            "the user's profile, with its keys, is not loaded",
            "Load the profile (for a service or an application pool: Load User Profile = true; for a scheduled task: \
             store the password), or use the scope LocalMachine",
        ),
        Some(PASSWORD_RESTRICTION) => (
            ErrorKind::MissingKey,
            "it was encrypted to ask for a password at each use, and a library may not ask",
            "Remove the file and sign in again",
        ),
        Some(NTE_BAD_KEY_STATE) => (
            ErrorKind::WrongKey,
            "it was encrypted by another user or on another machine, or this user's password was reset by an administrator",
            "Run as the user who signed in; if that is this one, remove the file and sign in again",
        ),
        Some(NTE_BAD_KEYSET | NTE_KEYSET_NOT_DEF | SEC_E_DELEGATION_REQUIRED | SEC_E_DOWNGRADE_DETECTED) => (
            ErrorKind::MissingKey,
            "the key is not on this machine",
            "With a roaming profile, wait until it is here; in a domain, make sure that a domain controller can be reached",
        ),
        Some(RPC_SERVER_UNAVAILABLE | RPC_CALL_FAILED) => (
            ErrorKind::StoreUnavailable,
            "the service that keeps the keys does not answer",
            "Start the services Cryptographic Services and Credential Manager, or try again when Windows has started",
        ),
        Some(ACCESS_DENIED) => (
            ErrorKind::PermissionDenied,
            "this process may not use the user's keys",
            "Run it as the user who signed in, not under a restricted token",
        ),
        _ => (ErrorKind::StoreFailed, "the Data Protection API failed", "Look into Windows' event log"),
    };
    let cause = raw.map_or_else(|| io::Error::from(error.kind()), io::Error::from_raw_os_error);
    Error::new(kind, format!("{what}: {why}")).remedy(remedy).because(cause)
}

/// A program has the file, or a part of it, exclusively.
pub(crate) fn is_shared_badly(error: &io::Error) -> bool {
    is_one_of(error, &[code::SHARING_VIOLATION, code::LOCK_VIOLATION])
}

/// There is no file. Other codes that `NotFound` stands for, such as a server that does not answer, are failures.
pub(crate) fn is_absence(error: &io::Error) -> bool {
    is_one_of(error, &[code::FILE_NOT_FOUND, code::PATH_NOT_FOUND])
}

/// How long an open that is denied may be one of a file that is being replaced or removed.
pub(crate) const BEING_REPLACED: Duration = Duration::from_millis(250);

/// Returns whether a failed open may succeed a moment later, `passed` after its first try. While a file is replaced or
/// removed, even a look at its attributes is denied; `may_look` does one.
pub(crate) fn may_open_later(
    error: &io::Error,
    passed: Duration,
    patience: Duration,
    may_look: impl FnOnce() -> bool,
) -> bool {
    if is_shared_badly(error) {
        return passed < patience;
    }
    is_one_of(error, &[code::ACCESS_DENIED]) && passed < BEING_REPLACED.min(patience) && !may_look()
}

/// Returns whether a failed replacement or removal may succeed a moment later: access is also denied if the file is
/// open, or open and removed.
pub(crate) fn may_replace_later(error: &io::Error) -> bool {
    is_shared_badly(error) || is_one_of(error, &[code::ACCESS_DENIED, code::USER_MAPPED_FILE])
}

/// Returns whether the file system cannot rename as POSIX asks, that is, over a file that is open.
pub(crate) fn lacks_posix_rename(error: &io::Error) -> bool {
    is_one_of(
        error,
        &[code::INVALID_FUNCTION, code::NOT_SUPPORTED, code::INVALID_PARAMETER, code::CALL_NOT_IMPLEMENTED],
    )
}

/// Returns whether a rename failed because the file is a mount point.
pub(crate) fn is_another_volume(error: &io::Error) -> bool {
    is_one_of(error, &[code::NOT_SAME_DEVICE])
}

/// The outcome of an attempt at a lock of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Locked {
    Yes,
    /// Another process has it.
    No,
    /// The file system has no such locks, as that of `\\wsl$`: exclusion is left to the siblings' file.
    Unknown,
}

/// Interprets the answer of LockFileEx.
///
/// # Errors
/// The error, if it says nothing about the lock.
pub(crate) fn locked(answer: io::Result<()>) -> io::Result<Locked> {
    let without = [code::INVALID_FUNCTION, code::NOT_SUPPORTED, code::CALL_NOT_IMPLEMENTED];
    match answer {
        Ok(()) => Ok(Locked::Yes),
        Err(error) if is_one_of(&error, &[code::LOCK_VIOLATION]) => Ok(Locked::No),
        Err(error) if is_one_of(&error, &without) => Ok(Locked::Unknown),
        Err(error) => Err(error),
    }
}

/// Returns whether a failed flush of a directory means that the content may be lost. A flush of a directory is not
/// documented, and file systems answer with all kinds of errors that they have none.
pub(crate) fn is_failing_disk(error: &io::Error) -> bool {
    use code::{CRC, DEVICE_NOT_CONNECTED, DISK_FULL, HANDLE_DISK_FULL, IO_DEVICE};
    is_one_of(error, &[CRC, IO_DEVICE, DEVICE_NOT_CONNECTED, DISK_FULL, HANDLE_DISK_FULL])
}

/// Returns whether no process of Windows can have this number: they are multiples of four. A lock file in a folder that
/// WSL shares may have the number of a process there.
pub(crate) fn is_no_pid(pid: u32) -> bool {
    !pid.is_multiple_of(4)
}

/// Folds the identity of a file into 64 bits; `None` if it is unknown. NTFS leaves the upper half empty, ReFS does not;
/// some network drives answer nothing but zeros or ones.
pub(crate) fn index(identity: [u8; 16]) -> Option<u64> {
    let [low, high] = [0, 8].map(|at| {
        let mut half = [0; 8];
        half.copy_from_slice(&identity[at..at + 8]);
        u64::from_le_bytes(half)
    });
    match (low, high) {
        (0, 0) | (u64::MAX, u64::MAX) | (u64::MAX, 0) => None,
        (low, 0) => Some(low),
        _ => Some(crate::names::fnv(&identity)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn os(code: u32) -> io::Error {
        io::Error::from_raw_os_error(code.cast_signed())
    }

    fn kind(call: Call, code: u32) -> ErrorKind {
        let error = bytes(call, Err(os(code))).unwrap_err();
        assert!(error.suggestion().is_some(), "{error}");
        assert_eq!(error.os_code(), Some(code.cast_signed()), "the number stays as it was given");
        error.kind()
    }

    #[test]
    fn bytes_that_are_no_blob_and_damaged_blobs_are_damage_in_every_form_of_the_number() {
        for code in [13, 87, 0x8007_000d, 0x8007_0057] {
            assert_eq!(kind(Call::Unprotect, code), ErrorKind::Damaged, "{code:#x}");
            assert_eq!(
                kind(Call::Protect, code),
                ErrorKind::StoreFailed,
                "{code:#x}: nothing is damaged yet"
            );
        }
    }

    #[test]
    fn a_profile_that_is_not_loaded_is_a_missing_key_in_every_form_of_the_number() {
        for code in [2, 3, 1312, 0x8007_0002, 0x8007_0003, 0x8007_0520] {
            for call in [Call::Protect, Call::Unprotect] {
                assert_eq!(kind(call, code), ErrorKind::MissingKey, "{code:#x}");
            }
        }
    }

    #[test]
    fn every_other_refusal_is_typed_and_says_what_to_do() {
        for (code, expected) in [
            (0, ErrorKind::StoreUnavailable),
            (5, ErrorKind::PermissionDenied),
            (0x8007_0005, ErrorKind::PermissionDenied),
            (1325, ErrorKind::MissingKey),
            (1722, ErrorKind::StoreUnavailable),
            (1726, ErrorKind::StoreUnavailable),
            (0x8009_000b, ErrorKind::WrongKey),
            (0x8009_0016, ErrorKind::MissingKey),
            (0x8009_0019, ErrorKind::MissingKey),
            (0x8009_0345, ErrorKind::MissingKey),
            (0x8009_0350, ErrorKind::MissingKey),
            (0x8009_0020, ErrorKind::StoreFailed),
        ] {
            assert_eq!(kind(Call::Unprotect, code), expected, "{code:#x}");
        }
    }

    #[test]
    fn a_success_without_a_buffer_is_no_empty_cache() {
        for call in [Call::Protect, Call::Unprotect] {
            let error = bytes(call, Ok(None)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::StoreFailed, "{error}");
            assert!(!error.is_damage() && error.suggestion().is_some());
        }
        let empty = || Ok(Some(Zeroizing::new(Vec::new())));
        assert!(bytes(Call::Protect, empty()).is_err(), "no encryption has an empty result");
        assert!(bytes(Call::Unprotect, empty()).is_ok_and(|content| content.is_empty()));
    }

    #[test]
    fn an_open_that_is_denied_is_repeated_only_while_the_file_cannot_be_looked_at_either() {
        let second = Duration::from_secs(1);
        let soon = Duration::from_millis(100);
        for sharing in [32, 33] {
            assert!(may_open_later(&os(sharing), soon, second, || true));
            assert!(!may_open_later(&os(sharing), second, second, || true));
        }
        assert!(may_open_later(&os(5), soon, second, || false), "it is being replaced");
        assert!(!may_open_later(&os(5), soon, second, || true), "the user has no right");
        assert!(!may_open_later(&os(5), BEING_REPLACED, second, || false), "a lasting denial is told");
        assert!(!may_open_later(&os(2), soon, second, || false));
        assert!(is_absence(&os(2)) && is_absence(&os(3)) && !is_absence(&os(53)), "a server that is away");
    }

    #[test]
    fn a_file_system_without_locks_is_known_and_every_other_failure_told() {
        assert_eq!(locked(Ok(())).unwrap(), Locked::Yes);
        assert_eq!(locked(Err(os(33))).unwrap(), Locked::No);
        for code in [1, 50, 120] {
            assert_eq!(locked(Err(os(code))).unwrap(), Locked::Unknown, "{code}");
        }
        assert_eq!(locked(Err(os(6))).unwrap_err().raw_os_error(), Some(6));
    }

    #[test]
    fn only_a_failing_or_full_disk_makes_the_flush_of_a_directory_an_error() {
        for code in [23, 39, 112, 1117, 1167] {
            assert!(is_failing_disk(&os(code)), "{code}");
        }
        for code in [1, 5, 6, 31, 32, 50, 59, 65, 87, 120] {
            assert!(!is_failing_disk(&os(code)), "{code}");
        }
    }

    #[test]
    fn a_replacement_waits_for_programs_that_have_the_file_and_not_for_a_missing_one() {
        for code in [5, 32, 33, 1224] {
            assert!(may_replace_later(&os(code)), "{code}");
        }
        assert!(!may_replace_later(&os(2)) && !may_replace_later(&os(112)));
        for code in [1, 50, 87, 120] {
            assert!(lacks_posix_rename(&os(code)), "{code}");
        }
        assert!(!lacks_posix_rename(&os(5)), "that is a refusal");
        assert!(is_another_volume(&os(17)) && !is_another_volume(&os(1)));
    }

    #[test]
    fn the_identity_of_a_file_has_128_bits_or_is_unknown() {
        let with = |low: u64, high: u64| {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&low.to_le_bytes());
            bytes[8..].copy_from_slice(&high.to_le_bytes());
            index(bytes)
        };
        assert_eq!(with(7, 0), Some(7), "as NTFS");
        assert_ne!(with(7, 1), with(7, 2), "as ReFS");
        for (low, high) in [(0, 0), (u64::MAX, u64::MAX), (u64::MAX, 0)] {
            assert_eq!(with(low, high), None);
        }
    }

    #[test]
    fn a_number_from_wsl_is_no_process_of_windows() {
        assert!(is_no_pid(4711));
        assert!(!is_no_pid(4712));
    }
}
