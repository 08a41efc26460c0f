//! A private D-Bus session with its own unlocked keyring, for one command. The user's real keyring is never used:
//! home, data and runtime folders are new and are removed with the session.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::job::{Failure, Job, Outcome, at};

/// Runs inside the private bus: unlocking creates the keyring "login", which becomes the default collection.
const UNLOCK: &str = r#"printf %s private | gnome-keyring-daemon --unlock --components=secrets >/dev/null || exit 1
exec "$@""#;

/// The folders of one private session; dropping it removes them.
#[derive(Debug)]
pub(crate) struct Session {
    home: PathBuf,
}

impl Session {
    pub(crate) fn create() -> Outcome<Self> {
        // A short name, because the path of a Unix socket may have 107 bytes.
        let home = exclusive_folder(&std::env::temp_dir())?;
        let session = Self { home };
        for folder in ["data", "run"] {
            let path = session.home.join(folder);
            private_folder(&path).map_err(at(&path))?;
        }
        Ok(session)
    }

    /// A command that runs `program` inside the session.
    pub(crate) fn command(&self, job: &Job<'_>, program: &str) -> Command {
        let mut command = job.command("dbus-run-session");
        command.args(["--", "sh", "-c", UNLOCK, "keyring", program]);
        command.env("HOME", &self.home);
        command.env("XDG_DATA_HOME", self.home.join("data")).env("XDG_RUNTIME_DIR", self.home.join("run"));
        for name in [
            "XDG_CONFIG_HOME",
            "XDG_CACHE_HOME",
            "XDG_STATE_HOME",
            "DISPLAY",
            "WAYLAND_DISPLAY",
            "DBUS_SESSION_BUS_ADDRESS",
        ] {
            command.env_remove(name);
        }
        command
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.home) {
            eprintln!("xtask: {} stays behind: {error}", self.home.display());
        }
    }
}

/// Creates a folder that no other user can have prepared. A killed run may have left its own; then another name is
/// used.
fn exclusive_folder(parent: &Path) -> Outcome<PathBuf> {
    let pid = std::process::id();
    let mut path = parent.join(format!("tokenkeep-{pid}"));
    for attempt in 1..100 {
        match private_folder(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                path = parent.join(format!("tokenkeep-{pid}-{attempt}"));
            }
            outcome => return outcome.map(|()| path.clone()).map_err(at(&path)),
        }
    }
    Err(Failure::new(format!("{} and a hundred like it exist already", path.display())))
}

/// The keyring daemon refuses a runtime folder that others can access.
#[cfg(unix)]
fn private_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    fs::DirBuilder::new().mode(0o700).create(path)
}

#[cfg(not(unix))]
fn private_folder(_path: &Path) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "a private keyring session exists on Linux only"))
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::job::tests::in_fresh_workspace;

    #[test]
    fn a_session_has_a_working_keyring_of_its_own_and_leaves_nothing() {
        in_fresh_workspace("keyring", Duration::from_secs(60), |job| {
            let session = Session::create().unwrap();
            let script = "printf secret | secret-tool store --label=a service s account a || exit 1
                secret-tool lookup service s account a; printf ' in %s' \"$HOME\"";
            let mut shell = session.command(job, "sh");
            let said = job.output(shell.args(["-c", script]));
            let log = fs::read_to_string(job.log_path()).unwrap();
            assert_eq!(
                said.map_err(|failure| format!("{failure}\n{log}")),
                Ok(format!("secret in {}", session.home.display()))
            );
            let home = session.home.clone();
            drop(session);
            assert_eq!(job.left_behind(), Vec::<String>::new());
            assert!(!home.exists());
        });
    }
}
