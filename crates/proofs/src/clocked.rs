//! A store of a program's own whose version is the time of a coarse clock: the worst that a program can bring.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokenkeep::storage::Loaded;
use tokenkeep::{Backend, Error, Info, LockGuard, Persistence, Protection, Result, Secret, Stamp};

/// The step of its clock: several writes share a version.
const STEP: Duration = Duration::from_millis(50);

/// A file with the version in its first eight bytes and the content after it; only eight bytes: the content was removed.
#[derive(Debug)]
pub struct Clocked {
    path: PathBuf,
    file: PathBuf,
}

impl Clocked {
    /// A store whose lock is beside `path`.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), file: path.with_extension("clocked") }
    }

    fn failed(&self, error: io::Error) -> Error {
        Error::io("Cannot use the store", &self.file, error)
    }

    fn read(&self, most: u64) -> Result<Option<(u64, Vec<u8>)>> {
        let file = match fs::File::open(&self.file) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.failed(error)),
        };
        let mut bytes = Vec::new();
        file.take(most).read_to_end(&mut bytes).map_err(|error| self.failed(error))?;
        let (version, content) =
            bytes.split_first_chunk::<8>().ok_or_else(|| self.failed(io::ErrorKind::InvalidData.into()))?;
        Ok(Some((u64::from_le_bytes(*version), content.to_vec())))
    }

    fn write(&self, content: &[u8]) -> Result<Stamp> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let version = u64::try_from(now.as_millis() / STEP.as_millis()).unwrap_or_default();
        let draft = self.path.with_extension(format!("draft-{}", std::process::id()));
        fs::write(&draft, [&version.to_le_bytes(), content].concat())
            .and_then(|()| fs::rename(&draft, &self.file))
            .map_err(|error| self.failed(error))?;
        Ok(Stamp::version(version))
    }
}

impl Persistence for Clocked {
    fn path(&self) -> &Path {
        &self.path
    }

    fn stamp(&self) -> Result<Stamp> {
        Ok(self.read(8)?.map_or(Stamp::ABSENT, |(version, _)| Stamp::version(version)))
    }

    fn load(&self, _guard: Option<&LockGuard>) -> Result<Loaded> {
        let Some((version, content)) = self.read(u64::MAX)? else {
            return Ok(Loaded { content: None, stamp: Stamp::ABSENT });
        };
        let content = (!content.is_empty()).then(|| Secret::new(content));
        Ok(Loaded { content, stamp: Stamp::version(version) })
    }

    fn save(&self, _guard: &LockGuard, content: &[u8]) -> Result<Stamp> {
        self.write(content)
    }

    fn delete(&self, guard: &LockGuard) -> Result<bool> {
        let had = self.load(Some(guard))?.content.is_some();
        self.write(b"").map(|_| had)
    }

    fn verify(&self) -> Result<()> {
        Ok(())
    }

    fn info(&self) -> Info {
        Info::new(Backend::Custom, Protection::Plaintext, self.file.display().to_string())
    }
}
