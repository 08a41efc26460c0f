//! The Linux parts: other processes.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

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

    #[test]
    fn the_state_of_this_process_is_running() {
        assert!(matches!(process_state(std::process::id()), Some('R' | 'S')));
        assert_eq!(process_state(4_194_305), None);
    }
}
