//! A process that a test needs: killed when its value is dropped, and its output shown when the test fails.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, ExitStatus, Stdio};

/// A child process that ends with its value. When its test fails, its error output and its exit status are printed,
/// because a crash of a service under a test looks like a fault of the library.
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) child: Child,
    name: String,
    said: File,
    /// The exit status, if the process ended by itself.
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
        // Fails only if the process has ended by itself.
        let _ = self.child.kill();
        self.child.wait().expect("the process's end");
    }

    /// Returns the exit status, if the process ended by itself, and its output.
    pub(crate) fn account(&mut self) -> String {
        if !self.killed {
            self.by_itself = self.child.try_wait().expect("the process's state");
        }
        let mut said = vec![0; 1 << 16];
        // Read at an explicit position, because the process writes through the shared one.
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
fn the_output_of_a_crashed_daemon_is_kept() {
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
