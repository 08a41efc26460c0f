//! A process that a test needs beside it: ended with its value, and heard when the test fails.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, ExitStatus, Stdio};

/// A child process that ends with its value. What it says on its error output is kept, and told together with how it
/// ended when the test fails that it serves: a service that crashes under a test looks like a fault of ours.
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) child: Child,
    name: String,
    said: File,
    /// How it ended, if nobody here ended it.
    by_itself: Option<ExitStatus>,
    killed: bool,
}

impl Daemon {
    pub(crate) fn start(command: &mut Command, package: &str) -> Self {
        let said = tempfile::tempfile().expect("a file for what a daemon says");
        command.stderr(Stdio::from(said.try_clone().expect("its second descriptor")));
        let name = command.get_program().display().to_string();
        Self { child: spawn(command, package), name, said, by_itself: None, killed: false }
    }

    pub(crate) fn kill(&mut self) {
        if !self.killed {
            self.by_itself = self.child.try_wait().expect("the process's state");
            self.killed = true;
        }
        // Fails only if it ended by itself.
        let _ = self.child.kill();
        self.child.wait().expect("the process's end");
    }

    /// How the process ended, if by itself, and what it said.
    pub(crate) fn account(&mut self) -> String {
        if !self.killed {
            self.by_itself = self.child.try_wait().expect("the process's state");
        }
        let mut said = vec![0; 1 << 16];
        // At a place of its own choice: the process writes through the same position.
        let length = self.said.read_at(&mut said, 0).expect("what the daemon said");
        let said = String::from_utf8_lossy(&said[..length]);
        let ended = match self.by_itself {
            Some(status) => format!("ended by itself, {status}"),
            None => "ran until the test ended it".to_owned(),
        };
        format!("{} {ended}; it said:\n{}", self.name, said.trim_end())
    }
}

impl Drop for Daemon {
    #[expect(clippy::print_stderr, reason = "the report of a test that fails")]
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("{}", self.account());
        }
    }
}

pub(crate) fn spawn(command: &mut Command, package: &str) -> Child {
    command.spawn().unwrap_or_else(|error| match error.kind() {
        ErrorKind::NotFound => {
            panic!("{} is missing: run apt-get install {package}", command.get_program().display())
        }
        _ => panic!("{}: {error}", command.get_program().display()),
    })
}

#[test]
fn a_daemon_that_crashes_leaves_its_last_words() {
    let mut command = Command::new("sh");
    let mut daemon = Daemon::start(command.args(["-c", "echo no way to go on >&2; kill -TRAP $$"]), "dash");
    daemon.child.wait().expect("its end");
    let account = daemon.account();
    assert!(account.contains("ended by itself, signal: 5"), "{account}");
    assert!(account.ends_with("it said:\nno way to go on"), "{account}");
    daemon.kill();
    assert_eq!(daemon.account(), account, "what is told at the end");

    let mut daemon = Daemon::start(Command::new("sleep").arg("60"), "coreutils");
    daemon.kill();
    assert!(daemon.account().contains("ran until the test ended it"), "{}", daemon.account());
}
