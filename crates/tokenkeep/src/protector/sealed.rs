//! Encryption with a key from a [`KeySource`]: XChaCha20-Poly1305, under a header that identifies the key.
//!
//! The authentication covers the content, the whole header, the kind of store and the *partition*, which is the
//! cache's own name, so that the file of one cache is refused at the path of another. `docs/format.md` has the bytes;
//! [`header`] reads and writes them.
//!
//! A wrong or missing key is distinguished from damage, because the remedies differ: damaged content is moved aside,
//! but content whose key is unavailable must not change.

pub(crate) mod header;

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use chacha20poly1305::aead::inout::InOutBuf;
use chacha20poly1305::{AeadInOut, KeyInit, Tag, XChaCha20Poly1305};
use zeroize::Zeroizing;

use super::refuse_data_protection;
use crate::key_source::{Key, KeySource, Kind, fill_random, wrong_key};
use crate::{Backend, Error, ErrorKind, Protection, Protector, Result, Secret, schema};
use header::{Flaw, Header, TAG};

/// A protector that encrypts with a key from a [`KeySource`].
///
/// A plaintext token cache found in the file's place, of an older release or another library, is refused by
/// [`FilePersistence`](crate::storage::FilePersistence), or, where the program allows it, encrypted, read back and overwritten.
///
/// ```no_run
/// use tokenkeep::{key_source::KeyFile, storage::{FilePersistence, Sealed}, TokenCache};
///
/// # fn main() -> tokenkeep::Result<()> {
/// let sealed = Sealed::new(KeyFile::at("/run/secrets/cache-key"), "my-app/token_cache");
/// let file = FilePersistence::with_protector("/var/lib/my-app/cache.bin", sealed)?;
/// let cache = TokenCache::new(file);
///
/// // Several caches with one source of keys:
/// let source = std::sync::Arc::new(KeyFile::at("/run/secrets/cache-key"));
/// let other = Sealed::shared(source, "my-app/other_cache");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Sealed {
    source: Arc<dyn KeySource>,
    partition: String,
}

impl Sealed {
    /// Encrypts with keys from `source`. `partition` names the cache, for example `service/account`; a file opens
    /// only under its name.
    pub fn new(source: impl KeySource + 'static, partition: impl Into<String>) -> Self {
        Self { source: Arc::new(source), partition: partition.into() }
    }

    /// Like [`Sealed::new`], for a source that several caches share.
    pub fn shared(source: Arc<dyn KeySource>, partition: impl Into<String>) -> Self {
        Self { source, partition: partition.into() }
    }

    /// Returns the key of the file with this `header`.
    fn key_of(&self, header: &Header<'_>) -> Result<Key> {
        if header.source != self.source.kind().byte() {
            return Err(self.wrong_key(Kind::named(header.source)));
        }
        let key = self.source.recall(header.parameters, &header.key_id)?;
        if key.id() != header.key_id {
            return Err(self.wrong_key("another key"));
        }
        Ok(key)
    }

    fn wrong_key(&self, other: &str) -> Error {
        wrong_key(other, &self.source.describe())
    }

    /// Returns the key and parameters for a file that replaces one beginning with `head`.
    fn key_over(&self, head: &[u8]) -> Result<(Key, Vec<u8>)> {
        refuse_data_protection(head)?;
        match Header::parse(head) {
            Ok(header) => Ok((self.key_of(&header)?, header.parameters.to_vec())),
            Err(Flaw::Foreign) if holds_plaintext(head) => {
                Err(unprotected().remedy("Load the cache before saving it; nothing was written"))
            }
            Err(flaw @ Flaw::Unknown(_)) => Err(refusal(flaw)),
            // A file so damaged that its key is unknown has been moved aside by the writer.
            Err(Flaw::Foreign | Flaw::Truncated | Flaw::Damaged(_)) => self.source.fresh(),
        }
    }

    /// Returns the authenticated data beside the content, each part after its length.
    fn associated_data(&self, header: &[u8]) -> Vec<u8> {
        let mut data = header.to_vec();
        for part in [Backend::EncryptedFile.code(), &self.partition] {
            data.extend_from_slice(&(part.len() as u64).to_be_bytes());
            data.extend_from_slice(part.as_bytes());
        }
        data
    }
}

