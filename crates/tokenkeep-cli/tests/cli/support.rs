//! A separate home directory for each test, and the runner of transcripts.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

pub(crate) use crate::caches::{ANNA, BERT, SECRETS, cache};
pub(crate) use crate::clock::timed;
pub(crate) use crate::holder::Holder;
use crate::keyring::Bus;

/// The output of a command.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
}

/// A home directory, and its session if there is one.
#[derive(Debug)]
pub(crate) struct Place {
    folder: tempfile::TempDir,
    bus: Option<String>,
}

impl Place {
    /// Creates a home directory without a session.
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("tk-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        Self { folder, bus: None }
    }

    /// Creates a home directory in the session of `bus`.
    pub(crate) fn on(bus: &Bus) -> Self {
        Self { bus: Some(bus.address().to_owned()), ..Self::new() }
    }

    pub(crate) fn home(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, 0600, and returns its path.
    pub(crate) fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.home().join(name);
        let folder = path.parent().unwrap();
        for missing in
            folder.ancestors().take_while(|folder| !folder.exists()).collect::<Vec<_>>().iter().rev()
        {
            fs::create_dir(missing).unwrap();
            fs::set_permissions(missing, fs::Permissions::from_mode(0o700)).unwrap();
        }
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// The command in this home directory, without inherited variables.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tokenkeep"));
        command.args(arguments).env_clear().env("HOME", self.home()).env("PATH", "/usr/bin:/bin");
        command.env("COLUMNS", "100").stdin(Stdio::null());
        if let Some(address) = &self.bus {
            command.env("DBUS_SESSION_BUS_ADDRESS", address);
        }
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Said {
        said(self.command(arguments).output().unwrap())
    }

    /// Starts a command, interrupts it as soon as it waits for the lock of `cache`, and checks that it then ends.
    pub(crate) fn interrupted(&self, arguments: &[&str], cache: &Path) -> Said {
        let mut command = self.command(arguments);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lock_file = cache.to_owned().into_os_string();
        lock_file.push(".tk-lock");
        let inode = format!(":{} ", fs::metadata(lock_file).unwrap().ino());
        // A line of a process that waits: `7: -> FLOCK  ADVISORY  WRITE pid dev:inode`.
        let waits = |line: &str| line.contains("-> FLOCK") && line.contains(&inode);
        let began = Instant::now();
        while !fs::read_to_string("/proc/locks").unwrap().lines().any(waits) {
            assert!(began.elapsed() < Duration::from_secs(60), "it never waited for the lock");
            std::thread::sleep(Duration::from_millis(5));
        }
        let pid = Pid::from_raw(child.id().try_into().unwrap()).unwrap();
        let (said, took) = timed(|| {
            kill_process(pid, Signal::INT).unwrap();
            said(child.wait_with_output().unwrap())
        });
        // Six seconds after the interrupt the command ends itself, with the same code.
        assert!(took.naps < Duration::from_secs(5), "it went on waiting: {took:?}");
        said
    }

    /// Runs each line of arguments and compares the whole output with the transcript `name`. `hidden` are pairs of a
    /// text that differs from run to run and the word that replaces it.
    pub(crate) fn transcript(&self, name: &str, lines: &[&str], hidden: &[(&str, &str)]) {
        let mut text = String::new();
        for line in lines {
            let arguments: Vec<String> = line
                .split_whitespace()
                .map(|word| word.replace("[HOME]", &self.home().display().to_string()))
                .collect();
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let said = self.run(&arguments);
            text.push_str(&format!("$ tokenkeep {line}\n{}", said.stdout));
            for complaint in said.stderr.lines() {
                text.push_str(&format!("! {complaint}\n"));
            }
            text.push_str(&format!("? {}\n\n", said.code.unwrap()));
        }
        text = text.replace(&self.home().display().to_string(), "[HOME]");
        for (volatile, word) in hidden {
            text = text.replace(volatile, word);
        }
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts").join(format!("{name}.txt"));
        if std::env::var_os("TOKENKEEP_BLESS").is_some() {
            fs::write(&path, &text).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(text, expected, "differs from {}; if it should: TOKENKEEP_BLESS=1", path.display());
    }
}

pub(crate) fn said(output: Output) -> Said {
    Said {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code(),
    }
}
