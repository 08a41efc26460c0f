//! Sealed records: a token cache in a database that several servers share.
//!
//! A record holds the cache of one [`Partition`] (a user, a call on behalf of a user, an app) under a name without
//! personal data. It is encrypted with AES-256-GCM under a key that is derived anew for each write, so that a record
//! can be moved, altered or exchanged by nobody without the key. `docs/format.md` has the bytes.
//!
//! This module seals, opens and surveys. It keeps nothing and connects to nothing: `tokenkeep-server` and the Node
//! package's `tokenkeep/server` keep records in Redis, Valkey and PostgreSQL.

mod header;
mod partition;
mod survey;

use std::time::{Duration, SystemTime};

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit, Tag};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::key_source::{Key, KeyId, fill_random};
use crate::{Error, ErrorKind, Result, Secret};

pub use header::{Header, Revision};
pub use partition::{Partition, RecordKind};
pub use survey::{Survey, survey};

/// The bytes after the content that prove it.
const TAG: usize = 16;

/// The times of a record. Milliseconds are kept.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tokenkeep::record::Times;
///
/// let written = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
/// let times = Times { written, expires: written + Duration::from_secs(3_600) };
/// assert!(!times.is_over(written) && times.is_over(written + Duration::from_secs(3_700)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// When the record was written.
    pub written: SystemTime,
    /// When the record counts as absent.
    pub expires: SystemTime,
}

impl Times {
    /// The difference between the clocks of two servers that changes nothing.
    const GRACE: Duration = Duration::from_secs(60);

    /// Returns whether the record counts as absent at `now`.
    pub fn is_over(&self, now: SystemTime) -> bool {
        self.expires.checked_add(Self::GRACE).is_some_and(|end| end < now)
    }
}

/// Encrypts `content` for its place. Each call makes a new revision.
///
/// # Errors
/// `InvalidInput` if the content or the partition is too long, or the times are before 1970. `Io` without a random
/// source.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tokenkeep::key_source::Key;
/// use tokenkeep::record::{Partition, Times, open, seal};
///
/// let (key, ada) = (Key::random()?, Partition::user("tk:shop", "ada.tenant")?);
/// let now = SystemTime::now();
/// let times = Times { written: now, expires: now + Duration::from_secs(3_600) };
/// let record = seal(&ada, &key, br#"{"Account":{}}"#, times)?;
///
/// let (header, content) = open(&ada, &[key.clone()], &record)?;
/// assert_eq!((content.expose(), header.key_id), (&br#"{"Account":{}}"#[..], Partition::key_id(&key)));
///
/// // It does not open in the place of another user's record.
/// let bob = Partition::user("tk:shop", "bob.tenant")?;
/// assert!(open(&bob, &[key], &record).unwrap_err().is_damage());
/// # Ok::<(), tokenkeep::Error>(())
/// ```
pub fn seal(partition: &Partition, key: &Key, content: &[u8], times: Times) -> Result<Vec<u8>> {
    seal_as(&partition.name(), key, content, &fresh_header(partition.kind(), key, times)?)
}

fn fresh_header(kind: RecordKind, key: &Key, times: Times) -> Result<Header> {
    let mut revision = [0; header::REVISION];
    fill_random(&mut revision)?;
    Ok(Header { kind, revision: Revision(revision), key_id: Partition::key_id(key), times })
}

/// Encrypts under a header that is given.
fn seal_as(name: &str, key: &Key, content: &[u8], header: &Header) -> Result<Vec<u8>> {
    let too_long = || Error::new(ErrorKind::InvalidInput, "The content is too long for a record");
    let mut record = Vec::new();
    record.reserve_exact(header::LENGTH + content.len() + TAG);
    header.write(u32::try_from(content.len()).map_err(|_| too_long())?, &mut record)?;
    let data = associated_data(&record, name);
    record.resize(header::LENGTH + content.len(), 0);
    let (cipher, nonce) = cipher(key, &header.revision);
    let tag = InOutBuf::new(content, &mut record[header::LENGTH..])
        .ok()
        .and_then(|inout| cipher.encrypt_inout_detached((&*nonce).into(), &data, inout).ok())
        .ok_or_else(too_long)?;
    record.extend_from_slice(&tag);
    Ok(record)
}

/// Decrypts a record with the key of `keys` that it names.
///
/// # Errors
/// `Damaged` if it is no record, was altered, or is the record of another partition. `UnknownFormat` if a newer
/// release wrote it. `MissingKey` if none of the keys is its own. Whether it is [over](Times::is_over) is the caller's
/// to judge.
///
/// ```
/// use std::time::SystemTime;
/// use tokenkeep::{ErrorKind, key_source::Key, record::{Partition, Times, open, seal}};
///
/// let (old, new) = (Key::random()?, Key::random()?);
/// let app = Partition::app("tk:sync", "client", "tenant")?;
/// let times = Times { written: SystemTime::now(), expires: SystemTime::now() };
/// let record = seal(&app, &old, b"{}", times)?;
///
/// assert_eq!(open(&app, &[new.clone()], &record).unwrap_err().kind(), ErrorKind::MissingKey);
/// assert!(open(&app, &[new, old], &record).is_ok());
/// # Ok::<(), tokenkeep::Error>(())
/// ```
pub fn open(partition: &Partition, keys: &[Key], record: &[u8]) -> Result<(Header, Secret)> {
    let (header, content) = open_named(&partition.name(), keys, record)?;
    if header.kind != partition.kind() {
        return Err(damaged("it is a record of another kind"));
    }
    Ok((header, content))
}

