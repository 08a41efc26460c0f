//! The header of a sealed file, byte by byte, and a parser that trusts none of them. `docs/format.md` is its twin.
//!
//! A header frames itself: the magic, its own length and a check over all of it stand where every version has them.
//! So an accident in it is told from a file that a newer release wrote.

use sha2::{Digest, Sha256};

use crate::key_source::KeyId;

/// No text begins with these bytes, and a transfer that changes line ends or strips the eighth bit breaks them.
pub(crate) const MAGIC: [u8; 8] = *b"\x89TKS\r\n\x1a\n";
/// No header of any version is longer. What is read of a file before it is replaced.
pub(crate) const LONGEST: usize = 1024;
/// The only version there is.
const VERSION: u8 = 1;
/// The only algorithm there is.
const XCHACHA20_POLY1305: u8 = 1;
/// The end of the fields that stand at a fixed place; the key source's parameters follow.
const FIXED: usize = 62;
/// The first bytes of a SHA-256. Against accidents only: an attacker meets the authentication of the content.
const CHECK: usize = 8;
/// The magic, the length, the version and the check: without these it is no header of any version.
const SHORTEST: usize = MAGIC.len() + 2 + 1 + CHECK;

pub(super) const NONCE: usize = 24;
/// Poly1305's tag, after the content.
pub(super) const TAG: usize = 16;

/// What a header says.
#[derive(Debug)]
pub(super) struct Header<'a> {
    /// All of it, for authentication.
    pub(super) bytes: &'a [u8],
    /// The byte of a [`Kind`](crate::key_source::Kind), or of one that this release does not know.
    pub(super) source: u8,
    pub(super) content_length: u64,
    pub(super) key_id: KeyId,
    pub(super) nonce: [u8; NONCE],
    pub(super) parameters: &'a [u8],
}

/// Why bytes are no header that can be used.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// They do not even begin as one.
    Foreign,
    /// They are the beginning of one.
    Truncated,
    /// They were one.
    Damaged(String),
    /// They are one, of a kind that this release does not know.
    Unknown(String),
}

impl<'a> Header<'a> {
    /// Reads the header at the beginning of `file`, of which at least [`LONGEST`] bytes are needed if it has them.
    pub(super) fn parse(file: &'a [u8]) -> Result<Self, Flaw> {
        let present = file.len().min(MAGIC.len());
        if file[..present] != MAGIC[..present] || present == 0 {
            return Err(Flaw::Foreign);
        }
        let (_, rest) = file.split_at(present);
        let Some((&[high, low], _)) = rest.split_first_chunk::<2>() else { return Err(Flaw::Truncated) };
        let length = usize::from(u16::from_be_bytes([high, low]));
        if !(SHORTEST..=LONGEST).contains(&length) {
            return Err(Flaw::Damaged("its header has an impossible length".to_owned()));
        }
        let Some(bytes) = file.get(..length) else { return Err(Flaw::Truncated) };
        let (checked, check) = bytes.split_at(length - CHECK);
        if Sha256::digest(checked)[..CHECK] != *check {
            return Err(Flaw::Damaged("its header does not match its own check".to_owned()));
        }
        Self::fields(bytes, checked)
    }

    /// Reads the fields of a header that is as it was written.
    fn fields(bytes: &'a [u8], checked: &'a [u8]) -> Result<Self, Flaw> {
        match checked[10] {
            VERSION => {}
            0 => return Err(Flaw::Unknown("format version 0, which no release has written".to_owned())),
            newer => {
                return Err(Flaw::Unknown(format!("format version {newer}; the newest known is {VERSION}")));
            }
        }
        let Some((fixed, parameters)) = checked.split_at_checked(FIXED) else {
            return Err(Flaw::Unknown("a header too short for its version".to_owned()));
        };
        if fixed[11] != XCHACHA20_POLY1305 {
            return Err(Flaw::Unknown(format!("algorithm {}", fixed[11])));
        }
        if fixed[13] != 0 {
            return Err(Flaw::Unknown(format!("a feature numbered {}", fixed[13])));
        }
        Ok(Self {
            bytes,
            source: fixed[12],
            content_length: u64::from_be_bytes(copied(&fixed[14..22])),
            key_id: KeyId(copied(&fixed[22..38])),
            nonce: copied(&fixed[38..62]),
            parameters,
        })
    }
}

