//! The Linux parts: `/proc`, the coarse clock, file systems, the kernel keyring, the Secret Service.

mod file_system;
pub(crate) mod keyring;
mod places;
pub(crate) mod secret_service;
mod writers;

use std::fs::{self, File};
use std::io;
use std::sync::Arc;

use rustix::fs::{FallocateFlags, RenameFlags, SeekFrom, renameat_with};
use rustix::io::Errno;
use rustix::time::{ClockId, clock_gettime};

#[cfg(feature = "watch")]
use super::FileEvents;
use super::files::retry;
use super::process::{Life, UNKNOWN_BOOT};
use super::{ItemRequest, OwnStore};
use crate::Result;
use crate::fork::PerProcess;
use crate::persistence::keystore::Keystore;
use crate::platform::SecretServiceItem;

pub(crate) use self::file_system::{file_system, is_remote, kind_of, times_at};
pub(crate) use self::places::{PLACE, is_unmapped, open_without_links, read_link, set_mode};
pub(crate) use self::secret_service::portal;
pub(crate) use self::writers::writes;

/// How the system reports changes of files.
#[cfg(feature = "watch")]
pub(crate) const FILE_EVENTS: FileEvents = FileEvents { directories: 2, own_spelling: false };

/// The store that this platform protects best.
pub(crate) const OWN: OwnStore = OwnStore::SecretService;

/// An item of the Secret Service.
///
/// # Errors
/// `InvalidInput` for names that no item can have.
pub(crate) fn keystore_item(request: &ItemRequest<'_>) -> Result<Arc<dyn Keystore>> {
    let item = match request.shape {
        None => SecretServiceItem::new(request.service, request.account),
        Some(shape) => SecretServiceItem::shaped(shape.clone()),
    }?;
    let item = item.prompting(request.prompting);
    Ok(Arc::new(match request.deadline {
        Some(deadline) => item.deadline(deadline),
        None => item,
    }))
}

/// Returns the clock with which file systems stamp times, in nanoseconds since the epoch. It moves once per tick, so
/// a later write cannot get an earlier time.
pub(crate) fn coarse_clock() -> i128 {
    let now = clock_gettime(ClockId::RealtimeCoarse);
    i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec)
}

/// Returns the id of this start of this machine; equal in two processes only if they share a kernel.
pub(crate) fn boot_id() -> &'static str {
    static BOOT: PerProcess<String> = PerProcess::new();
    BOOT.get_or_init(|| {
        let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let id = id.trim();
        if id.is_empty() { UNKNOWN_BOOT.to_owned() } else { id.to_owned() }
    })
}

/// Returns the number of this process's user namespace: the kernel's keys in one are not visible from another.
#[allow(clippy::disallowed_methods, reason = "only root can exchange a part of /proc")]
pub(crate) fn user_namespace() -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    Some(fs::metadata("/proc/self/ns/user").ok()?.ino())
}

/// Returns the processes that hold the flock of the file with this device and inode; none if the system does not tell.
pub(crate) fn flock_holders((device, inode): (u64, u64)) -> Vec<u32> {
    let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
    let wanted = format!("{:02x}:{:02x}:{inode}", rustix::fs::major(device), rustix::fs::minor(device));
    // `1: FLOCK ADVISORY WRITE 4711 08:01:131073 0 EOF`; a waiter has an arrow after its number.
    let holder = |line: &str| {
        let mut words = line.split_ascii_whitespace().skip(1);
        (words.next()? == "FLOCK").then_some(())?;
        let pid = words.nth(2)?.parse().ok()?;
        (words.next()? == wanted).then_some(pid)
    };
    locks.lines().filter_map(holder).collect()
}

/// Returns the user who started a process. A program with the rights of another user still counts as that user's.
pub(crate) fn user_of(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_ascii_whitespace().next()?.parse().ok()
}

/// Returns whether `pid` runs, and since when.
pub(crate) fn life(pid: u32) -> Life {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => match parse_stat(&stat) {
            Some(stat) if stat.has_ended() => Life::Dead,
            Some(stat) => {
                let since_boot = i128::from(stat.start) * 1_000_000_000 / i128::from(ticks_per_second());
                Life::Running { started: boot_time() + since_boot }
            }
            None => Life::Unknown,
        },
        // A hidden /proc (hidepid) shows our own processes; the state of another user's is unknown.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => match exists(pid) {
            true => Life::Unknown,
            false => Life::Dead,
        },
        Err(_) => Life::Unknown,
    }
}

