//! A key that an operator provides: a mounted secret, a file, an environment variable.

use std::fmt;
use std::path::{Path, PathBuf};

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::{Key, KeyId, KeySource, Kind, text};
use crate::platform::key_file::{self, Provided};
use crate::{Error, ErrorKind, Protection, Result};

/// More than any encoding of a key, so that a wrong path does not read a whole disk.
const LONGEST: usize = 4096;

/// A key from a file or an environment variable.
///
/// It is one of
/// - 32 raw bytes (a file only),
/// - 32 or more bytes in hexadecimal or base64 of either alphabet, as `openssl rand -base64 32` prints them.
///
/// A key of more than 32 bytes is derived with HKDF. Other text is refused: use a [`Passphrase`](super::Passphrase)
/// for text that a person remembers.
///
/// A file that belongs to the user must be readable by the user alone (`chmod 600`). A file that belongs to root is
/// an administrator's decision, like secrets mounted into a container (0444 and 0644): others may read it, with a
/// warning, but not write it. Symbolic links are followed, because mounted secrets are links.
///
/// The file is read each time that the key is needed.
///
/// ```
/// use tokenkeep::key_source::{KeyFile, KeySource};
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("cache-key");
/// # #[cfg(unix)] {
/// # use std::os::unix::fs::OpenOptionsExt;
/// # std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path)?;
///
/// std::fs::write(&path, [7; 32])?; // 32 random bytes, readable by the user alone
/// let (key, _) = KeyFile::at(&path).fresh()?;
/// assert_eq!(key.expose(), &[7; 32]);
///
/// let none = KeyFile::from_environment("A_VARIABLE_THAT_IS_NOT_SET").fresh().unwrap_err();
/// assert_eq!(none.kind(), tokenkeep::ErrorKind::MissingKey);
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct KeyFile {
    place: Place,
}

#[derive(Clone, Debug)]
enum Place {
    File(PathBuf),
    Variable(String),
}

impl KeyFile {
    /// The key in the file at `path`.
    pub fn at(path: impl AsRef<Path>) -> Self {
        Self { place: Place::File(path.as_ref().to_owned()) }
    }

    /// The key in the environment variable `name`.
    ///
    /// Other programs of the same user can read the environment of a process, and its children inherit it. A file is
    /// safer.
    pub fn from_environment(name: impl Into<String>) -> Self {
        Self { place: Place::Variable(name.into()) }
    }

    fn read(&self) -> Result<(Key, Option<String>)> {
        match &self.place {
            Place::File(path) => {
                let Provided { bytes, remark } = key_file::read(path, LONGEST)?;
                let key = parse(&bytes).ok_or_else(|| self.unusable(bytes.len()).at(path))?;
                Ok((key, remark))
            }
            Place::Variable(name) => {
                let value = std::env::var_os(name).ok_or_else(|| {
                    let text = format!("The key is missing: the environment variable {name} is not set");
                    Error::new(ErrorKind::MissingKey, text).remedy("Set it to the key; nothing was written")
                })?;
                let bytes = Zeroizing::new(value.into_encoded_bytes());
                // Raw bytes do not survive in an environment variable.
                let key = from_text(&bytes).ok_or_else(|| self.unusable(bytes.len()))?;
                Ok((key, None))
            }
        }
    }

    fn unusable(&self, length: usize) -> Error {
        let text = format!("{} holds {length} bytes that are no key", self.describe());
        Error::new(ErrorKind::InvalidInput, text).remedy(
            "A key is 32 random bytes, as hex or base64 (openssl rand -base64 32); for words use a passphrase",
        )
    }
}

impl KeySource for KeyFile {
    fn kind(&self) -> Kind {
        Kind::KeyFile
    }

    fn fresh(&self) -> Result<(Key, Vec<u8>)> {
        Ok((self.read()?.0, Vec::new()))
    }

    fn recall(&self, _parameters: &[u8], _id: &KeyId) -> Result<Key> {
        Ok(self.read()?.0)
    }

    fn protection(&self) -> Protection {
        Protection::KeyFile
    }

    fn remarks(&self) -> Result<Vec<String>> {
        Ok(self.read()?.1.into_iter().collect())
    }

    fn describe(&self) -> String {
        match &self.place {
            Place::File(path) => format!("the key file {path:?}"),
            Place::Variable(name) => format!("the key in the environment variable {name}"),
        }
    }
}

impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyFile({})", self.describe())
    }
}

fn parse(bytes: &[u8]) -> Option<Key> {
    // 32 random bytes are all printable once in 10^14 files; 32 characters are too short for a key as text.
    let printable = bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n'));
    if printable { from_text(bytes) } else { Key::from_slice(bytes) }
}

fn from_text(bytes: &[u8]) -> Option<Key> {
    let bytes = text::decode(bytes)?;
    if bytes.len() <= 32 {
        return Key::from_slice(&bytes);
    }
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, &bytes).expand(b"tokenkeep key file", &mut *key).ok()?;
    Some(Key::new(&mut key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_in_every_encoding_and_words_are_refused() {
        let raw = Key::random().unwrap();
        let text = text::encode(&raw);
        let id = |bytes: &[u8]| parse(bytes).map(|key| key.id());
        assert_eq!(id(raw.expose()), Some(raw.id()));
        assert_eq!(id(text.as_bytes()), Some(raw.id()));
        assert_eq!(id(format!("{}\n", text.as_str()).as_bytes()), Some(raw.id()));
        let long = [raw.expose().as_slice(), b"more"].concat();
        let hex: String = long.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(id(hex.as_bytes()).is_some_and(|long| long != raw.id()));
        for bad in [
            &b""[..],
            b"correct horse battery staple",
            b"0123456789abcdef0123456789abcdef",
            &raw.expose()[..31],
        ] {
            assert_eq!(id(bad), None, "{} bytes", bad.len());
        }
        // Raw bytes with a line feed are one byte too long, not a key of another length.
        assert_eq!(id(&[raw.expose().as_slice(), b"\n"].concat()), None);
    }
}