/// A slice whose length the caller has just cut.
fn copied<const N: usize>(slice: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(slice);
    array
}

/// The length of a header with so many bytes of parameters; `None` when that is too many.
pub(super) fn length(parameters: usize) -> Option<usize> {
    Some(FIXED.checked_add(parameters)?.checked_add(CHECK)?).filter(|length| *length <= LONGEST)
}

/// Appends a header to `file`; `None` when the parameters are too many.
pub(super) fn write(
    file: &mut Vec<u8>,
    source: u8,
    content_length: u64,
    key_id: &KeyId,
    nonce: &[u8; NONCE],
    parameters: &[u8],
) -> Option<usize> {
    let length = length(parameters.len())?;
    let start = file.len();
    file.extend_from_slice(&MAGIC);
    file.extend_from_slice(&u16::try_from(length).ok()?.to_be_bytes());
    file.extend_from_slice(&[VERSION, XCHACHA20_POLY1305, source, 0]);
    file.extend_from_slice(&content_length.to_be_bytes());
    file.extend_from_slice(&key_id.0);
    file.extend_from_slice(nonce);
    file.extend_from_slice(parameters);
    let check = Sha256::digest(&file[start..]);
    file.extend_from_slice(&check[..CHECK]);
    Some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(parameters: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        write(&mut bytes, 4, 1234, &KeyId([7; 16]), &[9; NONCE], parameters).unwrap();
        bytes
    }

    fn rechecked(mut bytes: Vec<u8>) -> Vec<u8> {
        let end = bytes.len() - CHECK;
        let check = Sha256::digest(&bytes[..end]);
        bytes[end..].copy_from_slice(&check[..CHECK]);
        bytes
    }

    #[test]
    fn what_is_written_is_read_back_and_what_follows_is_left_alone() {
        let mut bytes = header(b"parameters");
        let length = bytes.len();
        bytes.extend_from_slice(b"content");
        let read = Header::parse(&bytes).unwrap();
        assert_eq!((read.bytes, read.parameters), (&bytes[..length], &b"parameters"[..]));
        assert_eq!((read.source, read.content_length, read.nonce), (4, 1234, [9; NONCE]));
        assert!(read.key_id == KeyId([7; 16]));
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_an_accident_not_a_newer_version() {
        let whole = header(b"0123456789");
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let flaw = Header::parse(&bytes).unwrap_err();
            let foreign = bit / 8 < MAGIC.len();
            assert!(matches!(flaw, Flaw::Foreign) == foreign, "bit {bit}: {flaw:?}");
            // A flip in the length may ask for more bytes than there are.
            let accident = matches!(flaw, Flaw::Damaged(_) | Flaw::Truncated);
            assert!(foreign || accident, "bit {bit}: {flaw:?}");
        }
        for length in 1..whole.len() {
            assert_eq!(Header::parse(&whole[..length]).unwrap_err(), Flaw::Truncated, "{length}");
        }
        assert_eq!(Header::parse(&[]).unwrap_err(), Flaw::Foreign);
    }

    #[test]
    fn a_version_algorithm_or_feature_of_a_newer_release_is_told_from_damage() {
        for (at, value) in [(10, 2), (10, 255), (10, 0), (11, 2), (11, 0), (13, 1)] {
            let mut bytes = header(&[]);
            bytes[at] = value;
            assert!(matches!(Header::parse(&rechecked(bytes)), Err(Flaw::Unknown(_))), "{at} {value}");
        }
        // A newer version may have a shorter header, or other fields in it.
        let mut short = MAGIC.to_vec();
        short.extend_from_slice(&[0, 19, 2]);
        short.extend_from_slice(&[0; CHECK]);
        assert!(matches!(Header::parse(&rechecked(short)), Err(Flaw::Unknown(_))));
    }

    #[test]
    fn parameters_that_do_not_fit_are_refused_when_writing() {
        assert!(length(LONGEST - FIXED - CHECK).is_some());
        assert!(length(LONGEST - FIXED - CHECK + 1).is_none() && length(usize::MAX).is_none());
    }
}
