//! Runs the sibling libraries as programs: starts them, reads their output, ends them.
//!
//! The programs are in the folders beside this crate, one for each language. `cargo xtask test --only siblings`
//! builds them and sets an environment variable with the path of each; the tests are in `tests/it`. No test is
//! skipped: a missing program fails the test with the command that builds it.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than any program needs when several suites share two processors. Starting Java takes longest.
const PATIENCE: Duration = Duration::from_secs(90);

/// A language whose libraries the tests run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// msal and msal-extensions for Go.
    Go,
    /// msal4j and its persistence extension.
    Java,
    /// msal, msal-extensions and azure-identity for Python. It also makes .NET's libsecret calls and takes .NET's
    /// lock.
    Python,
    /// msal-node, the original extensions, keytar.
    Node,
}

impl Peer {
    /// Every language.
    pub const ALL: [Self; 4] = [Self::Go, Self::Java, Self::Python, Self::Node];

    /// The environment variable with the command that starts the program, one word a line.
    fn variable(self) -> &'static str {
        match self {
            Self::Go => "TOKENKEEP_PEER_GO",
            Self::Java => "TOKENKEEP_PEER_JAVA",
            Self::Python => "TOKENKEEP_PEER_PYTHON",
            Self::Node => "TOKENKEEP_PEER_NODE",
        }
    }

    /// Adds the program's command and `words` to `environment`, which may or may not have a session bus.
    ///
    /// # Panics
    /// If the program was not built.
    pub fn command(self, environment: Command, words: &[&str]) -> Command {
        let variable = self.variable();
        let start = std::env::var(variable)
            .unwrap_or_else(|_| panic!("{variable} is not set; run: cargo xtask test --only siblings"));
        let mut start = start.lines();
        let mut command = Command::new(start.next().unwrap_or_default());
        for (name, value) in environment.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.args(start).args(words);
        command
    }

    /// Runs the program to its end with `input` and returns its output.
    ///
    /// # Panics
    /// If the program fails or does not end in time.
    pub fn run(self, environment: Command, words: &[&str], input: &[u8]) -> Vec<u8> {
        let mut running = Running::start(self, environment, words);
        let mut stdin = running.stdin.take().expect("its input");
        // A program that reads no input may have ended already.
        let _ = stdin.write_all(input);
        drop(stdin);
        running.end()
    }
}

/// A running program. Dropping it kills the process.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    errors: Option<thread::JoinHandle<String>>,
    what: String,
}

impl Running {
    /// Starts a program.
    ///
    /// # Panics
    /// If the program cannot be started.
    pub fn start(peer: Peer, environment: Command, words: &[&str]) -> Self {
        let mut command = peer.command(environment, words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let what = format!("{peer:?} {words:?}");
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{what}: {error}"));
        let (sender, lines) = channel();
        let output = child.stdout.take().expect("its output");
        thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
            }
        });
        let mut complaints = child.stderr.take().expect("its errors");
        let errors = thread::spawn(move || {
            let mut text = String::new();
            let _ = complaints.read_to_string(&mut text);
            text
        });
        let stdin = child.stdin.take();
        Self { child, stdin, lines, errors: Some(errors), what }
    }

    /// Returns the program's next line of output.
    ///
    /// # Panics
    /// If the program ends, or no line comes in time.
    pub fn line(&mut self) -> String {
        match self.lines.recv_timeout(PATIENCE) {
            Ok(line) => line,
            Err(RecvTimeoutError::Timeout) => panic!("{} says nothing", self.what),
            Err(RecvTimeoutError::Disconnected) => {
                let complaint = self.complaint();
                panic!("{} ended: {complaint}", self.what)
            }
        }
    }

    /// Returns whether the program prints nothing during `time`.
    pub fn is_silent_for(&self, time: Duration) -> bool {
        matches!(self.lines.recv_timeout(time), Err(RecvTimeoutError::Timeout))
    }

    /// Ends the program's input, the signal to go on.
    pub fn release(&mut self) {
        self.stdin = None;
    }

    /// Waits until the program has ended with success and returns the output not yet read.
    ///
    /// # Panics
    /// If the program fails or does not end in time.
    pub fn end(mut self) -> Vec<u8> {
        self.release();
        let start = Instant::now();
        let status = loop {
            match self.child.try_wait().expect("its state") {
                Some(status) => break status,
                None => assert!(start.elapsed() < PATIENCE, "{} does not end", self.what),
            }
            thread::sleep(Duration::from_millis(5));
        };
        let complaint = self.complaint();
        assert!(status.success(), "{}: {status}: {complaint}", self.what);
        let lines: Vec<_> = self.lines.iter().collect();
        lines.join("\n").into_bytes()
    }

    fn complaint(&mut self) -> String {
        let errors = self.errors.take();
        errors.and_then(|errors| errors.join().ok()).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails only if the program has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
