//! Exit codes, and failures with an exit code. docs/cli.md and the help document the codes.

use std::fmt;
use std::process::ExitCode;

use serde_json::{Value, json};
use tokenkeep::inspect::printable;
use tokenkeep::{Error, ErrorKind};

/// The exit code of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// Success.
    Ok = 0,
    /// Failure.
    Failed = 1,
    /// The arguments are not valid.
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
    /// Returns the exit code for an error of the library.
    pub(crate) fn of(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::InvalidInput => Self::Usage,
            ErrorKind::Busy => Self::Busy,
            ErrorKind::Cancelled => Self::Interrupted,
            _ if error.is_keystore_out_of_reach() => Self::Store,
            _ => Self::Failed,
        }
    }
}

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

/// The reason why a command failed.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    kind: &'static str,
    text: String,
    remedy: Option<String>,
}

impl Failure {
    /// A usage error that only the command itself detects.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self { code: Code::Usage, kind: "usage", text: printable(&text.into()), remedy: None }
    }

    /// The named cache, account or lock does not exist.
    pub(crate) fn nothing(text: impl Into<String>) -> Self {
        Self { code: Code::Nothing, kind: "nothing_found", text: printable(&text.into()), remedy: None }
    }

    /// The user answered no.
    pub(crate) fn declined(text: impl Into<String>) -> Self {
        Self { code: Code::Failed, kind: "declined", text: printable(&text.into()), remedy: None }
    }

    /// Returns the failure with a remedy.
    pub(crate) fn remedied(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(printable(&remedy.into()));
        self
    }

    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// Returns the library's error code, or the command's own.
    pub(crate) fn kind(&self) -> &'static str {
        self.kind
    }

    /// Returns the message without the remedy.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn remedy(&self) -> Option<&str> {
        self.remedy.as_deref()
    }

    /// Returns the object that `--json` prints in place of the result.
    pub(crate) fn to_json(&self) -> Value {
        let help = format!("docs/errors.md#{}", self.kind);
        json!({ "error": { "kind": self.kind, "message": self.text, "remedy": self.remedy, "help": help } })
    }
}

/// Returns an error's message without the remedy at its end.
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
            code: Code::of(&error),
            kind: error.kind().code(),
            text: message(&error),
            remedy: Some(error.suggestion().unwrap_or(error.kind().explanation().remedy).to_owned()),
        }
    }
}

impl From<std::io::Error> for Failure {
    /// A command itself writes only to standard output.
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

/// The result of a command.
pub(crate) type Outcome<T = Code> = std::result::Result<T, Failure>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remedy_is_separate_from_the_message() {
        let error = Error::new(ErrorKind::StoreLocked, "The keyring is locked").remedy("Unlock it");
        assert_eq!(message(&error), "The keyring is locked");
        let failure = Failure::from(error);
        assert_eq!(failure.to_string(), "The keyring is locked. Unlock it");
        assert_eq!(failure.code(), Code::Store);
        assert_eq!(failure.to_json()["error"]["remedy"], "Unlock it");
    }
    #[test]
    fn an_error_without_a_remedy_has_that_of_its_code() {
        let failure = Failure::from(Error::new(ErrorKind::StoreFailed, "The keyring said no"));
        assert_eq!(failure.text(), "The keyring said no");
        assert_eq!(failure.remedy(), Some(ErrorKind::StoreFailed.explanation().remedy));
        assert_eq!(failure.to_json()["error"]["help"], "docs/errors.md#store_failed");
    }

    #[test]
    fn the_table_of_errors_has_the_kinds_of_the_command_and_only_findings_that_the_doctor_has() {
        let table: Vec<_> = tokenkeep::Explanation::all().collect();
        for own in [Failure::usage(""), Failure::nothing(""), Failure::declined("")] {
            assert!(table.iter().any(|entry| entry.code == own.kind()), "{}", own.kind());
        }
        let page = include_str!("../../../docs/cli.md");
        for code in table.iter().flat_map(|entry| entry.findings) {
            assert!(page.contains(&format!("`{code}`")), "docs/cli.md has no finding {code}");
        }
    }
}
