//! The bytes at the beginning of a record.

use std::fmt;
use std::time::{Duration, SystemTime};

use super::{RecordKind, Times, damaged};
use crate::key_source::KeyId;
use crate::{Error, ErrorKind, Result};

const MAGIC: [u8; 4] = *b"\x89TKR";
const VERSION: u8 = 1;
const AES_256_GCM: u8 = 1;

/// The length of the header.
pub(super) const LENGTH: usize = 60;
/// The length of a revision.
pub(super) const REVISION: usize = 16;

/// The random number of one write. A record is replaced only if it still has the revision that the writer read.
///
/// ```
/// use std::time::SystemTime;
/// use tokenkeep::{key_source::Key, record::{Header, Partition, Times, seal}};
///
/// let (key, app) = (Key::random()?, Partition::app("tk:sync", "client", "tenant")?);
/// let times = Times { written: SystemTime::now(), expires: SystemTime::now() };
/// let record = seal(&app, &key, b"{}", times)?;
/// assert_eq!(Header::read(&record)?.revision.bytes(), &record[8..24]);
/// # Ok::<(), tokenkeep::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Revision(pub(super) [u8; REVISION]);

impl Revision {
    /// Returns the bytes, which are not secret.
    pub fn bytes(&self) -> &[u8; REVISION] {
        &self.0
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Revision(")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// The part of a record that is in plaintext. Only [`open`](super::open) proves that it is unaltered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// The kind of the partition.
    pub kind: RecordKind,
    /// The write that made the record.
    pub revision: Revision,
    /// The key that opens it.
    pub key_id: KeyId,
    /// When it was written, and when it is over.
    pub times: Times,
}

impl Header {
    /// Reads the header of a record without a key.
    ///
    /// # Errors
    /// `Damaged` if it is no record, `UnknownFormat` if a newer release wrote it.
    ///
    /// ```
    /// use tokenkeep::record::Header;
    ///
    /// assert!(Header::read(b"{}").unwrap_err().is_damage());
    /// ```
    pub fn read(record: &[u8]) -> Result<Self> {
        Self::parse(record).map(|(header, _)| header)
    }

    /// Returns the header and the length of the content.
    pub(super) fn parse(record: &[u8]) -> Result<(Self, u32)> {
        let Some((head, rest)) = record.split_first_chunk::<LENGTH>() else {
            return Err(damaged("it is shorter than a header"));
        };
        if head[..4] != MAGIC {
            return Err(damaged("it does not begin like one"));
        }
        let unknown = |what: &str, number: u8| {
            let text = format!("The record has {what} {number}, which this release does not know");
            Error::new(ErrorKind::UnknownFormat, text)
                .remedy("Use the release that wrote it, or a newer one; nothing was written")
        };
        if head[4] != VERSION {
            return Err(unknown("format version", head[4]));
        }
        if head[5] != AES_256_GCM {
            return Err(unknown("algorithm", head[5]));
        }
        if head[6] != 0 {
            return Err(unknown("flags", head[6]));
        }
        let kind = RecordKind::of_byte(head[7]).ok_or_else(|| unknown("kind", head[7]))?;
        if rest.len() < super::TAG {
            return Err(damaged("it is cut short"));
        }
        let header = Self {
            kind,
            revision: Revision(field(head, 8)),
            key_id: KeyId(field(head, 24)),
            times: Times { written: time(field(head, 40))?, expires: time(field(head, 48))? },
        };
        Ok((header, u32::from_be_bytes(field(head, 56))))
    }

    /// Appends the header of a record whose content has this length.
    pub(super) fn write(&self, length: u32, record: &mut Vec<u8>) -> Result<()> {
        record.extend_from_slice(&MAGIC);
        record.extend_from_slice(&[VERSION, AES_256_GCM, 0, self.kind.byte()]);
        record.extend_from_slice(&self.revision.0);
        record.extend_from_slice(&self.key_id.0);
        record.extend_from_slice(&milliseconds(self.times.written)?.to_be_bytes());
        record.extend_from_slice(&milliseconds(self.times.expires)?.to_be_bytes());
        record.extend_from_slice(&length.to_be_bytes());
        Ok(())
    }
}

fn field<const N: usize>(head: &[u8; LENGTH], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&head[at..at + N]);
    field
}

fn time(milliseconds: [u8; 8]) -> Result<SystemTime> {
    let after = Duration::from_millis(u64::from_be_bytes(milliseconds));
    SystemTime::UNIX_EPOCH.checked_add(after).ok_or_else(|| damaged("it has an impossible time"))
}

fn milliseconds(time: SystemTime) -> Result<u64> {
    let after = time.duration_since(SystemTime::UNIX_EPOCH).ok();
    after.and_then(|after| u64::try_from(after.as_millis()).ok()).ok_or_else(|| {
        Error::new(ErrorKind::InvalidInput, "A record has a time before 1970 or after the year 500 million")
    })
}