/// Decrypts the record that is stored under `name`, whatever its partition: for a program that looks through all
/// records.
///
/// # Errors
/// Like [`open`].
///
/// ```
/// use std::time::SystemTime;
/// use tokenkeep::{key_source::Key, record::{Partition, Times, open_named, seal}};
///
/// let (key, ada) = (Key::random()?, Partition::user("tk:shop", "ada.tenant")?);
/// let times = Times { written: SystemTime::now(), expires: SystemTime::now() };
/// let record = seal(&ada, &key, b"{}", times)?;
/// let (header, content) = open_named(&ada.name(), &[key], &record)?;
/// assert_eq!((header.kind, content.expose()), (ada.kind(), &b"{}"[..]));
/// # Ok::<(), tokenkeep::Error>(())
/// ```
pub fn open_named(name: &str, keys: &[Key], record: &[u8]) -> Result<(Header, Secret)> {
    let (header, length) = Header::parse(record)?;
    let key = keys.iter().find(|key| Partition::key_id(key) == header.key_id).ok_or_else(missing)?;
    let (head, rest) = record.split_at(header::LENGTH);
    let Some((sealed, tag)) = rest.split_last_chunk::<TAG>() else {
        return Err(damaged("it is cut short"));
    };
    if sealed.len() != length as usize {
        return Err(damaged("its length is not the one in its header"));
    }
    let data = associated_data(head, name);
    let mut content = Zeroizing::new(vec![0; sealed.len()]);
    let (cipher, nonce) = cipher(key, &header.revision);
    InOutBuf::new(sealed, &mut content)
        .ok()
        .and_then(|inout| {
            cipher.decrypt_inout_detached((&*nonce).into(), &data, inout, &Tag::from(*tag)).ok()
        })
        .ok_or_else(|| damaged("it was altered, or it is the record of another partition"))?;
    Ok((header, Secret::from_zeroizing(content)))
}

/// Encrypts the record that is stored under `name` anew, with `key`. Content, kind and times stay.
///
/// # Errors
/// Like [`open`].
///
/// ```
/// use std::time::SystemTime;
/// use tokenkeep::{key_source::Key, record::{Partition, Times, open, reseal, seal}};
///
/// let (old, new, ada) = (Key::random()?, Key::random()?, Partition::user("tk:shop", "ada.tenant")?);
/// let times = Times { written: SystemTime::now(), expires: SystemTime::now() };
/// let record = seal(&ada, &old, b"{}", times)?;
/// let record = reseal(&ada.name(), &[old], &new, &record)?;
/// assert!(open(&ada, &[new], &record).is_ok());
/// # Ok::<(), tokenkeep::Error>(())
/// ```
pub fn reseal(name: &str, keys: &[Key], key: &Key, record: &[u8]) -> Result<Vec<u8>> {
    let (header, content) = open_named(name, keys, record)?;
    seal_as(name, key, content.expose(), &fresh_header(header.kind, key, header.times)?)
}

/// Returns the authenticated data beside the content: the header and the record's name, which stands for its
/// partition.
fn associated_data(header: &[u8], name: &str) -> Vec<u8> {
    let mut data = header.to_vec();
    for part in ["server-record", name] {
        data.extend_from_slice(&(part.len() as u64).to_be_bytes());
        data.extend_from_slice(part.as_bytes());
    }
    data
}

/// The cipher and the nonce of one write. The revision is random, so that no nonce is used twice under one key.
fn cipher(key: &Key, revision: &Revision) -> (Aes256Gcm, Zeroizing<[u8; 12]>) {
    let mut derived = Zeroizing::new([0; 44]);
    let expanded =
        Hkdf::<Sha256>::new(Some(&revision.0), key.expose()).expand(b"tokenkeep record 1", &mut *derived);
    // HKDF gives up to 255 hashes; this needs two.
    debug_assert!(expanded.is_ok());
    let (secret, rest) = derived.split_at(32);
    let (mut own, mut nonce) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 12]));
    own.copy_from_slice(secret);
    nonce.copy_from_slice(rest);
    (Aes256Gcm::new((&*own).into()), nonce)
}

impl Partition {
    /// Returns the identifier of a key in the records that it seals. It reveals nothing about the key, and is another
    /// one than in an encrypted file.
    ///
    /// ```
    /// use tokenkeep::{key_source::Key, record::Partition};
    ///
    /// let key = Key::random()?;
    /// assert_ne!(Partition::key_id(&key), key.id());
    /// # Ok::<(), tokenkeep::Error>(())
    /// ```
    pub fn key_id(key: &Key) -> KeyId {
        let mut id = [0; 16];
        key.derive(b"tokenkeep record, key id", &mut id);
        KeyId(id)
    }
}

fn missing() -> Error {
    Error::new(ErrorKind::MissingKey, "The record is encrypted with a key that is not among the given ones")
        .remedy("Add the key that it was written with; nothing was written")
}

fn damaged(why: &str) -> Error {
    Error::new(ErrorKind::Damaged, format!("The record is damaged: {why}"))
}
