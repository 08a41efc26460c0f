//! Who has a file open for writing, as far as `/proc` shows.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Looking into a hundred processes takes a few milliseconds; after this time the others are not looked into. Of the
/// processor: it is on a busy machine, where that takes long, that a writer is stopped in the middle.
const LONGEST: Duration = Duration::from_millis(100);

/// The permission by which `proc_pid_fd(5)` shows that a descriptor is open for writing.
const WRITES: u32 = 0o200;

/// Whether a process has the file at `path` open for writing. `false` also when it belongs to another user or runs in a
/// container of its own: whoever asks has to have another reason as well to believe that nobody does.
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
            // Only the link is looked at: what it leads to may be on a file system that does not answer.
            fs::read_link(&link).is_ok_and(|target| target == path)
                && fs::symlink_metadata(&link).is_ok_and(|status| status.mode() & WRITES != 0)
        })
    })
}

/// What this thread has had of the processor.
fn processor_time() -> Duration {
    // Both are positive, and nanoseconds are less than a second.
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_open_for_writing_is_told_from_one_that_is_read_or_was_written() {
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
