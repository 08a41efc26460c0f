//! Other processes, as far as the lock has to judge them.

use std::path::Path;

use windows_sys::Win32::Foundation::ERROR_INVALID_PARAMETER;

use super::sys;

/// Windows has no name for a start of the machine that every program may ask for. No lock of ours outlives its process
/// here, so that none has to be judged by it.
pub(crate) fn boot_id() -> &'static str {
    UNKNOWN_BOOT
}

/// What [`boot_id`] is where the system does not tell it.
pub(crate) const UNKNOWN_BOOT: &str = "-";

/// Whether a process is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Gone.
    Dead,
    /// Alive; started at this many nanoseconds since the epoch.
    Running { started: i128 },
    /// It cannot be told.
    Unknown,
}

/// There are no users with all rights by their name.
pub(crate) fn is_root() -> bool {
    false
}

/// There are none.
pub(crate) fn user_namespace() -> Option<u64> {
    None
}

/// Whether a process is known to have the file open for writing. Here a program that writes in place keeps readers out, or
/// its new time shows that it does.
pub(crate) fn writes(_path: &Path) -> bool {
    false
}

/// Whether `pid` still runs, and if so since when.
pub(crate) fn life(pid: u32) -> Life {
    let process = match sys::open_process(pid) {
        Ok(process) => process,
        // There is none of that number.
        Err(error) if error.raw_os_error() == Some(ERROR_INVALID_PARAMETER.cast_signed()) => {
            return Life::Dead;
        }
        // Another user's, whom we may not judge.
        Err(_) => return Life::Unknown,
    };
    match sys::process_times(&process) {
        // Somebody still has a handle of it.
        Ok((_, Some(_ended))) => Life::Dead,
        Ok((started, None)) => Life::Running { started: sys::since_1970(started.into()) },
        Err(_) => Life::Unknown,
    }
}

/// When `pid` started: tells it from a later one with the same number.
pub(crate) fn start(pid: u32) -> Option<u64> {
    let (started, _) = sys::process_times(&sys::open_process(pid).ok()?).ok()?;
    Some(started)
}

/// The name of the program that `pid` runs, without its folder and extension.
pub(crate) fn command(pid: u32) -> Option<String> {
    let program = sys::program(&sys::open_process(pid).ok()?).ok()?;
    Some(program.file_stem()?.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_runs_and_one_that_was_waited_for_is_dead() {
        assert!(matches!(life(std::process::id()), Life::Running { .. }));
        assert_eq!(start(std::process::id()), start(std::process::id()));
        assert!(command(std::process::id()).is_some_and(|name| name.contains("tokenkeep")));
        let mut child = std::process::Command::new("cmd").args(["/c", "exit"]).spawn().unwrap();
        child.wait().unwrap();
        // `child` still has a handle, so that the number is not given to another.
        assert_eq!(life(child.id()), Life::Dead);
    }
}
