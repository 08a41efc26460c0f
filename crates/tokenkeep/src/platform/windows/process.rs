//! The state of other processes, as far as the lock needs it.

use std::path::Path;

use windows_sys::Win32::Foundation::ERROR_INVALID_PARAMETER;

use super::{answers, sys};

/// Windows gives programs no identifier of its last start. It is not needed: on Windows, no lock of ours outlives its
/// process.
pub(crate) fn boot_id() -> &'static str {
    UNKNOWN_BOOT
}

/// The value of [`boot_id`] if the system does not give one.
pub(crate) const UNKNOWN_BOOT: &str = "-";

/// The state of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Gone.
    Dead,
    /// Alive; started at this many nanoseconds since the epoch.
    Running { started: i128 },
    /// Unknown.
    Unknown,
}

/// Windows has no user that by name has all rights.
pub(crate) fn is_root() -> bool {
    false
}

/// There are none.
pub(crate) fn user_namespace() -> Option<u64> {
    None
}

/// Returns whether a process is known to have the file open for writing. On Windows, a program that writes in place
/// excludes readers, or the new time shows the change.
pub(crate) fn writes(_path: &Path) -> bool {
    false
}

/// Returns whether `pid` runs, and since when.
pub(crate) fn life(pid: u32) -> Life {
    if answers::is_no_pid(pid) {
        return Life::Dead;
    }
    let process = match sys::open_process(pid) {
        Ok(process) => process,
        // There is no process with this number.
        Err(error) if error.raw_os_error() == Some(ERROR_INVALID_PARAMETER.cast_signed()) => {
            return Life::Dead;
        }
        // A process of another user, whose state is not accessible.
        Err(_) => return Life::Unknown,
    };
    match sys::process_times(&process) {
        // Another process still has a handle of it.
        Ok((_, Some(_ended))) => Life::Dead,
        Ok((started, None)) => Life::Running { started: sys::since_1970(started.into()) },
        Err(_) => Life::Unknown,
    }
}

/// Returns the start time of `pid`, which distinguishes it from a later process with the same number.
pub(crate) fn start(pid: u32) -> Option<u64> {
    let (started, _) = sys::process_times(&sys::open_process(pid).ok()?).ok()?;
    Some(started)
}

/// Returns the name of the program that `pid` runs, without folder and extension.
pub(crate) fn command(pid: u32) -> Option<String> {
    let program = sys::program(&sys::open_process(pid).ok()?).ok()?;
    Some(program.file_stem()?.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_running_and_one_that_has_ended_is_dead() {
        assert!(matches!(life(std::process::id()), Life::Running { .. }));
        assert_eq!(start(std::process::id()), start(std::process::id()));
        assert!(command(std::process::id()).is_some_and(|name| name.contains("tokenkeep")));
        let mut child = std::process::Command::new("cmd").args(["/c", "exit"]).spawn().unwrap();
        child.wait().unwrap();
        // `child` still has a handle, so the number cannot be reused.
        assert_eq!(life(child.id()), Life::Dead);
    }
}
