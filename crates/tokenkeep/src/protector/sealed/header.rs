//! The header of a sealed file, byte by byte, with a parser that trusts no field. It implements `docs/format.md`.
//!
//! In every version, the magic, the header's length and the check over the header are at the same offsets. This
//! distinguishes a damaged header from a file of a newer release.

use sha2::{Digest, Sha256};

use crate::key_source::KeyId;

/// No text begins with these bytes, and a transfer that changes line ends or strips the eighth bit destroys them.
pub(crate) const MAGIC: [u8; 8] = *b"\x89TKS\r\n\x1a\n";
/// The longest header of any version. As many bytes of a file are read before it is replaced.
pub(crate) const LONGEST: usize = 1024;
/// The only version.
const VERSION: u8 = 1;
/// The only algorithm.
const XCHACHA20_POLY1305: u8 = 1;
/// The end of the fields with fixed offsets; the parameters of the key source follow.
const FIXED: usize = 62;
/// The first bytes of a SHA-256. It detects only accidents; the authentication of the content detects attacks.
const CHECK: usize = 8;
/// The magic, the length, the version and the check: a header of any version has these.
const SHORTEST: usize = MAGIC.len() + 2 + 1 + CHECK;

pub(super) const NONCE: usize = 24;
/// Poly1305's tag, after the content.
pub(super) const TAG: usize = 16;

/// The fields of a header.
#[derive(Debug)]
pub(super) struct Header<'a> {
    /// The whole header, for authentication.
    pub(super) bytes: &'a [u8],
    /// The byte of a [`Kind`](crate::key_source::Kind), or of one unknown to this release.
    pub(super) source: u8,
    pub(super) content_length: u64,
    pub(super) key_id: KeyId,
    pub(super) nonce: [u8; NONCE],
    pub(super) parameters: &'a [u8],
}

/// The reason why bytes are not a usable header.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// They do not begin like a header.
    Foreign,
    /// They are the beginning of a header.
    Truncated,
    /// They are a damaged header.
    Damaged(String),
    /// They are a header of a kind unknown to this release.
    Unknown(String),
}

impl<'a> Header<'a> {
    /// Parses the header at the beginning of `file`, which must have at least [`LONGEST`] bytes unless the file is
    /// shorter.
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

    /// Parses the fields of a header whose check is correct.
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

/// Copies a slice whose length the caller has checked.
fn copied<const N: usize>(slice: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(slice);
    array
}

/// Returns the length of a header with this number of parameter bytes; `None` if there are too many.
pub(super) fn length(parameters: usize) -> Option<usize> {
    Some(FIXED.checked_add(parameters)?.checked_add(CHECK)?).filter(|length| *length <= LONGEST)
}

/// Appends a header to `file`; returns `None` if there are too many parameter bytes.
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
    fn a_written_header_is_read_back_without_the_bytes_after_it() {
        let mut bytes = header(b"parameters");
        let length = bytes.len();
        bytes.extend_from_slice(b"content");
        let read = Header::parse(&bytes).unwrap();
        assert_eq!((read.bytes, read.parameters), (&bytes[..length], &b"parameters"[..]));
        assert_eq!((read.source, read.content_length, read.nonce), (4, 1234, [9; NONCE]));
        assert!(read.key_id == KeyId([7; 16]));
    }

    #[test]
    fn every_flipped_bit_and_every_truncation_is_damage_not_a_newer_version() {
        let whole = header(b"0123456789");
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let flaw = Header::parse(&bytes).unwrap_err();
            let foreign = bit / 8 < MAGIC.len();
            assert!(matches!(flaw, Flaw::Foreign) == foreign, "bit {bit}: {flaw:?}");
            // A flip in the length may ask for more bytes than the file has.
            let accident = matches!(flaw, Flaw::Damaged(_) | Flaw::Truncated);
            assert!(foreign || accident, "bit {bit}: {flaw:?}");
        }
        for length in 1..whole.len() {
            assert_eq!(Header::parse(&whole[..length]).unwrap_err(), Flaw::Truncated, "{length}");
        }
        assert_eq!(Header::parse(&[]).unwrap_err(), Flaw::Foreign);
    }

    #[test]
    fn a_version_algorithm_or_feature_of_a_newer_release_is_not_damage() {
        for (at, value) in [(10, 2), (10, 255), (10, 0), (11, 2), (11, 0), (13, 1)] {
            let mut bytes = header(&[]);
            bytes[at] = value;
            assert!(matches!(Header::parse(&rechecked(bytes)), Err(Flaw::Unknown(_))), "{at} {value}");
        }
        // A newer version may have a shorter header, or other fields.
        let mut short = MAGIC.to_vec();
        short.extend_from_slice(&[0, 19, 2]);
        short.extend_from_slice(&[0; CHECK]);
        assert!(matches!(Header::parse(&rechecked(short)), Err(Flaw::Unknown(_))));
    }

    #[test]
    fn too_many_parameters_are_refused_at_the_write() {
        assert!(length(LONGEST - FIXED - CHECK).is_some());
        assert!(length(LONGEST - FIXED - CHECK + 1).is_none() && length(usize::MAX).is_none());
    }
}
