//! Exit codes, and failures that carry one. The codes are documented in docs/cli.md and in the help.

use std::fmt;
use std::process::ExitCode;

use serde_json::{Value, json};
use tokenkeep::{Error, ErrorKind};

/// The number by which a program tells how a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// It did what was asked.
    Ok = 0,
    /// It failed.
    Failed = 1,
    /// The arguments cannot be used.
    Usage = 2,
    /// The doctor has findings.
    Findings = 3,
    /// There is no such cache, account or lock file.
    Nothing = 4,
    /// Another process has the lock of the cache.
    Busy = 5,
    /// The keystore is locked, missing or silent.
    Store = 6,
    /// Ctrl-C.
    Interrupted = 130,
}

impl Code {
    /// What an error of the library means for whoever started the command.
    pub(crate) fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidInput => Self::Usage,
            ErrorKind::Busy => Self::Busy,
            ErrorKind::Cancelled => Self::Interrupted,
            ErrorKind::StoreLocked | ErrorKind::StoreUnavailable | ErrorKind::StoreTimeout => Self::Store,
            _ => Self::Failed,
        }
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    kind: &'static str,
    text: String,
    remedy: Option<String>,
}

impl Failure {
    /// Arguments that cannot be used, as only the command itself finds out.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self { code: Code::Usage, kind: "usage", text: text.into(), remedy: None }
    }

    /// What was named is not there.
    pub(crate) fn nothing(text: impl Into<String>) -> Self {
        Self { code: Code::Nothing, kind: "nothing_found", text: text.into(), remedy: None }
    }

    /// The person did not want it.
    pub(crate) fn declined(text: impl Into<String>) -> Self {
        Self { code: Code::Failed, kind: "declined", text: text.into(), remedy: None }
    }

    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// The library's code for what went wrong, or the command's own.
    pub(crate) fn kind(&self) -> &'static str {
        self.kind
    }

    /// What failed, without the remedy.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn remedy(&self) -> Option<&str> {
        self.remedy.as_deref()
    }

    /// What `--json` prints instead of the result.
    pub(crate) fn to_json(&self) -> Value {
        json!({ "error": { "kind": self.kind, "message": self.text, "remedy": self.remedy } })
    }
}

/// An error's sentence without the remedy at its end.
pub(crate) fn message(error: &Error) -> String {
    let text = error.to_string();
    match error.suggestion().and_then(|remedy| text.strip_suffix(&format!(". {remedy}"))) {
        Some(what) => what.to_owned(),
        None => text,
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self {
            code: Code::of(error.kind()),
            kind: error.kind().code(),
            text: message(&error),
            remedy: error.suggestion().map(str::to_owned),
        }
    }
}

impl From<std::io::Error> for Failure {
    /// Standard output is the only file that a command itself writes.
    fn from(error: std::io::Error) -> Self {
        let text = format!("Cannot write to standard output: {error}");
        Self { code: Code::Failed, kind: "io", text, remedy: None }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        match &self.remedy {
            Some(remedy) => write!(f, ". {remedy}"),
            None => Ok(()),
        }
    }
}

/// What a command comes to.
pub(crate) type Outcome<T = Code> = std::result::Result<T, Failure>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_is_told_apart_from_what_failed() {
        let error = Error::new(ErrorKind::StoreLocked, "The keyring is locked").remedy("Unlock it");
        assert_eq!(message(&error), "The keyring is locked");
        let failure = Failure::from(error);
        assert_eq!(failure.to_string(), "The keyring is locked. Unlock it");
        assert_eq!(failure.code(), Code::Store);
        assert_eq!(failure.to_json()["error"]["remedy"], "Unlock it");
    }
}
