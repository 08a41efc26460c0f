//! The journal of a move beside a cache: `<cache>.tk-moved`.
//!
//! It contains no content and no secret, only source, target, progress, and a digest that distinguishes moved content
//! from new content. `docs/format.md` has the lines. It stays after the move: `{}` beside it means that the sign-ins
//! are in the store that it names.

use std::io::Read;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use crate::atomic_file;
use crate::options::Durability;
use crate::persistence::StoreKind;
use crate::platform::directory::{self, Entry};
use crate::platform::files;
use crate::{Error, Info, LockGuard, Persistence, Result, Secret};

const SUFFIX: &str = ".tk-moved";
const FIRST_LINE: &str = "tokenkeep-move 1";
/// More than any journal's length.
const LONGEST: u64 = 64 * 1024;

/// The progress of a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// The source is unchanged; the target may have the content, but it has not been read back.
    Intended,
    /// The target has all entries, read back. The old copy still exists.
    Arrived,
    /// The old copy is removed.
    Moved,
}

impl State {
    const ALL: [Self; 3] = [Self::Intended, Self::Arrived, Self::Moved];

    fn word(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Arrived => "arrived",
            Self::Moved => "moved",
        }
    }
}

/// The journal file of one move.
pub(super) struct Sidecar {
    /// `None` for a store in memory, which no later process can reach.
    path: Option<Entry>,
    from: String,
    to: String,
}

impl Sidecar {
    /// Beside the source.
    pub(super) fn of(from: &dyn Persistence, guard: &LockGuard, to: &dyn Persistence) -> Self {
        let path = (from.kind() != StoreKind::Memory).then(|| guard.target().with_suffix(SUFFIX));
        Self { path, from: place(&from.info()), to: place(&to.info()) }
    }

    /// Returns where the content of the file at `path` was moved, if it was.
    pub(super) fn destination(path: &Path) -> Option<String> {
        let path = directory::resolve(path).ok()?.with_suffix(SUFFIX);
        let note = Self { path: Some(path), from: String::new(), to: String::new() }.read().ok()??;
        matches!(note.state, Some(State::Arrived | State::Moved)).then_some(note.to)
    }

    pub(super) fn note(&self, state: State, source: &Secret) -> Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        self.write(state, &digest(source), &now.to_string())
    }

    /// Returns whether a move between the same stores was interrupted after the target had all of `source`.
    pub(super) fn has_arrived(&self, source: &Secret) -> Result<bool> {
        let Some(note) = self.read()? else { return Ok(false) };
        Ok(self.is_ours(&note) && note.state == Some(State::Arrived) && note.digest == digest(source))
    }

    /// Completes the journal of a move that was interrupted just before its last step.
    pub(super) fn conclude(&self) -> Result<()> {
        match self.read()? {
            Some(note) if self.is_ours(&note) && note.state == Some(State::Arrived) => {
                self.write(State::Moved, &note.digest, &note.at)
            }
            _ => Ok(()),
        }
    }

    fn is_ours(&self, note: &Note) -> bool {
        note.from == self.from && note.to == self.to
    }

    fn write(&self, state: State, digest: &str, at: &str) -> Result<()> {
        let Some(path) = &self.path else { return Ok(()) };
        let Self { from, to, .. } = self;
        let text =
            format!("{FIRST_LINE}\nstate {}\nfrom {from}\nto {to}\nof {digest}\nat {at}\n", state.word());
        atomic_file::replace(path, text.as_bytes(), Durability::Synced).map(|_| ())
    }

    /// An unreadable journal, of a newer release or damaged, is ignored: then the whole move is repeated, which does
    /// not change moved entries.
    fn read(&self) -> Result<Option<Note>> {
        let Some(path) = &self.path else { return Ok(None) };
        let Some((file, _)) = files::open_existing(path, files::careful().read(true))? else {
            return Ok(None);
        };
        let mut text = String::new();
        match file.take(LONGEST).read_to_string(&mut text) {
            Ok(_) => Ok(Note::parse(&text)),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Ok(None),
            Err(error) => Err(Error::io("Cannot read the note of a move", path, error)),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Note {
    state: Option<State>,
    from: String,
    to: String,
    digest: String,
    at: String,
}

impl Note {
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next() != Some(FIRST_LINE) {
            return None;
        }
        let mut value = |name: &str| {
            let (word, value) = lines.next()?.split_once(' ')?;
            (word == name).then(|| value.to_owned())
        };
        let state = value("state")?;
        let state = State::ALL.into_iter().find(|known| known.word() == state);
        Some(Self { state, from: value("from")?, to: value("to")?, digest: value("of")?, at: value("at")? })
    }
}

/// Formats a store as one line, with any path.
fn place(info: &Info) -> String {
    format!("{} {:?}", info.backend.code(), info.location)
}

/// Returns a digest that identifies content. The tokens in it are too random to be guessed from it.
fn digest(content: &Secret) -> String {
    let mut hash = Sha256::new();
    hash.update(b"tokenkeep move\n");
    hash.update(content.expose());
    hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "tokenkeep-move 1\nstate arrived\nfrom plaintext-file \"/a b\"\nto secret-service \"s/a\"\nof 00ff\nat 17\n";

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let note = Note::parse(TEXT).unwrap();
        assert_eq!(note.state, Some(State::Arrived));
        assert_eq!(
            (note.from.as_str(), note.to.as_str()),
            ("plaintext-file \"/a b\"", "secret-service \"s/a\"")
        );
        assert_eq!((note.digest.as_str(), note.at.as_str()), ("00ff", "17"));
    }

    #[test]
    fn what_is_not_a_whole_note_of_this_version_says_nothing() {
        for end in 0..TEXT.find("at 17").unwrap() {
            assert_eq!(Note::parse(&TEXT[..end]), None, "{end}");
        }
        assert_eq!(Note::parse(&TEXT.replace("move 1", "move 2")), None);
        assert_eq!(Note::parse(&TEXT.replace("arrived", "elsewhere")).unwrap().state, None);
    }
}
