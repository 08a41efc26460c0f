//! The Linux parts: mounts, other processes.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::FileSystem;

/// Returns the file system that holds `directory`, or would hold it.
pub(crate) fn file_system(directory: &Path) -> FileSystem {
    let existing = directory.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let Ok(place) = fs::canonicalize(existing) else { return FileSystem::default() };
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    mount_of(&place, &mounts).unwrap_or_default()
}

/// File systems that other machines, or a daemon, may change.
const REMOTE: [&str; 12] =
    ["nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "coda", "fuse", "virtiofs"];

/// Finds the line of proc_pid_mountinfo(5) with the longest mount point above `place`; of equal ones, the last hides
/// the others.
fn mount_of(place: &Path, mounts: &str) -> Option<FileSystem> {
    let (_, found) = mounts
        .lines()
        .filter_map(|line| {
            let (before, after) = line.split_once(" - ")?;
            let point = unescaped(before.split(' ').nth(4)?);
            let read_only = before.split(' ').nth(5)?.split(',').any(|option| option == "ro");
            let kind = after.split(' ').next()?;
            let family = kind.split('.').next().unwrap_or(kind);
            let remote = REMOTE.contains(&family);
            let found = FileSystem { name: Some(kind.to_owned()), remote, read_only };
            place.starts_with(&point).then_some((point.len(), found))
        })
        .enumerate()
        .max_by_key(|(line, (length, _))| (*length, *line))?
        .1;
    Some(found)
}

/// Decodes the octal escapes of spaces, tabs, line feeds and backslashes.
fn unescaped(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (code, character)| text.replace(code, character))
}

/// Returns the state letter of a process as in proc_pid_stat(5): `T` is stopped. `None` if there is no such process.
pub(crate) fn process_state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before it may contain any character, parentheses too.
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Keyrings that print their version on request and then exit.
const KEYRINGS: [&str; 6] =
    ["gnome-keyring-daemon", "kwalletd5", "kwalletd6", "ksecretd", "keepassxc", "oo7-daemon"];
/// The directories where distributions install them. PATH is not searched: the doctor must not run another user's
/// program.
const PLACES: [&str; 3] = ["/usr/bin", "/usr/libexec", "/usr/local/bin"];

/// Returns the name of the program that `pid` runs and, for known keyrings, the version that its file prints within
/// `limit`.
pub(crate) fn program_version(pid: u32, limit: Duration) -> Option<(String, Option<String>)> {
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let first = String::from_utf8_lossy(line.split(|byte| *byte == 0).next()?).into_owned();
    let name = Path::new(&first).file_name()?.to_string_lossy().into_owned();
    if !KEYRINGS.contains(&name.as_str()) {
        return Some((name, None));
    }
    let program = PLACES.iter().map(|place| Path::new(place).join(&name)).find(|path| path.is_file());
    let version = program.and_then(|program| ask_version(&program, limit));
    Some((name, version))
}

fn ask_version(program: &Path, limit: Duration) -> Option<String> {
    let mut command = Command::new(program);
    command.arg("--version").env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let began = Instant::now();
    while child.try_wait().ok()?.is_none() {
        if began.elapsed() > limit {
            // The version is optional; the caller does not depend on the end of this process.
            let _ = child.kill();
            let _ = child.wait();
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    // `gnome-keyring-daemon: 42.1`, `KeePassXC 2.7.4`, `kwalletd5 5.103.0`
    let words = text.lines().next()?.split_whitespace();
    words
        .map(|word| word.trim_matches(':'))
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()))
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:40 / /home rw - nfs4 server:/home rw
31 22 0:41 / /mnt/a\\040b ro,nosuid - fuse.sshfs host: rw
32 30 0:42 / /home rw - tmpfs tmpfs rw
";

    #[test]
    fn the_innermost_mount_counts_and_of_two_the_last() {
        let name = |path: &str| mount_of(Path::new(path), MOUNTS).unwrap().name.unwrap();
        assert_eq!(name("/etc"), "ext4");
        assert_eq!(name("/home/anna"), "tmpfs");
        assert_eq!(name("/homework"), "ext4");
        let sshfs = mount_of(Path::new("/mnt/a b/c"), MOUNTS).unwrap();
        assert!(sshfs.remote && sshfs.read_only);
    }

    #[test]
    fn the_state_of_this_process_is_running() {
        assert!(matches!(process_state(std::process::id()), Some('R' | 'S')));
        assert_eq!(process_state(4_194_305), None);
    }
}
