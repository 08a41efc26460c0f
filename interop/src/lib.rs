//! The sibling libraries as programs: how each is started, spoken to and ended.
//!
//! The programs are in the folders beside this one, a language each. `cargo xtask test --only siblings` makes them and says in
//! the environment where they are; the tests are in `tests/it`. Nothing here is skipped: a program that is not to be found
//! fails the test with the command that makes it.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// No program takes longer than this, even where two processors are shared by several suites: starting Java does most.
const PATIENCE: Duration = Duration::from_secs(90);

/// A language whose libraries are driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// msal and msal-extensions for Go.
    Go,
    /// msal4j and its persistence extension.
    Java,
    /// msal, msal-extensions and azure-identity for Python; .NET's calls of libsecret, and its lock, are played there, too.
    Python,
    /// msal-node, the original of this package, keytar.
    Node,
}

impl Peer {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Go, Self::Java, Self::Python, Self::Node];

    /// The variable that says how it is started: the words of a command, one line each.
    fn variable(self) -> &'static str {
        match self {
            Self::Go => "TOKENKEEP_PEER_GO",
            Self::Java => "TOKENKEEP_PEER_JAVA",
            Self::Python => "TOKENKEEP_PEER_PYTHON",
            Self::Node => "TOKENKEEP_PEER_NODE",
        }
    }

    /// Adds its words to `prefix`, an environment with or without a session.
    ///
    /// # Panics
    /// When it was not made.
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

    /// Runs it to its end with `input`, and returns what it printed.
    ///
    /// # Panics
    /// When it fails or does not end in time.
    pub fn run(self, environment: Command, words: &[&str], input: &[u8]) -> Vec<u8> {
        let mut running = Running::start(self, environment, words);
        let mut stdin = running.stdin.take().expect("its input");
        // A program that reads nothing may be gone already.
        let _ = stdin.write_all(input);
        drop(stdin);
        running.end()
    }
}

/// A program under way. Ended by its process when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    errors: Option<thread::JoinHandle<String>>,
    what: String,
}

impl Running {
    /// Starts it.
    ///
    /// # Panics
    /// When that is not possible.
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

    /// The next line that it prints.
    ///
    /// # Panics
    /// When it ends instead, or none comes in time.
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

    /// Whether it said nothing for this long.
    pub fn is_silent_for(&self, time: Duration) -> bool {
        matches!(self.lines.recv_timeout(time), Err(RecvTimeoutError::Timeout))
    }

    /// Lets it go on: ends its input.
    pub fn release(&mut self) {
        self.stdin = None;
    }

    /// Waits until it has ended well, and returns what it had not yet been asked for.
    ///
    /// # Panics
    /// When it fails or does not end in time.
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
        // Fails only if it ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
