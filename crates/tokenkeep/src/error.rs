//! The one error type of the crate.
//!
//! An [`Error`] is opaque. Programs decide by [`Error::kind`]; users read its `Display`, which has the failure, its
//! location and a remedy. `source()` has the operating system's cause. No error contains content of a cache.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The result of every fallible call in this crate.
///
/// ```
/// fn read(cache: &tokenkeep::TokenCache) -> tokenkeep::Result<usize> {
///     Ok(cache.read()?.map_or(0, |content| content.len()))
/// }
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, as far as a program can act on it. More kinds may be added.
///
/// ```
/// use tokenkeep::ErrorKind;
///
/// assert_eq!(ErrorKind::StoreLocked.code(), "store_locked");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An argument is not valid: an empty name, a relative marker path, a NUL in a path.
    InvalidInput,
    /// This operating system does not have the backend, or it was not compiled in.
    NotSupported,
    /// A file-system call failed for a reason without its own kind; `source()` has the reason.
    Io,
    /// The operating system refused access.
    PermissionDenied,
    /// The disk, the quota or the file size limit is exhausted. The earlier content is unharmed.
    StorageFull,
    /// The path of the cache has something other than a regular file of the right owner: a directory, a FIFO, a
    /// device, a symbolic link that another user could have made, a file of another user.
    UnsafeFile,
    /// The lock was not free within the time limit.
    Busy,
    /// The caller cancelled the operation.
    Cancelled,
    /// A change was based on an account that has been signed out in the meantime.
    Conflict,
    /// The content differs from the written content, or is not a token cache.
    Damaged,
    /// The content is the beginning of the written content. Treat it like [`Damaged`](Self::Damaged).
    Truncated,
    /// The key of the content is not available: no such item, file or variable, or the key belongs to another
    /// machine, user or container. The content is unharmed and is not overwritten.
    MissingKey,
    /// The content is encrypted with another key than the configured one. It is unharmed and is not overwritten.
    WrongKey,
    /// The key was in memory only and is lost, for example after a restart of the machine, so the content can never
    /// be decrypted. A persistence treats such content as absent.
    KeyGone,
    /// The content is encrypted in a form unknown to this release: by a newer one, or with an algorithm or a cost
    /// that it refuses. It is not overwritten.
    UnknownFormat,
    /// Plaintext is at the path of encrypted content: an older store's cache, which must be moved, not overwritten.
    Unprotected,
    /// No keystore can be reached: no session bus, no service on it, a socket without a listener.
    StoreUnavailable,
    /// The keystore is locked, and a prompt was not allowed or not answered.
    StoreLocked,
    /// The keystore did not answer within the deadline. A write may or may not have succeeded.
    StoreTimeout,
    /// The keystore answered with an error.
    StoreFailed,
    /// Several keystore items match, and choosing one could lose the others.
    Ambiguous,
    /// The marker file of a keystore has an older store's content, which must be migrated, not overwritten.
    MarkerOccupied,
    /// The verification read back other content than it wrote.
    NotVerified,
}

