//! The one error type of the crate.
//!
//! An [`Error`] is opaque: programs decide by [`Error::kind`], people read its `Display`, which says what failed,
//! where, and what to do about it. The cause the operating system gave is kept in `source()`. No error ever holds
//! content of a cache.

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
/// let may_pass_by_itself = |kind| matches!(kind, ErrorKind::Busy | ErrorKind::StoreTimeout | ErrorKind::StoreLocked);
/// assert!(may_pass_by_itself(ErrorKind::StoreLocked));
/// assert_eq!(ErrorKind::StoreLocked.code(), "store_locked");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A value handed to the library cannot be used: an empty name, a relative marker, a NUL in a path.
    InvalidInput,
    /// This backend does not exist on this operating system, or was not compiled in.
    NotSupported,
    /// A file-system call failed for a reason without a kind of its own; `source()` has it.
    Io,
    /// The operating system refused access.
    PermissionDenied,
    /// The disk, the quota or the file size limit is used up. What was there before is unharmed.
    StorageFull,
    /// Something other than a plain file of the right owner stands where the cache should be: a directory, a FIFO,
    /// a device, a symbolic link that others could have planted, a file of another user.
    UnsafeFile,
    /// The lock was not free within the time limit.
    Busy,
    /// The caller cancelled the operation.
    Cancelled,
    /// A change was based on an account that has been signed out meanwhile.
    Conflict,
    /// The content is not what was once written: altered, or not a token cache.
    Damaged,
    /// The content is the beginning of what was once written. To be treated as [`Damaged`](Self::Damaged).
    Truncated,
    /// The key that the content is encrypted with is not to be had: no such item, file or variable, or one that only
    /// another machine, user or container holds. The content is unharmed and nothing is written over it.
    MissingKey,
    /// The content is encrypted with another key than the one at hand. It is unharmed and nothing is written over it.
    WrongKey,
    /// The key lived in memory only and is gone for good, as after a restart of the machine: what it encrypted can
    /// never be opened again. A persistence treats such content as absent.
    KeyGone,
    /// The content is encrypted in a form that this release does not know: made by a newer one, or with an algorithm
    /// or a cost it refuses. Nothing is written over it.
    UnknownFormat,
    /// Plaintext stands where encrypted content belongs: an older store's cache, which is to be moved, not overwritten.
    Unprotected,
    /// No keystore can be reached: no session bus, no service on it, a socket nobody listens on.
    StoreUnavailable,
    /// The keystore is there but locked, and a prompt was not allowed or not answered.
    StoreLocked,
    /// The keystore did not answer within the deadline. Whether a write arrived is unknown.
    StoreTimeout,
    /// The keystore answered with a failure of its own.
    StoreFailed,
    /// Several keystore items match and choosing one could lose the others.
    Ambiguous,
    /// The marker file of a keystore holds an older store's content, which must be migrated, not overwritten.
    MarkerOccupied,
    /// What was written during verification did not come back the same.
    NotVerified,
}

impl ErrorKind {
    /// Whether the content can no longer be what it was, in whatever way.
    pub(crate) fn is_damage(self) -> bool {
        matches!(self, Self::Damaged | Self::Truncated)
    }

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
    /// An error of `kind`; `what` says what failed, in a phrase without a full stop, and holds no secret.
    ///
    /// Public so that a custom [`Persistence`](crate::Persistence) can speak the library's language.
    pub fn new(kind: ErrorKind, what: impl Into<String>) -> Self {
        let candidates = Vec::new();
        Self(Box::new(Inner { kind, what: what.into(), path: None, remedy: None, cause: None, candidates }))
    }

    /// An error from a failed file-system call on `path`; the kind follows from the operating system's code.
    pub fn io(what: impl Into<String>, path: &Path, cause: impl Into<io::Error>) -> Self {
        let cause = cause.into();
        let error = Self::new(io_kind(&cause), what).at(path);
        match io_remedy(&cause) {
            Some(remedy) => error.remedy(remedy).because(cause),
            None => error.because(cause),
        }
    }

    /// The same error, its sentence put after what was being done: "cannot read the item: the keyring is locked".
    pub(crate) fn within(mut self, what: &str) -> Self {
        self.0.what = format!("{what}: {}", self.0.what);
        self
    }

    /// The same error, naming the path it is about.
    #[must_use]
    pub fn at(mut self, path: &Path) -> Self {
        self.0.path = Some(path.to_owned());
        self
    }

    /// The same error, naming `path` unless it names another, such as a key file's, already.
    pub(crate) fn about(self, path: &Path) -> Self {
        if self.0.path.is_some() { self } else { self.at(path) }
    }

    /// The same error, saying what a person can do about it.
    #[must_use]
    pub fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.0.remedy = Some(remedy.into());
        self
    }

    /// The same error, keeping its cause as `source()`.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Cause>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// The same error, with what there was to choose from.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "other keystores know no doubles"))]
    pub(crate) fn among(mut self, candidates: Vec<String>) -> Self {
        self.0.candidates = candidates;
        self
    }

    /// Where the kind is [`Ambiguous`](ErrorKind::Ambiguous), the items that match, one line each: the path in the
    /// keystore, the label and the attributes, in quotes where they are a program's own words. No content.
    pub fn candidates(&self) -> &[String] {
        &self.0.candidates
    }

    /// What a program can decide by.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// What failed, without path, cause and remedy.
    pub(crate) fn what(&self) -> &str {
        &self.0.what
    }

    /// The file this error is about, where there is one.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// What a person can do about it, where that is known; the end of the error's `Display`.
    pub fn suggestion(&self) -> Option<&str> {
        self.0.remedy.as_deref()
    }

    /// The operating system's error number, where the cause is a failed system call.
    pub fn os_code(&self) -> Option<i32> {
        self.io_cause()?.raw_os_error()
    }

    /// The kind of the cause, where that is a failed system call.
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
        // EIO, which has no kind of its own, has this number on every Unix.
        _ if cfg!(unix) && cause.raw_os_error() == Some(5) => {
            Some("The disk, or the way to it, is failing: look into the system's log")
        }
        _ => None,
    }
}
