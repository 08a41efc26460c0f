//! Makes every system call of a transaction fail in turn, with every error of a file system. The error is typed and
//! has a remedy, the old content is whole, no file is left, and the next operation succeeds.

use std::path::Path;
use std::process::Command;

use crate::support::strace::{self, Call};
use crate::support::worker;
use crate::support::{Place, read, write};

const OLD: &str = r#"{"old":"content, which is longer than the new"}"#;
const NEW: &str = r#"{"new":"content"}"#;

/// An error of the kernel, and the kind of error that must result.
const FAULTS: [(&str, &str); 5] = [
    ("ENOSPC", "storage_full"),
    ("EDQUOT", "storage_full"),
    ("EIO", "io"),
    ("EROFS", "permission_denied"),
    ("EACCES", "permission_denied"),
];

fn once(cache: &Path) -> Command {
    let mut command = worker::command("once", cache);
    command.args(["synced", NEW]);
    command
}

/// Returns the calls of one transaction that reach the file system or wait; not those for memory or time. Also not
/// `close`: Rust's library ignores its failure, and the content has been synced before.
fn calls() -> Vec<Call> {
    let place = Place::new();
    write(&place.open(), OLD);
    let elsewhere = tempfile::tempdir().unwrap();
    let calls = strace::calls_between_marks(&once(&place.cache()), &strace::trace_file(&elsewhere));
    let harmless =
        ["close", "mmap", "munmap", "mremap", "madvise", "brk", "prlimit64", "sigaltstack", "futex"];
    calls
        .into_iter()
        .filter(|call| {
            !harmless.contains(&&*call.name) && !call.name.starts_with("get") && !call.name.starts_with("rt_")
        })
        .collect()
}

/// Runs a transaction in which one call fails, and returns its output.
fn fail(place: &Place, call: &Call, errno: &str) -> String {
    let inject = format!("inject={}:error={errno}:when={}", call.name, call.nth);
    let output = strace::run(strace::wrap(&once(&place.cache()), &["-o/dev/null", "-e", &inject]));
    assert!(output.status.success(), "{call:?} {errno}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_fault_at_any_call_is_a_typed_error_or_no_error_and_harms_nothing() {
    let calls = calls();
    let (mut survived, mut failed, mut complaints) = (0, 0, Vec::new());
    for call in &calls {
        for (errno, kind) in FAULTS {
            let place = Place::new();
            write(&place.open(), OLD);
            let answer = fail(&place, call, errno);
            *(if answer == "ok" { &mut survived } else { &mut failed }) += 1;
            if let Some(wrong) = complaint(&place, kind, &answer) {
                complaints.push(format!("{errno} from {}({}: {answer}: {wrong}", call.name, call.rest));
            }
        }
    }
    println!("{} calls, {failed} faults reported, {survived} survived", calls.len());
    assert!(complaints.is_empty(), "{complaints:#?}");
    assert!(failed > 50 && survived > 20, "{failed} failed, {survived} survived");
}

/// Returns the fault in the state after a failed call, if there is one.
fn complaint(place: &Place, kind: &str, answer: &str) -> Option<String> {
    let mut expected = NEW;
    if answer != "ok" {
        if !answer.starts_with(&format!("err {kind} ")) {
            return Some("the kind".to_owned());
        }
        // Only the directory's sync comes after the rename, and its error says so.
        let placed = answer.contains("is in place");
        if !placed {
            expected = OLD;
        }
        let remedy = match kind {
            _ if placed => "Save it again",
            "storage_full" => "Free some space",
            "permission_denied" => "rit",
            _ => "system's log",
        };
        if !answer.contains(&*place.directory().to_string_lossy()) || !answer.contains(remedy) {
            return Some("no path or no remedy".to_owned());
        }
    }
    let content = read(&place.open()).unwrap_or_default();
    if content != expected {
        return Some(format!("the content is {content}"));
    }
    if place.names() != ["cache.json", "cache.json.tk-lock"] {
        return Some(format!("left {:?}", place.names()));
    }
    let next = place.open().begin_write().and_then(|access| access.commit("next"));
    next.err().map(|error| format!("next: {error}"))
}

#[test]
fn a_large_write_reserves_its_space_first_and_writes_nothing_if_there_is_none() {
    let length = 600_000;
    let large = |place: &Place, errno: &str| {
        let mut command = worker::command("once", &place.cache());
        command.args(["synced", &format!("@{length}")]);
        let inject = format!("inject=fallocate:error={errno}:when=1");
        let output = strace::run(strace::wrap(&command, &["-o/dev/null", "-e", &inject]));
        assert!(output.status.success(), "{errno}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    for (errno, kind) in FAULTS {
        let place = Place::new();
        write(&place.open(), OLD);
        let answer = large(&place, errno);
        assert!(answer.starts_with(&format!("err {kind} ")), "{errno}: {answer}");
        assert_eq!(read(&place.open()).as_deref(), Some(OLD));
        assert_eq!(place.names(), ["cache.json", "cache.json.tk-lock"]);
    }
    // A signal, and a file system without fallocate.
    for errno in ["EINTR", "EOPNOTSUPP"] {
        let place = Place::new();
        assert_eq!(large(&place, errno), "ok");
        assert_eq!(read(&place.open()).map(|content| content.len()), Some(length));
    }
}

#[test]
fn a_signal_at_any_call_is_no_failure() {
    for call in &calls() {
        let place = Place::new();
        write(&place.open(), OLD);
        assert_eq!(fail(&place, call, "EINTR"), "ok", "{call:?}");
        assert_eq!(read(&place.open()).as_deref(), Some(NEW), "{call:?}");
        assert_eq!(place.names(), ["cache.json", "cache.json.tk-lock"], "{call:?}");
    }
}

#[test]
fn content_is_synced_before_the_rename_and_the_rename_before_the_call_returns() {
    let place = Place::new();
    write(&place.open(), OLD);
    let elsewhere = tempfile::tempdir().unwrap();
    let calls = strace::calls_between_marks(&once(&place.cache()), &strace::trace_file(&elsewhere));
    let at = |what: &str, is: &dyn Fn(&Call) -> bool| {
        let found: Vec<_> = calls.iter().enumerate().filter(|(_, call)| is(call)).map(|(at, _)| at).collect();
        assert_eq!(found.len(), 1, "{what}: {calls:#?}");
        found[0]
    };
    let directory = format!("<{}>", place.directory().display());
    let sync = |call: &Call| call.name == "fsync" || call.name == "fdatasync";
    let written = at("write", &|call| call.name == "write" && call.mentions(".tmp>"));
    let dated = at("times", &|call| call.name == "utimensat" && call.mentions(".tmp>"));
    let synced = at("fsync of the file", &|call| sync(call) && call.mentions(".tmp>"));
    let renamed = at("rename", &|call| call.name.starts_with("rename"));
    let listed = at("fsync of the directory", &|call| sync(call) && call.mentions(&directory));
    let freed = at("unlink", &|call| call.name.starts_with("unlink") && call.mentions(".lockfile"));
    // The lock is released before the name is synced. A later writer syncs the same directory before its own call
    // returns; and this call returns, which is the mark, after all of it.
    let order = [written, dated, synced, renamed, freed, listed];
    assert!(order.is_sorted(), "{order:?}: {calls:#?}");
}
