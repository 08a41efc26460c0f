//! Finds processes that have a file open for writing, as far as `/proc` shows them.
#![allow(clippy::disallowed_methods, reason = "only root can exchange a part of /proc")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The limit of the search in processor time; the remaining processes are skipped. A hundred processes take a few
/// milliseconds. Not wall time: writers are stopped in the middle on busy machines, where the search takes long.
const LONGEST: Duration = Duration::from_millis(100);

/// The mode bit with which `proc_pid_fd(5)` shows that a descriptor is open for writing.
const WRITES: u32 = 0o200;

/// Returns whether a process has the file at `path` open for writing. Also `false` if that process belongs to another
/// user or runs in another container, so the caller needs further evidence that there is no writer.
pub(crate) fn writes(path: &Path) -> bool {
    let began = processor_time();
    let Ok(path) = fs::canonicalize(path) else { return false };
    let Ok(processes) = fs::read_dir("/proc") else { return false };
    let is_process = |name: &std::ffi::OsStr| name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
    let processes = processes.flatten().filter(|entry| is_process(&entry.file_name()));
    processes.take_while(|_| processor_time().saturating_sub(began) < LONGEST).any(|process| {
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else { return false };
        descriptors.flatten().any(|descriptor| {
            let link = descriptor.path();
            // Read only the link: its target may be on a file system that does not answer.
            fs::read_link(&link).is_ok_and(|target| target == path)
                && fs::symlink_metadata(&link).is_ok_and(|status| status.mode() & WRITES != 0)
        })
    })
}

/// Returns the processor time of this thread.
fn processor_time() -> Duration {
    // Both are positive, and the nanoseconds are less than a second.
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_open_for_writing_is_distinguished_from_one_that_is_read_or_closed() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        let writer = fs::File::create(&file).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(writes(&file) && writes(&link));
        assert!(!writes(&folder.path().join("other")));
        drop(writer);
        let _reader = fs::File::open(&file).unwrap();
        assert!(!writes(&file) && !writes(&link));
    }
}
