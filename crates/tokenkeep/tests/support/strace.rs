//! System calls of another process: watched, failed or made deadly by strace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// One line of a trace.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// `openat`
    pub(crate) name: String,
    /// The whole line after the name, with the paths of descriptors: `(3</tmp/x>) = 0`.
    pub(crate) rest: String,
    /// Which of this thread's calls of this name it is, counted from 1 at the thread's start: what `when=` means.
    pub(crate) nth: usize,
}

impl Call {
    pub(crate) fn mentions(&self, text: &str) -> bool {
        self.rest.contains(text)
    }
}

/// strace in front of `command`, with these expressions.
pub(crate) fn wrap(command: &Command, options: &[&str]) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-f"]).args(options).arg("--").arg(command.get_program()).args(command.get_args());
    if let Some(directory) = command.get_current_dir() {
        strace.current_dir(directory);
    }
    strace
}

/// Runs to the end; a missing strace is one line that says what to do.
pub(crate) fn run(mut command: Command) -> Output {
    command.output().unwrap_or_else(|error| {
        panic!("cannot run strace ({error}): install it with `apt-get install strace` or `cargo xtask setup`")
    })
}

/// The calls between the two marks that `torture once` makes, of a run that nothing disturbs.
pub(crate) fn calls_between_marks(command: &Command, trace: &Path) -> Vec<Call> {
    let file = trace.to_str().unwrap();
    let output = run(wrap(command, &["-y", "-s", "256", "-o", file]));
    assert!(output.status.success(), "{output:?}");
    let calls = parse(&fs::read_to_string(trace).unwrap());
    let at = |mark: &str| {
        calls.iter().position(|call| call.mentions(&format!("/tokenkeep-torture/{mark}"))).unwrap()
    };
    calls[at("begin") + 1..at("end")].to_vec()
}

pub(crate) fn parse(trace: &str) -> Vec<Call> {
    let mut counts = std::collections::HashMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        // "12345 openat(...) = 3"; signals and exits have no parenthesis after a name.
        let (thread, line) = match line.split_once(' ') {
            Some((pid, rest)) if pid.bytes().all(|byte| byte.is_ascii_digit()) => (pid, rest.trim_start()),
            _ => ("", line),
        };
        let Some((name, rest)) = line.split_once('(') else { continue };
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            continue;
        }
        let nth = counts.entry((thread.to_owned(), name.to_owned())).or_insert(0);
        *nth += 1;
        calls.push(Call { name: name.to_owned(), rest: rest.to_owned(), nth: *nth });
    }
    calls
}

/// Where a test may put a trace without its showing in the directory under test.
pub(crate) fn trace_file(directory: &tempfile::TempDir) -> PathBuf {
    directory.path().join("trace")
}
