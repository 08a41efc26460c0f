//! What is written inside a lock file: ours, and what the sibling libraries write.
//!
//! Ours is one line of fixed length, so that one write replaces it whole:
//! `<pid> tokenkeep-lock 1 <start> <boot id> <command>`. The pid comes first, as in the siblings' `<pid>`,
//! `<pid> <command>` and `<pid> <host>`; .NET puts a byte order mark before it.

use std::fs::{File, Metadata};
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

use crate::platform::files::print;
use crate::platform::process::{self, Life};

const MARK: &str = "tokenkeep-lock";
const LENGTH: usize = 128;

/// A process that started later than this after the file was written is not the one that wrote it, even if it has
/// the same pid. Both times are rounded, and a file system's clock may differ a little.
const REUSED_NANOS: i128 = 2_000_000_000;

/// The line that this process writes.
pub(super) fn own() -> &'static [u8] {
    static OWN: OnceLock<Vec<u8>> = OnceLock::new();
    OWN.get_or_init(compose)
}

fn compose() -> Vec<u8> {
    let pid = std::process::id();
    let command: String =
        process::command(pid).unwrap_or_default().chars().filter(|c| c.is_ascii_graphic()).collect();
    let start = process::start(pid).unwrap_or_default();
    let mut line = format!("{pid} {MARK} 1 {start} {} {command}", process::boot_id()).into_bytes();
    line.truncate(LENGTH - 1);
    line.resize(LENGTH - 1, b' ');
    line.push(b'\n');
    line
}

/// What a lock file says.
#[derive(Debug, Default)]
pub(super) struct Record(String);

/// Who wrote a lock file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Author {
    /// A process that uses this library.
    Ours,
    /// A process with this pid that uses another one.
    Sibling(u32),
    /// Nobody that can be named: the file is empty or not understood.
    Nobody,
}

impl Record {
    /// Reads the beginning of a lock file. A file that cannot be read says nothing.
    pub(super) fn read(file: &File) -> Self {
        let mut bytes = [0; 512];
        let count = super::retry(|| file.read_at(&mut bytes, 0)).unwrap_or(0);
        Self(String::from_utf8_lossy(&bytes[..count]).trim_start_matches('\u{feff}').to_owned())
    }

    pub(super) fn author(&self) -> Author {
        match (self.pid(), self.field(1)) {
            (Some(_), Some(MARK)) => Author::Ours,
            (Some(pid), _) => Author::Sibling(pid),
            (None, _) => Author::Nobody,
        }
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.field(0)?.parse().ok().filter(|pid| *pid > 0)
    }

    pub(super) fn command(&self) -> Option<String> {
        let name = if self.author() == Author::Ours { self.field(5) } else { self.field(1) };
        name.map(|name| name.chars().filter(|c| !c.is_control()).take(64).collect())
    }

    /// Whether a process of this machine since its last start wrote it.
    pub(super) fn is_of_this_boot(&self) -> bool {
        self.author() == Author::Ours && self.field(4) == Some(process::boot_id())
    }

    /// Whether our own record names a process of this machine that no longer runs.
    pub(super) fn is_dead_here(&self) -> bool {
        let Some(pid) = self.pid().filter(|_| self.is_of_this_boot()) else { return false };
        process::life(pid) == Life::Dead
            || process::start(pid).is_some_and(|start| self.field(3) != Some(&start.to_string()))
    }

    fn field(&self, at: usize) -> Option<&str> {
        self.0.split_ascii_whitespace().nth(at)
    }
}

/// Whether the sibling process that wrote a lock file is gone.
pub(super) fn is_dead_sibling(pid: u32, lock: &Metadata) -> bool {
    match process::life(pid) {
        Life::Dead => true,
        Life::Running { started } => started > print(lock).modified + REUSED_NANOS,
        Life::Unknown => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn author(text: &str) -> Author {
        Record(text.trim_start_matches('\u{feff}').to_owned()).author()
    }

    #[test]
    fn every_sibling_format_is_understood() {
        assert_eq!(author("4711"), Author::Sibling(4711), "JavaScript");
        assert_eq!(author("4711 /usr/bin/az"), Author::Sibling(4711), "Python, Go");
        assert_eq!(author("4711 localhost"), Author::Sibling(4711), "Java");
        assert_eq!(author("\u{feff}4711 dotnet\n"), Author::Sibling(4711), ".NET");
        assert_eq!(author(""), Author::Nobody);
        assert_eq!(author("garbage"), Author::Nobody);
        assert_eq!(author("0"), Author::Nobody);
        assert_eq!(author(std::str::from_utf8(own()).unwrap()), Author::Ours);
    }

    #[test]
    fn our_record_has_a_fixed_length_and_names_this_process() {
        assert_eq!(own().len(), LENGTH);
        let record = Record(String::from_utf8(own().to_vec()).unwrap());
        assert_eq!(record.pid(), Some(std::process::id()));
        assert!(record.is_of_this_boot());
        assert!(!record.is_dead_here());
    }
}
