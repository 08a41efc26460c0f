//! A home of its own for each test, caches to put there, and the runner of transcripts.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokenkeep::CacheLock;
use tokenkeep::options::WaitOptions;
use tokenkeep::schema::{self, Ids, Record};

use crate::keyring::Bus;

/// What a command said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
}

/// A home, and whether there is a session in it.
#[derive(Debug)]
pub(crate) struct Place {
    folder: tempfile::TempDir,
    bus: Option<String>,
}

impl Place {
    /// Without a session.
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("tk-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        Self { folder, bus: None }
    }

    /// In the session of `bus`.
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

    /// The command in this home, without anything inherited.
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

    /// Runs each line of arguments and compares all that is said with the transcript of that name. `hidden` are pairs of
    /// what differs from run to run and the word for it.
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

/// Secrets that no output may hold.
pub(crate) const SECRETS: [&str; 3] = ["PLANTED-ACCESS", "PLANTED-REFRESH", "PLANTED-ID"];

pub(crate) const ANNA: Ids<'static> = Ids {
    home_account_id: "11111111-0000-0000-0000-000000000001.22222222-0000-0000-0000-000000000002",
    environment: "login.microsoftonline.com",
    client_id: "33333333-0000-0000-0000-000000000003",
    realm: "22222222-0000-0000-0000-000000000002",
};

pub(crate) const BERT: Ids<'static> = Ids {
    home_account_id: "44444444-0000-0000-0000-000000000004.22222222-0000-0000-0000-000000000002",
    ..ANNA
};

/// A cache with Anna's tokens and, if wanted, Bert's. Hers end 42 minutes from now, his two days ago.
pub(crate) fn cache(with_bert: bool) -> Vec<u8> {
    let now = SystemTime::now();
    // In the middle of a minute, so that a slow run says the same.
    let soon = now + Duration::from_secs(42 * 60 + 10);
    let past = now - Duration::from_secs(2 * 86_400);
    let mut records = vec![
        Record::account(ANNA, "local-anna", "anna@example.org").field("name", "Anna Muster"),
        Record::access_token(ANNA, &["openid", "User.Read"], SECRETS[0], now, soon),
        Record::refresh_token(ANNA, Some("1"), SECRETS[1]),
        Record::id_token(ANNA, SECRETS[2]),
    ];
    if with_bert {
        records.push(Record::account(BERT, "local-bert", "bert@example.org"));
        records.push(Record::access_token(BERT, &["openid"], SECRETS[0], UNIX_EPOCH, past));
    }
    schema::put(None, &records).unwrap().expose().to_vec()
}

/// A process that has the lock of a cache until it is killed.
#[derive(Debug)]
pub(crate) struct Holder(Child);

impl Holder {
    pub(crate) fn of(cache: &Path) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "support::holds_a_lock_for_another_test", "--nocapture"]);
        let mut child = command.env("HOLD_LOCK_OF", cache).stdout(Stdio::piped()).spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        assert!(output.lines().any(|line| line.unwrap().contains("has the lock")), "it never got the lock");
        Self(child)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Ends it as a crash does.
    pub(crate) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        // Fails if it was killed before.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Not a test by itself: the body of [`Holder`], which starts this binary once more.
#[test]
fn holds_a_lock_for_another_test() {
    let Some(path) = std::env::var_os("HOLD_LOCK_OF") else { return };
    let guard = CacheLock::new(path).unwrap().acquire(&WaitOptions::default()).unwrap();
    println!("has the lock");
    // Longer than any test; its owner kills it.
    std::thread::sleep(Duration::from_secs(120));
    drop(guard);
}
