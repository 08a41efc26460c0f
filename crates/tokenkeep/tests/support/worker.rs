//! The `torture` program as a child process, killed at the end of the test.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// The longest time for an answer, unless a test has its own limit.
const PATIENCE: Duration = Duration::from_secs(30);

/// Returns the program, built for the profile of this test, so that it is never older than the library.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        // .../<target>/<profile>/deps/it-0123456789abcdef
        let me = std::env::current_exe().unwrap();
        let profile = me.parent().and_then(Path::parent).unwrap();
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        // The same words as in sealed/support.rs: with other packages cargo compiles the dependencies again.
        cargo.args(["build", "--quiet", "--package", "tokenkeep", "--example", "sealed"]);
        cargo.args(["--package", "torture", "--bin", "torture", "--manifest-path"]);
        cargo.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"));
        cargo.arg("--target-dir").arg(profile.parent().unwrap());
        if profile.file_name() == Some(OsStr::new("release")) {
            cargo.arg("--release");
        }
        let output = cargo.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        profile.join("torture")
    })
}

/// Returns a command that runs the program with a verb and a path.
pub(crate) fn command(verb: &str, path: &Path) -> Command {
    let mut command = Command::new(program());
    command.arg(verb).arg(path);
    command
}

/// A child that answers line by line.
pub(crate) struct Worker {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Worker {
    /// Starts a process that holds the cache at `path` and obeys [`Worker::ask`].
    pub(crate) fn serve(path: &Path) -> Self {
        let worker = Self::start(command("serve", path));
        assert_eq!(worker.line(), "ready");
        worker
    }

    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            // The thread ends with the pipe, or when the test no longer receives.
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, input, lines }
    }

    /// Sends a command and waits for the answer.
    pub(crate) fn ask(&mut self, words: &str) -> String {
        self.tell(words);
        self.line()
    }

    /// Like [`Worker::ask`], for a command that must succeed; returns the text after `ok`.
    pub(crate) fn does(&mut self, words: &str) -> String {
        let answer = self.ask(words);
        match answer.strip_prefix("ok") {
            Some(rest) => rest.trim_start().to_owned(),
            None => panic!("{words}: {answer}"),
        }
    }

    /// Sends a command and does not wait.
    pub(crate) fn tell(&mut self, words: &str) {
        writeln!(self.input.as_mut().unwrap(), "{words}").unwrap();
    }

    pub(crate) fn line(&self) -> String {
        self.line_within(PATIENCE).expect("the worker neither answered nor ended")
    }

    /// Returns the next line; `None` if none came in time. Panics if the worker has ended.
    pub(crate) fn line_within(&self, limit: Duration) -> Option<String> {
        match self.lines.recv_timeout(limit) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the worker ended"),
        }
    }

    /// Returns every line until the worker ended.
    pub(crate) fn remaining_lines(&self) -> Vec<String> {
        self.lines.iter().collect()
    }

    /// Returns the number of lines since the last call.
    pub(crate) fn drain(&self) -> usize {
        self.lines.try_iter().count()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Sends SIGKILL and waits for the end.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Where the child is strace: sends SIGKILL to the traced process and waits for the end of both.
    pub(crate) fn kill_traced(&mut self) {
        let children = format!("/proc/{0}/task/{0}/children", self.child.id());
        let child = std::fs::read_to_string(children).unwrap();
        kill_process(Pid::from_raw(child.trim().parse().unwrap()).unwrap(), Signal::KILL).unwrap();
        self.child.wait().unwrap();
    }

    /// Closes the worker's input and waits for its end.
    pub(crate) fn finish(&mut self) -> ExitStatus {
        self.input = None;
        self.child.wait().unwrap()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
