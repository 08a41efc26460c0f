//! Traces the system calls of another process with strace, makes them fail, or kills the process at them.

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
    /// The number of this call among the thread's calls of this name, from 1 at the thread's start: the meaning of
    /// `when=`.
    pub(crate) nth: usize,
}

impl Call {
    pub(crate) fn mentions(&self, text: &str) -> bool {
        self.rest.contains(text)
    }
}

/// Returns `command` under strace with these expressions.
pub(crate) fn wrap(command: &Command, options: &[&str]) -> Command {
    let mut strace = Command::new("strace");
    strace.args(["-qq", "-f"]).args(options).arg("--").arg(command.get_program()).args(command.get_args());
    if let Some(directory) = command.get_current_dir() {
        strace.current_dir(directory);
    }
    strace
}

/// Runs the command to its end; a missing strace is an error with a remedy.
pub(crate) fn run(mut command: Command) -> Output {
    command.output().unwrap_or_else(|error| {
        panic!("cannot run strace ({error}): install it with `apt-get install strace` or `cargo xtask setup`")
    })
}

/// Returns the calls between the two marks of `torture once`, from an undisturbed run.
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

/// Returns a path for a trace outside the directory under test.
pub(crate) fn trace_file(directory: &tempfile::TempDir) -> PathBuf {
    directory.path().join("trace")
}
