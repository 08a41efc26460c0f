//! Another process that holds the lock of a cache: this test binary, started again.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokenkeep::CacheLock;
use tokenkeep::options::WaitOptions;

/// A process that holds the lock of a cache until it is killed.
#[derive(Debug)]
pub(crate) struct Holder(Child);

impl Holder {
    pub(crate) fn of(cache: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "holder::holds_a_lock_for_another_test", "--nocapture"]);
        let mut child = command.env("HOLD_LOCK_OF", cache).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        assert!(output.lines().any(|line| line.unwrap().contains("has the lock")), "it never got the lock");
        Self(child)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Kills the process, like a crash.
    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // Fails if the process has been killed already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The body of [`Holder`], which starts this binary again; not a test by itself.
#[test]
fn holds_a_lock_for_another_test() {
    let Some(path) = std::env::var_os("HOLD_LOCK_OF") else { return };
    let guard = CacheLock::new(path).unwrap().acquire(&WaitOptions::default()).unwrap();
    println!("has the lock");
    // Longer than any test; the `Holder` kills the process.
    std::thread::sleep(Duration::from_secs(120));
    drop(guard);
}
