//! The one error type of the crate.
//!
//! An [`Error`] is opaque. Programs decide by [`Error::kind`]; users read its `Display`, which has the failure, its
//! location and a remedy. `source()` has the operating system's cause. No error contains content of a cache.

#[cfg(test)]
mod page;
mod system;
mod table;

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::text;
pub use table::{ErrorKind, Explanation};

/// The result of every fallible call in this crate.
///
/// ```
/// fn read(cache: &tokenkeep::TokenCache) -> tokenkeep::Result<usize> {
///     Ok(cache.read()?.map_or(0, |content| content.len()))
/// }
/// ```
pub type Result<T, E = Error> = std::result::Result<T, E>;

type Cause = Box<dyn std::error::Error + Send + Sync + 'static>;

/// A failure: its [kind](Error::kind), a sentence, where known the path and the remedy, and the cause.
///
/// ```
/// use tokenkeep::{Config, ErrorKind};
///
/// // A name with a slash in it could leave the folder it is meant for.
/// let error = Config::new("../elsewhere").open().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidInput);
/// assert_eq!(error.help(), "docs/errors.md#invalid_input");
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
        Self(Box::new(Inner {
            kind,
            what: shown(what.into()),
            path: None,
            remedy: None,
            cause: None,
            candidates,
        }))
    }

    /// Creates an error from a failed file-system call on `path`; the operating system's code decides the kind.
    pub fn io(what: impl Into<String>, path: &Path, cause: impl Into<io::Error>) -> Self {
        let cause = cause.into();
        let error = Self::new(system::kind(&cause), what).at(path);
        match system::remedy(&cause) {
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
        self.0.remedy = Some(shown(remedy.into()));
        self
    }

    /// Returns the error with another way beside its remedy.
    #[must_use]
    pub(crate) fn or(mut self, way: &str) -> Self {
        let remedy = match self.0.remedy.take() {
            Some(remedy) => format!("{remedy}; or {way}"),
            None => way.to_owned(),
        };
        self.remedy(remedy)
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
    /// in the keystore, the label, the attributes and the time of the last change; a program's own texts are in quotes. No
    /// content. The message has them too.
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

    /// Returns the text of the error without the remedy at its end.
    pub(crate) fn without_remedy(&self) -> String {
        let text = self.to_string();
        let remedy = self.suggestion().map(|remedy| format!(". {remedy}"));
        remedy.and_then(|remedy| text.strip_suffix(&remedy)).map_or_else(|| text.clone(), str::to_owned)
    }

    /// Returns the file that this error concerns, if there is one.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// Returns the remedy, if there is one: the end of the error's `Display`.
    pub fn suggestion(&self) -> Option<&str> {
        self.0.remedy.as_deref()
    }

    /// Returns the place of this error's code in the documentation, `docs/errors.md#busy`: what happened, why, and what to do.
    pub fn help(&self) -> &'static str {
        self.0.kind.explanation().help
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

/// A path in a sentence may hold a line feed.
fn shown(sentence: String) -> String {
    match text::whole(&sentence) {
        Cow::Borrowed(_) => sentence,
        Cow::Owned(shown) => shown,
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
            write!(f, ": {}", text::whole(&cause.to_string()))?;
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
