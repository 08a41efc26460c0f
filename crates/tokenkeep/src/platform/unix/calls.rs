//! Repeats system calls that were interrupted, and knows which refusals mean nothing.

use std::io;

use rustix::io::Errno;

/// Repeats a system call that a signal interrupted, or, a few times, one whose path led to a file that another machine has
/// replaced (ESTALE).
pub(crate) fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut stale = 0;
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::StaleNetworkFileHandle && stale < 3 => stale += 1,
            result => return result,
        }
    }
}

/// Returns the user with whose rights this process runs.
pub(crate) fn effective_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Goes on where the file system has no modes to set (FAT, exFAT, many shares): it refuses even the owner. The persistence
/// says that others may read the file.
pub(super) fn without_modes(set: io::Result<()>) -> io::Result<()> {
    const CANNOT: [Errno; 4] = [Errno::PERM, Errno::NOTSUP, Errno::OPNOTSUPP, Errno::NOSYS];
    match set {
        Err(error) if CANNOT.iter().any(|code| error.raw_os_error() == Some(code.raw_os_error())) => Ok(()),
        set => set,
    }
}
