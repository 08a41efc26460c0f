//! What is written from the table of errors: `docs/errors.md`, and the type of the codes in the Node package.
//!
//! `cargo xtask errors` writes them, by running these tests with `TOKENKEEP_WRITE`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::{env, fs};

use super::{ErrorKind, Explanation, system};

const WRITE: &str = "TOKENKEEP_WRITE";

const HEAD: &str = "\
# Errors

<!-- Written by `cargo xtask errors` from crates/tokenkeep/src/error/table.rs. -->

Every error says what failed, where, and what to do. Its code is stable: programs compare the code, never the message. No
error contains a token, a key or a passphrase.

| language | the code | this page |
| --- | --- | --- |
| Rust | `error.kind()`, as text `error.kind().code()` | `error.help()` |
| Node | `error.code`, of a `PersistenceError` (`isPersistenceError(error)`); `error.errorCode` is the family, as in the original | `error.help` |
| Python | `error.kind`, of a `tokenkeep.Error`; the class for `except` is in `tokenkeep.errors` | `error.remedy` |
| the command | `error.kind` with `--json`; every failure has an [exit code](cli.md#exit-codes) | `error.help` with `--json` |

`tokenkeep doctor` (for Node: `npx tokenkeep doctor`) examines the machine. Where one of its findings has the same reason as an
error, the entry names the finding.
";

/// Returns the page.
fn page() -> String {
    let mut page = HEAD.to_owned();
    let codes: BTreeMap<_, _> = Explanation::all().map(|entry| (entry.code, entry)).collect();
    page.push_str("\n| code | what happened |\n| --- | --- |\n");
    for entry in codes.values() {
        let _ = writeln!(page, "| [`{0}`](#{0}) | {1} |", entry.code, entry.happened);
    }
    for entry in codes.values() {
        let _ = write!(page, "\n## `{}`\n{}\n\n", entry.code, entry.happened);
        let _ = writeln!(page, "- **Why**: {}", entry.why);
        let _ = writeln!(page, "- **What to do**: {}.", entry.remedy);
        if entry.raised_by.contains(&"core") || entry.code == "panic" {
            let _ = writeln!(page, "- **Class in Python**: `{}`", python(entry.code));
        }
        if !entry.findings.is_empty() {
            let findings: Vec<_> = entry.findings.iter().map(|code| format!("`{code}`")).collect();
            let _ = writeln!(page, "- **Findings of the doctor**: {}", findings.join(", "));
        }
        if entry.raised_by != ["core"] {
            let _ = writeln!(page, "- **Raised by**: {}", entry.raised_by.join(", "));
        }
    }
    page.push_str(
        "\n## Failed system calls\nIn the Node package, `code` of a failed system call is the name of its error number. A wrong argument \
         has\n`ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE`.\n\n| name | code in Rust | what to do |\n| --- | --- | --- |\n",
    );
    for failure in system::FAILURES {
        let names: Vec<_> = failure.names.iter().map(|name| format!("`{name}`")).collect();
        let kind = failure.kind.explanation();
        let remedy = failure.remedy.unwrap_or(kind.remedy);
        let _ = writeln!(page, "| {} | [`{1}`](#{1}) | {remedy} |", names.join(", "), kind.code);
    }
    let _ = writeln!(page, "| any other | [`io`](#io) | {} |", ErrorKind::Io.explanation().remedy);
    page
}

/// Returns the class of `tokenkeep.errors` for a code. The tests of the Python package compare the page with the classes.
fn python(code: &str) -> &'static str {
    match code {
        "busy" => "LockError",
        "damaged" | "truncated" => "DamagedError",
        "invalid_input" => "InvalidInputError",
        "key_gone" => "KeyGoneError",
        "missing_key" => "MissingKeyError",
        "not_supported" => "NotSupportedError",
        "panic" => "InternalError",
        "permission_denied" => "PermissionDeniedError",
        "ambiguous" | "store_failed" => "StoreError",
        "store_locked" => "StoreLockedError",
        "store_timeout" => "StoreTimeoutError",
        "store_unavailable" => "StoreUnavailableError",
        "unknown_format" => "UnknownFormatError",
        "unprotected" => "UnprotectedError",
        "wrong_key" => "WrongKeyError",
        _ => "PersistenceError",
    }
}

/// Returns the module with the type of the codes in the Node package.
fn typescript() -> String {
    let mut codes: Vec<_> = Explanation::all()
        .filter(|entry| entry.raised_by.iter().any(|part| matches!(*part, "core" | "node")))
        .map(|entry| entry.code)
        .collect();
    codes.sort_unstable();
    let mut module = "\
// The codes of errors. Written by `cargo xtask errors` from crates/tokenkeep/src/error/table.rs.

/**
 * Why an operation failed, in the finest terms: the `code` of a {@link PersistenceError}. Stable. docs/errors.md says for each
 * what to do. A failed system call has the name of its error number, such as `EACCES`; a wrong argument
 * `ERR_INVALID_ARG_TYPE` or `ERR_INVALID_ARG_VALUE`.
 */
export type PersistenceErrorCode =
"
    .to_owned();
    for code in codes {
        let _ = writeln!(module, "  | \"{code}\"");
    }
    module.push_str("  | `E${string}`;\n");
    module
}

/// Compares a file of the checkout with `text`, or writes it.
fn is_current(name: &str, text: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    if env::var_os(WRITE).is_some() {
        fs::write(&path, text).unwrap();
    }
    // On Windows git may have changed the line ends of a checkout.
    let kept = fs::read_to_string(&path).unwrap_or_default().replace("\r\n", "\n");
    assert!(kept == text, "{name} differs from the table of errors; write it with: cargo xtask errors");
}

#[test]
fn the_page_of_errors_is_that_of_the_table() {
    is_current("docs/errors.md", &page());
}

#[test]
fn the_type_of_the_codes_in_node_is_that_of_the_table() {
    is_current("bindings/node/ts/error-codes.ts", &typescript());
}

#[test]
fn every_code_is_explained_once_in_whole_sentences() {
    let mut seen = BTreeMap::new();
    for entry in Explanation::all() {
        let code = entry.code;
        assert_eq!(seen.insert(code, ()), None, "{code} is there twice");
        assert!(code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{code}");
        assert!(entry.happened.ends_with('.') && entry.why.ends_with('.'), "{code}: whole sentences");
        assert!(
            !entry.remedy.ends_with('.'),
            "{code}: a remedy ends an error's sentence without a full stop"
        );
        assert_eq!(entry.help, format!("docs/errors.md#{code}"));
        assert!(!entry.raised_by.is_empty(), "{code}");
    }
}

#[test]
fn a_failed_system_call_has_the_kind_and_the_remedy_of_the_table() {
    use std::io::{self, ErrorKind as Io};
    let full = io::Error::from(Io::QuotaExceeded);
    assert_eq!(system::kind(&full), ErrorKind::StorageFull);
    assert!(system::remedy(&full).is_some_and(|remedy| remedy.starts_with("Free some space")));
    let other = io::Error::from(Io::NotFound);
    assert_eq!((system::kind(&other), system::remedy(&other)), (ErrorKind::Io, None));
}
