//! The keys of the records.

use base64ct::{Base64Unpadded, Base64UrlUnpadded, Encoding};
use tokenkeep::key_source::Key;
use zeroize::Zeroizing;

use crate::{Error, ErrorKind, Result};

/// Bytes in a key.
const LENGTH: usize = 32;

/// The keys of the records. The first one seals, each one opens, so that a new key is put in front and an old one is taken away when
/// every record has been written anew. Its `Debug` shows no key.
///
/// ```
/// use tokenkeep_server::KeyRing;
///
/// let hexadecimal = "00".repeat(32);
/// let keys = KeyRing::parse(&format!("{hexadecimal}, AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="))?;
/// assert_eq!(format!("{keys:?}"), "KeyRing(2 keys)");
/// # Ok::<(), tokenkeep_server::Error>(())
/// ```
#[derive(Clone)]
pub struct KeyRing(Vec<Key>);

impl KeyRing {
    /// A ring of the program's own keys.
    ///
    /// ```
    /// use tokenkeep::key_source::Key;
    /// use tokenkeep_server::KeyRing;
    ///
    /// let keys = KeyRing::new([Key::random()?])?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `MissingKey` without a key.
    pub fn new(keys: impl IntoIterator<Item = Key>) -> Result<Self> {
        let keys: Vec<Key> = keys.into_iter().collect();
        if keys.is_empty() {
            let text = "The ring of keys is empty. Put one there: openssl rand -base64 32 makes one";
            return Err(Error::new(ErrorKind::MissingKey, text));
        }
        Ok(Self(keys))
    }

    /// Reads keys from a text: 32 bytes each, in base64, base64url or hexadecimal, separated by commas or lines. `#` begins a
    /// comment.
    ///
    /// ```
    /// use tokenkeep_server::{ErrorKind, KeyRing};
    ///
    /// assert_eq!(KeyRing::parse("# no key\n").unwrap_err().kind(), ErrorKind::MissingKey);
    /// ```
    ///
    /// # Errors
    /// `MissingKey` without a key, `InvalidInput` for something else than keys.
    pub fn parse(text: &str) -> Result<Self> {
        let lines = text.lines().filter_map(|line| line.split('#').next());
        let words = lines.flat_map(|line| line.split(',')).map(str::trim);
        Self::new(words.filter(|word| !word.is_empty()).map(key).collect::<Result<Vec<_>>>()?)
    }

    /// Reads keys from an environment variable, as [`parse`](Self::parse) does.
    ///
    /// ```no_run
    /// let keys = tokenkeep_server::KeyRing::from_environment("TOKENKEEP_KEYS")?;
    /// # Ok::<(), tokenkeep_server::Error>(())
    /// ```
    ///
    /// # Errors
    /// `MissingKey` if it is not set; as for `parse`.
    pub fn from_environment(name: &str) -> Result<Self> {
        let text = Zeroizing::new(std::env::var(name).map_err(|_| {
            let text = format!(
                "The environment variable {name} is not set. Set it to a key: openssl rand -base64 32 makes one"
            );
            Error::new(ErrorKind::MissingKey, text)
        })?);
        Self::parse(&text)
    }

    /// The key that seals.
    pub(crate) fn sealing(&self) -> &Key {
        &self.0[0]
    }

    /// The keys that open.
    pub(crate) fn all(&self) -> &[Key] {
        &self.0
    }
}

impl std::fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeyRing({} keys)", self.0.len())
    }
}

fn key(word: &str) -> Result<Key> {
    let mut bytes = Zeroizing::new([0; LENGTH]);
    let unpadded = word.strip_suffix('=').filter(|rest| rest.len() == 43).unwrap_or(word);
    let decoded = match unpadded.len() {
        64 => base16ct::mixed::decode(word, &mut *bytes).map(<[u8]>::len).ok(),
        43 if word.contains(['-', '_']) => {
            Base64UrlUnpadded::decode(unpadded, &mut *bytes).map(<[u8]>::len).ok()
        }
        43 => Base64Unpadded::decode(unpadded, &mut *bytes).map(<[u8]>::len).ok(),
        _ => None,
    };
    if decoded != Some(LENGTH) {
        let text = "A key is not 32 bytes in base64, base64url or hexadecimal. Make one with: openssl rand -base64 32";
        return Err(Error::new(ErrorKind::InvalidInput, text));
    }
    Ok(Key::new(&mut bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_key_is_the_same_key() {
        let bytes: [u8; LENGTH] =
            std::array::from_fn(|at| 251_u8.wrapping_mul(u8::try_from(at).unwrap_or(0)) ^ 0xfb);
        let (url, plain) = (Base64UrlUnpadded::encode_string(&bytes), Base64Unpadded::encode_string(&bytes));
        assert!(url.contains('-') || url.contains('_'), "{url}");
        let hex = base16ct::lower::encode_string(&bytes);
        let padded = [format!("{url}="), format!("{plain}=")];
        let spellings: Vec<String> =
            [url, plain, hex.to_uppercase(), hex].into_iter().chain(padded).collect();
        for spelling in &spellings {
            assert_eq!(KeyRing::parse(spelling).unwrap().sealing().expose(), &bytes, "{spelling}");
        }
        let text = format!("# the new one\n{}\n\n{}, {} # old\n", spellings[0], spellings[1], spellings[2]);
        assert_eq!(KeyRing::parse(&text).unwrap().all().len(), 3);
    }

    #[test]
    fn what_is_no_key_is_an_error_that_does_not_show_it() {
        for word in ["secret-word", &"g".repeat(64), &"!".repeat(43), &"A".repeat(42), &"A".repeat(45)] {
            let error = KeyRing::parse(word).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(!error.to_string().contains(word));
        }
        for none in ["", " \n", "# a comment", ",,"] {
            assert_eq!(KeyRing::parse(none).unwrap_err().kind(), ErrorKind::MissingKey);
        }
    }
}
