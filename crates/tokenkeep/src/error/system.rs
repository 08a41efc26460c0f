//! Failed system calls: the kind and the remedy of each, and the name that Node gives it.

use std::io;

use super::ErrorKind;

/// A way in which a system call fails.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The names of the error numbers, as Node and the manual pages write them.
    #[cfg_attr(not(test), allow(dead_code, reason = "the page of errors has them"))]
    pub(crate) names: &'static [&'static str],
    is: fn(&io::Error) -> bool,
    pub(crate) kind: ErrorKind,
    pub(crate) remedy: Option<&'static str>,
}

/// The failures that are told apart; any other is [`ErrorKind::Io`] without a remedy.
pub(crate) const FAILURES: &[Failure] = &[
    Failure {
        names: &["EPERM"],
        // TCC, not the mode: EACCES stands for that.
        is: |error| cfg!(target_os = "macos") && error.raw_os_error() == Some(1),
        kind: ErrorKind::PermissionDenied,
        remedy: Some(
            "Allow the program, or the terminal that started it, in System Settings > Privacy & Security > Files and \
             Folders (or Full Disk Access); elsewhere give the user read and write access to the file and its directory",
        ),
    },
    Failure {
        names: &["EBUSY"],
        // ERROR_SHARING_VIOLATION and ERROR_LOCK_VIOLATION.
        is: |error| cfg!(windows) && matches!(error.raw_os_error(), Some(32 | 33)),
        kind: ErrorKind::Busy,
        remedy: Some(
            "Another program has the file open (a scanner, a backup, OneDrive): close it, and try again",
        ),
    },
    Failure {
        names: &["EDEADLK"],
        // A file that iCloud or another file provider has taken from the disk.
        is: |error| cfg!(target_os = "macos") && error.raw_os_error() == Some(11),
        kind: ErrorKind::Busy,
        remedy: Some(
            "Download the file in the Finder, or choose a cache path that no cloud service synchronises",
        ),
    },
    Failure {
        names: &["EACCES", "EPERM"],
        is: |error| error.kind() == io::ErrorKind::PermissionDenied,
        kind: ErrorKind::PermissionDenied,
        remedy: Some(
            "Give the user who runs this program read and write access to the file and its directory",
        ),
    },
    Failure {
        names: &["EROFS"],
        is: |error| error.kind() == io::ErrorKind::ReadOnlyFilesystem,
        kind: ErrorKind::PermissionDenied,
        remedy: Some("Choose a cache path on a file system that can be written"),
    },
    Failure {
        names: &["ENOSPC", "EDQUOT"],
        is: |error| matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded),
        kind: ErrorKind::StorageFull,
        remedy: Some("Free some space and try again; the old content is unharmed"),
    },
    Failure {
        names: &["EFBIG"],
        is: |error| error.kind() == io::ErrorKind::FileTooLarge,
        kind: ErrorKind::StorageFull,
        remedy: Some("Raise the limit on the size of files (ulimit -f); the old content is unharmed"),
    },
    Failure {
        names: &["EISDIR"],
        is: |error| error.kind() == io::ErrorKind::IsADirectory,
        kind: ErrorKind::UnsafeFile,
        remedy: Some("Choose a cache path that names a file, not a directory"),
    },
    Failure {
        names: &["ENOTDIR"],
        is: |error| error.kind() == io::ErrorKind::NotADirectory,
        kind: ErrorKind::UnsafeFile,
        remedy: Some("A part of the path is a file where a directory is needed; choose another path"),
    },
    Failure {
        names: &["ENAMETOOLONG"],
        is: |error| error.kind() == io::ErrorKind::InvalidFilename,
        kind: ErrorKind::InvalidInput,
        remedy: Some("Choose a shorter cache path: a file name holds at most 255 bytes"),
    },
    Failure {
        names: &["EINVAL"],
        is: |error| error.kind() == io::ErrorKind::InvalidInput,
        kind: ErrorKind::InvalidInput,
        remedy: None,
    },
    Failure {
        names: &["ENOSYS", "EOPNOTSUPP"],
        is: |error| error.kind() == io::ErrorKind::Unsupported,
        kind: ErrorKind::NotSupported,
        remedy: None,
    },
    Failure {
        names: &["EIO"],
        // It has no `io::ErrorKind`, and this number on every Unix.
        is: |error| cfg!(unix) && error.raw_os_error() == Some(5),
        kind: ErrorKind::Io,
        remedy: Some("The disk, or the way to it, is failing: look into the system's log"),
    },
];

fn find(error: &io::Error) -> Option<&'static Failure> {
    FAILURES.iter().find(|failure| (failure.is)(error))
}

/// Returns the kind of a failed system call.
pub(super) fn kind(error: &io::Error) -> ErrorKind {
    find(error).map_or(ErrorKind::Io, |failure| failure.kind)
}

/// Returns the remedy of a failed system call.
pub(super) fn remedy(error: &io::Error) -> Option<&'static str> {
    find(error)?.remedy
}