impl ErrorKind {
    /// The stable name of this kind, for logs, scripts and other languages.
    pub fn code(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::NotSupported => "not_supported",
            Self::Io => "io",
            Self::PermissionDenied => "permission_denied",
            Self::StorageFull => "storage_full",
            Self::UnsafeFile => "unsafe_file",
            Self::Busy => "busy",
            Self::Cancelled => "cancelled",
            Self::Conflict => "conflict",
            Self::Damaged => "damaged",
            Self::Truncated => "truncated",
            Self::MissingKey => "missing_key",
            Self::WrongKey => "wrong_key",
            Self::KeyGone => "key_gone",
            Self::UnknownFormat => "unknown_format",
            Self::Unprotected => "unprotected",
            Self::StoreUnavailable => "store_unavailable",
            Self::StoreLocked => "store_locked",
            Self::StoreTimeout => "store_timeout",
            Self::StoreFailed => "store_failed",
            Self::Ambiguous => "ambiguous",
            Self::MarkerOccupied => "marker_occupied",
            Self::NotVerified => "not_verified",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

type Cause = Box<dyn std::error::Error + Send + Sync + 'static>;

/// A failure: its [kind](Error::kind), a sentence, where known the path and the remedy, and the cause.
///
/// ```
/// use tokenkeep::{Config, ErrorKind};
///
/// // A name with a slash in it could leave the folder it is meant for.
/// let error = Config::new("../elsewhere").open().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidInput);
/// assert!(error.to_string().contains("give a path"), "it says what to do: {error}");
/// ```
///
/// A persistence of a program's own speaks the same language:
///
/// ```
/// use std::{io, path::Path};
/// use tokenkeep::{Error, ErrorKind};
///
/// let path = Path::new("/srv/tokens");
/// let failed = Error::io("Cannot read the tokens", path, io::Error::from(io::ErrorKind::PermissionDenied));
/// assert_eq!((failed.kind(), failed.path()), (ErrorKind::PermissionDenied, Some(path)));
///
/// let away = Error::new(ErrorKind::StoreUnavailable, "The token server does not answer")
///     .at(path)
///     .remedy("Start it")
///     .because(io::Error::other("connection refused"));
/// assert_eq!(away.suggestion(), Some("Start it"));
/// assert_eq!(away.os_code(), None, "no system call failed");
/// assert!(away.candidates().is_empty(), "nor was there anything to choose from");
/// assert!(away.is_keystore_out_of_reach() && !(away.is_transient() || away.is_damage() || away.is_foreign()));
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    what: String,
    path: Option<PathBuf>,
    remedy: Option<String>,
    cause: Option<Cause>,
    candidates: Vec<String>,
}

impl Error {
    /// Creates an error of `kind`; `what` names the failure, in a phrase without a full stop and without a secret.
    ///
    /// Public, so that a custom [`Persistence`](crate::Persistence) can return the library's errors.
    pub fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        let candidates = Vec::new();
        Self(Box::new(Inner { kind, what: what.into(), path: None, remedy: None, cause: None, candidates }))
    }

    /// Creates an error from a failed file-system call on `path`; the operating system's code decides the kind.
    pub fn io(what: impl Into<String>, path: &Path, cause: impl Into<io::Error>) -> Self {
        let cause = cause.into();
        let error = Self::new(io_kind(&cause), what).at(path);
        match io_remedy(&cause) {
            Some(remedy) => error.remedy(remedy).because(cause),
            None => error.because(cause),
        }
    }

    /// Returns the error with its sentence after the failed action: "cannot read the item: the keyring is locked".
    pub(crate) fn within(mut self, what: &str) -> Self {
        self.0.what = format!("{what}: {}", self.0.what);
        self
    }

    /// Returns the error with the path that it concerns.
    #[must_use]
    pub fn at(mut self, path: &Path) -> Self {
        self.0.path = Some(path.to_owned());
        self
    }

    /// Returns the error with `path`, unless it names another one already, such as a key file's.
    pub(crate) fn about(self, path: &Path) -> Self {
        if self.0.path.is_some() { self } else { self.at(path) }
    }

