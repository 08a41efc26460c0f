//! Failures as JavaScript gets them.

use std::any::Any;
use std::fmt;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::thread;

use napi::bindgen_prelude::{Env, Object};
use tokenkeep::Error;

/// The kind of the failure that asks JavaScript for the passphrase.
pub(crate) const WANTED: &str = "passphrase_wanted";

/// The cause of a missing key that JavaScript can get.
#[derive(Debug)]
pub(crate) struct Wanted;

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is the program's to give")
    }
}

impl std::error::Error for Wanted {}

/// Whether an operation failed only because the passphrase has to be asked for first.
fn is_wanted(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<Wanted>)
}

/// The result of an operation of the core's. A panic in it goes on here, for the guard to catch.
pub(crate) fn outcome<T>(outcome: thread::Result<tokenkeep::Result<T>>) -> Result<T, Failure> {
    Ok(outcome.unwrap_or_else(|panic| resume_unwind(panic))?)
}

/// What an export throws that fails at once; JavaScript sees the kind as `code` of the exception.
pub(crate) type Thrown = napi::Error<&'static str>;

/// What went wrong, for `errors.ts` to turn into a `PersistenceError`.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: &'static str,
    message: String,
    os_code: Option<i32>,
    path: Option<PathBuf>,
}

impl Failure {
    /// A failure of the addon itself.
    pub(crate) fn new(kind: &'static str, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), os_code: None, path: None }
    }

    pub(crate) fn of(error: &Error) -> Self {
        Self {
            kind: if is_wanted(error) { WANTED } else { error.kind().code() },
            os_code: error.os_code().and_then(number_in_node),
            path: error.path().map(ToOwned::to_owned),
            message: error.to_string(),
        }
    }

    /// The hold ended before it was used: its client took too long.
    pub(crate) fn expired() -> Self {
        Self::new("expired", "The lock was given back because its owner took too long")
    }

    /// The JavaScript thread that asked is ending.
    pub(crate) fn closed() -> Self {
        Self::new("closed", "This JavaScript thread is ending")
    }

    /// A call was not answered: there was no thread to do the work on.
    pub(crate) fn unanswered() -> Self {
        Self::new("io", "The system gave no thread to do this on")
    }

    pub(crate) fn panicked(place: impl fmt::Debug, panic: &(dyn Any + Send)) -> Self {
        let said = panic.downcast_ref::<&str>().copied().or_else(|| Some(panic.downcast_ref::<String>()?));
        Self::new("panic", format!("{place:?}: {}", said.unwrap_or("a panic without a message")))
    }

    /// The failure as an object of JavaScript.
    pub(crate) fn to_object<'env>(&self, env: &'env Env) -> napi::Result<Object<'env>> {
        let mut object = Object::new(env)?;
        object.set("kind", self.kind)?;
        object.set("message", &self.message)?;
        if let Some(code) = self.os_code {
            object.set("osCode", code)?;
        }
        if let Some(path) = &self.path {
            object.set("path", path.to_string_lossy().as_ref())?;
        }
        Ok(object)
    }

    /// The failure as an exception, for exports that fail at once. Its `code` is the kind.
    pub(crate) fn into_exception(self) -> napi::Error<&'static str> {
        napi::Error::new(self.kind, self.message)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::of(&error)
    }
}

impl From<napi::Error> for Failure {
    fn from(error: napi::Error) -> Self {
        Self::new("internal", error.reason.clone())
    }
}

/// The number by which Node knows a failed system call. It has its own for those of Windows; without a counterpart, the
/// kind has to say it.
#[cfg(windows)]
fn number_in_node(code: i32) -> Option<i32> {
    // Windows' winerror.h to libuv's errno.h, without the sign.
    Some(match code {
        2 | 3 => 4058,     // ENOENT
        5 => 4048,         // EPERM
        19 => 4043,        // EROFS: the medium is write-protected
        32 | 33 => 4082,   // EBUSY: another process has the file
        39 | 112 => 4055,  // ENOSPC
        80 | 183 => 4075,  // EEXIST
        123 | 206 => 4064, // ENAMETOOLONG
        267 => 4052,       // ENOTDIR
        _ => return None,
    })
}

#[cfg(not(windows))]
#[allow(clippy::unnecessary_wraps, reason = "Windows has numbers without a counterpart")]
fn number_in_node(code: i32) -> Option<i32> {
    Some(code)
}
