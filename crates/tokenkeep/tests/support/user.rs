//! Runs commands as another user: as root where only root may, and as nobody where root is never refused.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A user without rights; every system has one with this number, under various names.
pub(crate) const NOBODY: u32 = 65534;

pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Returns a command that runs as root, directly or by a sudo without a password.
pub(crate) fn as_root(program: impl AsRef<std::ffi::OsStr>) -> Command {
    if is_root() {
        return Command::new(program);
    }
    let allowed = Command::new("sudo").args(["-n", "true"]).output();
    assert!(
        allowed.is_ok_and(|output| output.status.success()),
        "this test changes owners or mounts: run it as root, or allow sudo without a password"
    );
    let mut sudo = Command::new("sudo");
    sudo.arg("-n").arg(program);
    sudo
}

/// Returns the command run as the user nobody, without rights.
pub(crate) fn as_nobody(command: &Command) -> Command {
    let mut unprivileged = as_root("setpriv");
    unprivileged.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--"]);
    unprivileged.arg(command.get_program()).args(command.get_args());
    unprivileged
}

/// Makes the user nobody the owner of a file or directory.
pub(crate) fn give_to_nobody(path: &Path) {
    let mut give = as_root("chown");
    assert!(give.arg(NOBODY.to_string()).arg(path).status().unwrap().success());
}

/// A copy of a program that every user may execute, because other users cannot enter a target directory below /root.
pub(crate) struct PublicCopy(TempDir);

impl PublicCopy {
    pub(crate) fn of(program: &Path) -> Self {
        let copy = Self(tempfile::tempdir().unwrap());
        fs::copy(program, copy.path()).unwrap();
        for each in [copy.0.path(), &copy.path()] {
            fs::set_permissions(each, Permissions::from_mode(0o755)).unwrap();
        }
        copy
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("torture")
    }
}