    /// Returns the error with a remedy.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.0.remedy = Some(remedy.into());
        self
    }

    /// Returns the error with its cause as `source()`.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Cause>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// Returns the error with the items that match.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "other keystores know no doubles"))]
    pub(crate) fn among(mut self, candidates: Vec<String>) -> Self {
        self.0.candidates = candidates;
        self
    }

    /// For the kind [`Ambiguous`](ErrorKind::Ambiguous): returns the items that match, one line each, with the path
    /// in the keystore, the label and the attributes; a program's own texts are in quotes. No content.
    pub fn candidates(&self) -> &[String] {
        &self.0.candidates
    }

    /// The kind, by which a program decides. Where several kinds call for the same decision, there is a method: for example
    /// [`Error::is_damage`].
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the stored content is damaged: altered, cut off, or no token cache. The next writer sets it aside.
    pub fn is_damage(&self) -> bool {
        matches!(self.kind(), ErrorKind::Damaged | ErrorKind::Truncated)
    }

    /// Whether the same call may succeed a little later without anybody's help: the lock was busy, or the keystore slow.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind(), ErrorKind::Busy | ErrorKind::StoreTimeout)
    }

    /// Whether the keystore cannot be used now: it is missing, locked, or does not answer. The content in it is unharmed.
    pub fn is_keystore_out_of_reach(&self) -> bool {
        use ErrorKind::{StoreLocked, StoreTimeout, StoreUnavailable};
        matches!(self.kind(), StoreUnavailable | StoreLocked | StoreTimeout)
    }

    /// Whether the stored content is intact, but was written by another store, with another key, or in another format.
    pub fn is_foreign(&self) -> bool {
        use ErrorKind::{MissingKey, UnknownFormat, Unprotected, WrongKey};
        matches!(self.kind(), MissingKey | WrongKey | UnknownFormat | Unprotected)
    }

    /// What failed, without path, cause and remedy.
    pub(crate) fn what(&self) -> &str {
        &self.0.what
    }

    /// Returns the file that this error concerns, if there is one.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// Returns the remedy, if there is one: the end of the error's `Display`.
    pub fn suggestion(&self) -> Option<&str> {
        self.0.remedy.as_deref()
    }

    /// Returns the operating system's error number, if the cause is a failed system call.
    pub fn os_code(&self) -> Option<i32> {
        self.io_cause()?.raw_os_error()
    }

    /// Returns the kind of the cause, if that is a failed system call.
    pub(crate) fn io_kind(&self) -> Option<io::ErrorKind> {
        Some(self.io_cause()?.kind())
    }

    fn io_cause(&self) -> Option<&io::Error> {
        let cause: &(dyn std::error::Error + 'static) = self.0.cause.as_deref()?;
        cause.downcast_ref::<io::Error>()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)?;
        if let Some(path) = &self.0.path {
            // Debug form: a path with a newline or an escape sequence must not forge a log line.
            write!(f, " ({path:?})")?;
        }
        if let Some(cause) = &self.0.cause {
            write!(f, ": {cause}")?;
        }
        if let Some(remedy) = &self.0.remedy {
            write!(f, ". {remedy}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({}: {self})", self.0.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.cause {
            Some(cause) => Some(&**cause),
            None => None,
        }
    }
}

fn io_kind(cause: &io::Error) -> ErrorKind {
    use io::ErrorKind as Io;
    match cause.kind() {
        Io::PermissionDenied | Io::ReadOnlyFilesystem => ErrorKind::PermissionDenied,
        Io::StorageFull | Io::QuotaExceeded | Io::FileTooLarge => ErrorKind::StorageFull,
        Io::IsADirectory | Io::NotADirectory => ErrorKind::UnsafeFile,
        Io::InvalidInput | Io::InvalidFilename => ErrorKind::InvalidInput,
        Io::Unsupported => ErrorKind::NotSupported,
        _ => ErrorKind::Io,
    }
}

fn io_remedy(cause: &io::Error) -> Option<&'static str> {
    use io::ErrorKind as Io;
    match cause.kind() {
        Io::PermissionDenied => {
            Some("Give the user who runs this program read and write access to the file and its directory")
        }
        Io::ReadOnlyFilesystem => Some("Choose a cache path on a file system that can be written"),
        Io::StorageFull | Io::QuotaExceeded => {
            Some("Free some space and try again; the old content is unharmed")
        }
        Io::FileTooLarge => {
            Some("Raise the limit on the size of files (ulimit -f); the old content is unharmed")
        }
        Io::IsADirectory => Some("Choose a cache path that names a file, not a directory"),
        Io::NotADirectory => {
            Some("A part of the path is a file where a directory is needed; choose another path")
        }
        Io::InvalidFilename => Some("Choose a shorter cache path: a file name holds at most 255 bytes"),
        // EIO has no `io::ErrorKind`, and this number on every Unix.
        _ if cfg!(unix) && cause.raw_os_error() == Some(5) => {
            Some("The disk, or the way to it, is failing: look into the system's log")
        }
        _ => None,
    }
}