fn exists(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    // EPERM means that it exists and belongs to another user.
    pid.is_some_and(|pid| rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

/// Returns the short name of the program that `pid` runs.
pub(crate) fn command(pid: u32) -> Option<String> {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    Some(name.trim_end().to_owned())
}

/// Returns the start time of `pid` in the kernel's ticks since boot, which distinguishes it from a later process with
/// the same pid.
pub(crate) fn start(pid: u32) -> Option<u64> {
    Some(parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?.start)
}

/// The fields of `/proc/PID/stat` that the lock needs.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    state: char,
    /// All threads of the process, with the first one.
    threads: u32,
    /// When it started, in ticks since boot.
    start: u64,
}

impl Stat {
    /// Returns whether the process is gone, but for its entry.
    ///
    /// The state is that of the first thread. A killed process whose first thread is a zombie may have another thread in a
    /// system call, such as the rename of a write; its files and their locks are open until that thread ends too.
    fn has_ended(&self) -> bool {
        matches!(self.state, 'Z' | 'X' | 'x') && self.threads <= 1
    }
}

/// Parses `pid (command) state ppid ... num_threads ... starttime ...`. The command may contain spaces and parentheses,
/// so the fields are counted from its end.
fn parse_stat(stat: &str) -> Option<Stat> {
    let fields: Vec<&str> = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace().collect();
    // The numbers of proc_pid_stat(5); the first field here is number 3.
    let field = |number: usize| fields.get(number - 3);
    Some(Stat {
        state: field(3)?.chars().next()?,
        threads: field(20)?.parse().ok()?,
        start: field(22)?.parse().ok()?,
    })
}

fn ticks_per_second() -> u64 {
    rustix::param::clock_ticks_per_second().max(1)
}

/// Returns the boot time by today's clock, in nanoseconds since the epoch. It is taken each time, because it moves when
/// the wall clock is set. (`btime` of /proc/stat has whole seconds only.)
fn boot_time() -> i128 {
    let nanos = |clock| {
        let now = clock_gettime(clock);
        i128::from(now.tv_sec) * 1_000_000_000 + i128::from(now.tv_nsec)
    };
    nanos(ClockId::Realtime) - nanos(ClockId::Boottime)
}

/// Renames a file of one directory to a name of another unless that is taken.
pub(crate) fn rename_unless_there(
    from: &File,
    name: &std::ffi::OsStr,
    to: &File,
    new_name: &std::ffi::OsStr,
) -> io::Result<()> {
    Ok(renameat_with(from, name, to, new_name, RenameFlags::NOREPLACE)?)
}

/// Reserves space for `length` bytes in the file without changing its readable content.
pub(crate) fn reserve(file: &File, length: u64) -> io::Result<()> {
    const CANNOT: [Errno; 2] = [Errno::OPNOTSUPP, Errno::NOSYS];
    if length == 0 {
        return Ok(());
    }
    match retry(|| Ok(rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, 0, length)?)) {
        // A file system, or a sandbox, that cannot reserve space has no alternative.
        Err(error) if CANNOT.iter().any(|code| error.raw_os_error() == Some(code.raw_os_error())) => Ok(()),
        outcome => outcome,
    }
}

/// Waits until a writer has finished truncating the file. ext4 and tmpfs show the size 0 first, and the new time only
/// when the blocks are free, which takes visibly long on a busy disk: an empty file with an old time looks as if it
/// had always been empty. To find where data begins, the kernel waits for the truncation.
///
/// The usual answer is that there is no data; a file system that cannot answer is not worse off than before.
pub(crate) fn wait_for_truncation(file: &File) {
    let _ = rustix::fs::seek(file, SeekFrom::Data(0));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_with_parentheses_and_spaces_does_not_confuse_the_parser() {
        let stat = "42 (a) Z (b) S 1 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 0 0";
        assert_eq!(parse_stat(stat), Some(Stat { state: 'S', threads: 1, start: 12345 }));
    }

    #[test]
    fn a_process_has_ended_when_its_last_thread_has() {
        let ended = |state, threads| Stat { state, threads, start: 1 }.has_ended();
        assert!(ended('Z', 1) && ended('Z', 0) && ended('X', 1));
        assert!(!ended('Z', 2), "its first thread is a zombie and another one may be writing");
        assert!(!ended('S', 1) && !ended('D', 1));
    }

    /// Python ends its first thread while the second one goes on, which Rust cannot do to its own.
    #[test]
    fn a_process_whose_first_thread_is_a_zombie_lives_as_long_as_another_one() {
        const PROGRAM: &str = "import ctypes, sys, threading\n\
            threading.Thread(target=sys.stdin.read).start()\n\
            ctypes.CDLL(None).pthread_exit(None)";
        let mut child = std::process::Command::new("python3")
            .args(["-c", PROGRAM])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("python3 is missing: run apt-get install python3");
        let pid = child.id();
        let state = || parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).unwrap()).unwrap();
        while state().state != 'Z' {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert!(state().threads > 1, "the process has ended: {:?}", state());
        assert!(matches!(life(pid), Life::Running { .. }));
        drop(child.stdin.take());
        while !state().has_ended() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        assert_eq!(life(pid), Life::Dead);
        child.wait().unwrap();
    }

    #[test]
    fn this_process_runs_and_a_pid_beyond_the_maximum_is_dead() {
        assert!(matches!(life(std::process::id()), Life::Running { .. }));
        assert_eq!(life(4_194_305), Life::Dead);
    }
}