impl Protector for Sealed {
    fn protect<'a>(&self, content: &'a [u8], replacing: Option<&[u8]>) -> Result<Cow<'a, [u8]>> {
        let (key, parameters) = match replacing {
            Some(head) if !head.is_empty() => self.key_over(head)?,
            _ => self.source.fresh()?,
        };
        let mut nonce = [0; header::NONCE];
        fill_random(&mut nonce)?;
        let kind = self.source.kind().byte();
        let mut file = Vec::new();
        let length = header::length(parameters.len()).unwrap_or(0);
        file.reserve_exact(length + content.len() + TAG);
        header::write(&mut file, kind, content.len() as u64, &key.id(), &nonce, &parameters).ok_or_else(
            || {
                Error::new(
                    ErrorKind::InvalidInput,
                    "The key source has more parameters than fit into a header",
                )
            },
        )?;
        let data = self.associated_data(&file);
        file.resize(length + content.len(), 0);
        let tag = InOutBuf::new(content, &mut file[length..])
            .ok()
            .and_then(|inout| cipher(&key).encrypt_inout_detached(&nonce.into(), &data, inout).ok())
            .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "The content is too long to be encrypted"))?;
        file.extend_from_slice(&tag);
        Ok(Cow::Owned(file))
    }

    fn head_length(&self) -> usize {
        header::LONGEST
    }

    fn unprotect(&self, bytes: Secret) -> Result<Secret> {
        let (start, end, data, nonce, key) = {
            let file = bytes.expose();
            refuse_data_protection(file)?;
            let header = match Header::parse(file) {
                Ok(header) => header,
                // A keystore's marker, without content to encrypt; it stays unchanged until the first write.
                Err(Flaw::Foreign) if file.trim_ascii() == b"{}" => return Ok(bytes),
                Err(Flaw::Foreign) if schema::is_msal_cache(file) => return Err(unprotected()),
                Err(flaw) => return Err(refusal(flaw)),
            };
            let key = self.key_of(&header)?;
            let start = header.bytes.len();
            let end = file.len().saturating_sub(TAG).max(start);
            match header.content_length.cmp(&((end - start) as u64)) {
                Ordering::Equal if file.len() == end + TAG => {}
                Ordering::Less => return Err(damaged("something was appended to it")),
                _ => return Err(truncated()),
            }
            (start, end, self.associated_data(header.bytes), header.nonce, key)
        };
        // Encrypt in place, so that a cache of many megabytes is in memory once.
        let mut bytes = bytes.into_zeroizing();
        let tag = Tag::try_from(&bytes[end..]).map_err(|_| truncated())?;
        let inout = InOutBuf::from(&mut bytes[start..end]);
        cipher(&key)
            .decrypt_inout_detached(&nonce.into(), &data, inout, &tag)
            .map_err(|_| damaged("it was altered, or it is the file of another cache"))?;
        bytes.copy_within(start..end, 0);
        bytes.truncate(end - start);
        Ok(Secret::from_zeroizing(bytes))
    }

    fn backend(&self) -> Backend {
        Backend::EncryptedFile
    }

    fn protection(&self) -> Protection {
        self.source.protection()
    }

    fn survives_reboot(&self) -> bool {
        self.source.survives_reboot()
    }

    fn remarks(&self) -> Result<Vec<String>> {
        self.source.remarks()
    }
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    let mut derived = Zeroizing::new([0; 32]);
    key.derive(b"tokenkeep sealed file, XChaCha20-Poly1305", &mut *derived);
    XChaCha20Poly1305::new((&*derived).into())
}

/// Returns whether a file that begins so is a plaintext cache with content. Only its beginning is known, so every
/// object counts.
pub(crate) fn holds_plaintext(head: &[u8]) -> bool {
    let head = head.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(head).trim_ascii();
    head.first() == Some(&b'{') && head != b"{}"
}

fn unprotected() -> Error {
    Error::new(ErrorKind::Unprotected, "A plaintext cache stands where an encrypted one belongs")
}

fn damaged(why: &str) -> Error {
    refusal(Flaw::Damaged(why.to_owned()))
}

fn truncated() -> Error {
    refusal(Flaw::Truncated)
}

fn refusal(flaw: Flaw) -> Error {
    match flaw {
        Flaw::Foreign => Error::new(ErrorKind::Damaged, "The file is not an encrypted cache"),
        Flaw::Truncated => {
            Error::new(ErrorKind::Truncated, "The encrypted cache is damaged: it is truncated")
        }
        Flaw::Damaged(why) => {
            Error::new(ErrorKind::Damaged, format!("The encrypted cache is damaged: {why}"))
        }
        Flaw::Unknown(what) => {
            let text = format!("The cache is encrypted in a form that this release does not know: {what}");
            Error::new(ErrorKind::UnknownFormat, text)
                .remedy("Use the release that wrote it, or a newer one; nothing was written")
        }
    }
}
