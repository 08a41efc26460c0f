//! The content of a lock file: our record, and those of the sibling libraries.
//!
//! Ours is one line of fixed length, so that one write replaces it whole: `<pid> tokenkeep-lock 1 <start> <boot id>
//! <since> <command>`. The pid comes first, as in the siblings' `<pid>`, `<pid> <command>` and `<pid> <host>`; .NET
//! puts a byte order mark before it, Go writes `{<pid>} {<command>}`.

use std::fs::File;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::fork::PerProcess;
use crate::platform::files::{Status, fingerprint};
use crate::platform::process::{self, Life};
use crate::platform::writing;
use crate::stamp::belief;
use crate::text::printable;

const MARK: &str = "tokenkeep-lock";
pub(crate) const LENGTH: usize = 128;

/// A process that started this much later than the file was written is not its writer, even with the same pid: both times
/// are those of clocks that step every ten milliseconds at most.
const REUSED_NANOS: i128 = 20_000_000;

/// The same where the time of the file is that of another machine's clock.
const REUSED_REMOTE_NANOS: i128 = 2_000_000_000;

/// Returns the line that this process writes when it acquires a lock.
pub(crate) fn own() -> Vec<u8> {
    let me = Me::known();
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let mut line = format!("{} {MARK} 1 {} {} {since} {}", me.pid, me.start, process::boot_id(), me.command)
        .into_bytes();
    line.truncate(LENGTH - 1);
    line.resize(LENGTH - 1, b' ');
    line.push(b'\n');
    line
}

/// The parts that do not change while a process lives.
#[derive(Clone)]
struct Me {
    pid: u32,
    start: u64,
    command: Arc<str>,
}

impl Me {
    fn known() -> Self {
        static ME: PerProcess<Mutex<Option<Me>>> = PerProcess::new();
        let pid = std::process::id();
        let mut me = ME.get().lock().unwrap_or_else(PoisonError::into_inner);
        match &*me {
            // A process forked after the first use has another pid.
            Some(known) if known.pid == pid => known.clone(),
            _ => {
                let command = process::command(pid).unwrap_or_default();
                let command: String = command.chars().filter(char::is_ascii_graphic).collect();
                let start = process::start(pid).unwrap_or_default();
                me.insert(Self { pid, start, command: command.into() }).clone()
            }
        }
    }
}

/// The content of a lock file.
#[derive(Debug, Default)]
pub(crate) struct Record(String);

/// The writer of a lock file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Author {
    /// A process that uses this library.
    Ours,
    /// A process with this pid that uses another library.
    Sibling(u32),
    /// Unknown: the file is empty or unreadable.
    Nobody,
}

impl Record {
    /// Parses the first line of a lock file. An unreadable file counts as empty.
    pub(crate) fn read(file: &File) -> Self {
        let mut bytes = [0; 512];
        let count = writing::read_at(file, &mut bytes, 0).unwrap_or(0);
        let text = String::from_utf8_lossy(&bytes[..count]);
        Self(text.trim_start_matches('\u{feff}').lines().next().unwrap_or_default().to_owned())
    }

    pub(crate) fn author(&self) -> Author {
        match (self.pid(), self.field(1)) {
            (Some(_), Some(MARK)) => Author::Ours,
            (Some(pid), _) => Author::Sibling(pid),
            (None, _) => Author::Nobody,
        }
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        without_braces(self.field(0)?).parse().ok().filter(|pid| *pid > 0)
    }

    pub(crate) fn command(&self) -> Option<String> {
        let name = if self.author() == Author::Ours { self.field(6) } else { self.field(1) };
        name.map(|name| printable(without_braces(name)))
    }

    /// Returns when our own record was written, by its own field.
    pub(crate) fn since(&self) -> Option<SystemTime> {
        let millis = self.field(5).filter(|_| self.author() == Author::Ours)?.parse().ok()?;
        UNIX_EPOCH.checked_add(Duration::from_millis(millis))
    }

    /// Returns a word of the first line.
    pub(crate) fn field(&self, at: usize) -> Option<&str> {
        self.0.split_ascii_whitespace().nth(at)
    }
}

fn without_braces(word: &str) -> &str {
    word.trim_start_matches('{').trim_end_matches('}')
}

/// Returns whether the sibling process that wrote a lock file has ended. A process with its pid that started later is
/// another one: after a restart of a container or of the machine the same pids come again at once, often our own.
pub(crate) fn is_dead_sibling(pid: u32, lock: &Status, remote: bool) -> bool {
    match process::life(pid) {
        Life::Dead => true,
        Life::Running { started } => {
            let written = fingerprint(lock).modified;
            // A time in whole seconds is that of a write up to a second later.
            let rounded = belief::step_of(written);
            let margin = if remote { REUSED_REMOTE_NANOS } else { REUSED_NANOS };
            started > written + rounded + margin
        }
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
        assert_eq!(author("4711 /usr/bin/az"), Author::Sibling(4711), "Python");
        assert_eq!(author("{4711} {/usr/bin/azd}"), Author::Sibling(4711), "Go");
        assert_eq!(author("4711 localhost"), Author::Sibling(4711), "Java");
        assert_eq!(author("\u{feff}4711 dotnet\n"), Author::Sibling(4711), ".NET");
        assert_eq!(author(""), Author::Nobody);
        assert_eq!(author("garbage"), Author::Nobody);
        assert_eq!(author("0"), Author::Nobody);
        assert_eq!(author(std::str::from_utf8(&own()).unwrap()), Author::Ours);
    }

    #[test]
    fn our_record_has_a_fixed_length_and_names_this_process() {
        assert_eq!(own().len(), LENGTH);
        let record = Record(String::from_utf8(own()).unwrap());
        assert!(record.since().unwrap().elapsed().unwrap() < Duration::from_secs(10));
        assert_eq!(record.pid(), Some(std::process::id()));
    }
}
