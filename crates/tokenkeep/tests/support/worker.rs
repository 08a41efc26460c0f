//! The `torture` program as a child process: built once, obedient, and gone when the test is.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// No answer takes longer than this unless a test says so.
const PATIENCE: Duration = Duration::from_secs(30);

/// The program, built for the profile of this very test, so that it is never older than what it tests.
pub(crate) fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        // .../<target>/<profile>/deps/it-0123456789abcdef
        let me = std::env::current_exe().unwrap();
        let profile = me.parent().and_then(Path::parent).unwrap();
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "--quiet", "--package", "torture", "--manifest-path"]);
        cargo.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../torture/Cargo.toml"));
        cargo.arg("--target-dir").arg(profile.parent().unwrap());
        if profile.file_name() == Some(OsStr::new("release")) {
            cargo.arg("--release");
        }
        let output = cargo.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        profile.join("torture")
    })
}

/// A command that runs the program with a verb and a path.
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
    /// A process that holds the cache at `path` and obeys [`Worker::ask`].
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
            // The thread ends with the pipe, or with the test that no longer listens.
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, input, lines }
    }

    /// Gives a command and waits for its answer.
    pub(crate) fn ask(&mut self, words: &str) -> String {
        self.tell(words);
        self.line()
    }

    /// As [`Worker::ask`], for a command that must succeed; returns what follows the `ok`.
    pub(crate) fn does(&mut self, words: &str) -> String {
        let answer = self.ask(words);
        match answer.strip_prefix("ok") {
            Some(rest) => rest.trim_start().to_owned(),
            None => panic!("{words}: {answer}"),
        }
    }

    /// Gives a command and does not wait.
    pub(crate) fn tell(&mut self, words: &str) {
        writeln!(self.input.as_mut().unwrap(), "{words}").unwrap();
    }

    pub(crate) fn line(&self) -> String {
        self.line_within(PATIENCE).expect("the worker neither answered nor ended")
    }

    /// The next line; `None` when none came in time. Panics when the worker has ended.
    pub(crate) fn line_within(&self, limit: Duration) -> Option<String> {
        match self.lines.recv_timeout(limit) {
            Ok(line) => Some(line),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => panic!("the worker ended"),
        }
    }

    /// Every line that came until the worker ended.
    pub(crate) fn remaining_lines(&self) -> Vec<String> {
        self.lines.iter().collect()
    }

    /// How many lines have come since the last look.
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

    /// SIGKILL, and wait until it is gone.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Where the child is strace: SIGKILL to the process that it traces, and wait until both are gone.
    pub(crate) fn kill_traced(&mut self) {
        let children = format!("/proc/{0}/task/{0}/children", self.child.id());
        let child = std::fs::read_to_string(children).unwrap();
        kill_process(Pid::from_raw(child.trim().parse().unwrap()).unwrap(), Signal::KILL).unwrap();
        self.child.wait().unwrap();
    }

    /// Closes its input and waits for its end.
    pub(crate) fn finish(&mut self) -> ExitStatus {
        self.input = None;
        self.child.wait().unwrap()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended long ago; either way nothing is left behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
