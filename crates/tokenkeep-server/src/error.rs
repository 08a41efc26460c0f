//! The one error type. It never holds a token, a key, or the text of a partition.

use std::error::Error as StdError;
use std::fmt;

/// The result of this crate's calls.
///
/// ```
/// fn keys() -> tokenkeep_server::Result<tokenkeep_server::KeyRing> {
///     tokenkeep_server::KeyRing::parse(&"00".repeat(32))
/// }
/// # keys().unwrap();
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a call of the store failed. `docs/server.md` says for each what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A part of a cluster has no master now.
    ClusterDown,
    /// Other servers changed the record faster than this one could.
    Conflict,
    /// The record, or a cache, is not what it should be.
    Damaged,
    /// An argument is not valid.
    InvalidInput,
    /// There is no key, or not the one of the record.
    MissingKey,
    /// The id of a user, an app or an assertion is empty.
    NoPartition,
    /// The database is full.
    OutOfMemory,
    /// The database takes no writes.
    ReadOnly,
    /// The database did not answer in time.
    Timeout,
    /// The record would be longer than the store allows.
    TooLarge,
    /// The database refuses its user.
    Unauthorized,
    /// The database cannot be reached.
    Unavailable,
    /// A newer release wrote the record.
    UnknownFormat,
    /// The database does not have, or does not allow, what the store needs.
    Unsupported,
    /// The database is a cluster, and the connection is not one for clusters.
    WrongClient,
    /// The cache holds entries of others.
    WrongPartition,
}

impl ErrorKind {
    /// Returns the stable code, which is that of the npm package.
    ///
    /// ```
    /// assert_eq!(tokenkeep_server::ErrorKind::WrongPartition.code(), "wrong_partition");
    /// ```
    pub fn code(self) -> &'static str {
        match self {
            Self::ClusterDown => "cluster_down",
            Self::Conflict => "conflict",
            Self::Damaged => "damaged",
            Self::InvalidInput => "invalid_input",
            Self::MissingKey => "missing_key",
            Self::NoPartition => "no_partition",
            Self::OutOfMemory => "out_of_memory",
            Self::ReadOnly => "read_only",
            Self::Timeout => "timeout",
            Self::TooLarge => "too_large",
            Self::Unauthorized => "unauthorized",
            Self::Unavailable => "unavailable",
            Self::UnknownFormat => "unknown_format",
            Self::Unsupported => "unsupported",
            Self::WrongClient => "wrong_client",
            Self::WrongPartition => "wrong_partition",
        }
    }

    /// Returns whether the same call may succeed a little later.
    ///
    /// ```
    /// use tokenkeep_server::ErrorKind;
    ///
    /// assert!(ErrorKind::Timeout.is_retryable() && !ErrorKind::MissingKey.is_retryable());
    /// ```
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::ClusterDown | Self::ReadOnly | Self::Timeout | Self::Unavailable)
    }
}

/// A failure of the store.
///
/// ```
/// use tokenkeep_server::{ErrorKind, KeyRing};
///
/// let error = KeyRing::parse("a short key").unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidInput);
/// assert!(!error.to_string().contains("a short key"));
/// ```
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// Creates an error, for a backend of the program's own. The message says what to do.
    ///
    /// ```
    /// use tokenkeep_server::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::Unavailable, "The table cannot be reached. Check that it is up");
    /// assert_eq!(error.kind(), ErrorKind::Unavailable);
    /// ```
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// Adds the error that caused this one.
    ///
    /// ```
    /// use tokenkeep_server::{Error, ErrorKind};
    ///
    /// let cause = std::io::Error::other("the cable is cut");
    /// let error = Error::new(ErrorKind::Unavailable, "The database cannot be reached").caused_by(cause);
    /// assert!(std::error::Error::source(&error).is_some());
    /// ```
    #[must_use]
    pub fn caused_by(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.source = Some(cause.into());
        self
    }

    /// Returns the reason.
    ///
    /// ```
    /// use tokenkeep_server::{Error, ErrorKind};
    ///
    /// assert_eq!(Error::new(ErrorKind::Timeout, "late").kind().code(), "timeout");
    /// ```
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}

impl From<tokenkeep::Error> for Error {
    /// The error of the core, which reads records and merges caches.
    fn from(error: tokenkeep::Error) -> Self {
        use tokenkeep::ErrorKind as Core;
        let kind = match error.kind() {
            Core::MissingKey => ErrorKind::MissingKey,
            Core::UnknownFormat => ErrorKind::UnknownFormat,
            _ if error.is_damage() => ErrorKind::Damaged,
            Core::Conflict => ErrorKind::Conflict,
            _ => ErrorKind::InvalidInput,
        };
        Self::new(kind, error.to_string()).caused_by(error)
    }
}
