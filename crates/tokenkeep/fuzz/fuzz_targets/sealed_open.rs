//! Any bytes, as the file in the place of an encrypted cache: opened, and replaced.
#![no_main]

use std::borrow::Cow;
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use tokenkeep::key_source::{Key, KeyFile, KeyId, KeySource, Kind};
use tokenkeep::{
    ErrorKind, Protection, Protector, Result, Secret,
    storage::{Plain, Sealed},
};

const PARTITION: &str = "example/token_cache";
/// The key of one of the vectors, which are the seeds; those under other keys are refused for that.
const KEY: [u8; 32] = [
    0xff, 0xa2, 0x73, 0x93, 0x7d, 0x29, 0x81, 0xfa, 0x5e, 0x7a, 0xad, 0x6f, 0x58, 0xec, 0x75, 0xa3, 0x5c,
    0x70, 0x4c, 0x2e, 0x7a, 0x69, 0x41, 0xb6, 0x20, 0x88, 0x6a, 0xcf, 0x68, 0xe2, 0xb7, 0x21,
];

/// The key of the vectors, for each kind and all parameters, so that the whole header is reached without the time that
/// Argon2 takes.
#[derive(Debug)]
struct AnyParameters(Kind);

impl KeySource for AnyParameters {
    fn kind(&self) -> Kind {
        self.0
    }

    fn fresh(&self) -> Result<(Key, Vec<u8>)> {
        Ok((Key::new(&mut { KEY }), Vec::new()))
    }

    fn recall(&self, _parameters: &[u8], _id: &KeyId) -> Result<Key> {
        Ok(Key::new(&mut { KEY }))
    }

    fn protection(&self) -> Protection {
        Protection::Unknown
    }

    fn describe(&self) -> String {
        "the vectors' key".to_owned()
    }
}

fn protectors() -> &'static [Sealed] {
    static PROTECTORS: OnceLock<Vec<Sealed>> = OnceLock::new();
    PROTECTORS.get_or_init(|| {
        let kinds = [Kind::KeystoreItem, Kind::KernelKeyring, Kind::Passphrase, Kind::KeyFile, Kind::Portal, Kind::Custom];
        let mut protectors: Vec<_> =
            kinds.into_iter().map(|kind| Sealed::new(AnyParameters(kind), PARTITION)).collect();
        // A real source that has no key: nothing of what is said about a file depends on one.
        protectors.push(Sealed::new(KeyFile::at("/nonexistent/key"), PARTITION));
        protectors
    })
}

fuzz_target!(|file: &[u8]| {
    // The checks over header and content keep a fuzzer out; the second form has them repaired.
    examine(file);
    if let Some(repaired) = repaired(file) {
        examine(&repaired);
    }
    if let [high, low, mask, cut, content @ ..] = file {
        alter(content, usize::from(u16::from_be_bytes([*high, *low])), *mask, usize::from(*cut));
    }
});

/// A file that was written right and then altered in one byte and shortened: it opens only if nothing was changed.
fn alter(content: &[u8], at: usize, mask: u8, cut: usize) {
    for protector in &protectors()[..5] {
        let mut file = protector.protect(content, None).expect("there is a key").into_owned();
        let at = at % file.len();
        file[at] ^= mask;
        file.truncate(file.len().saturating_sub(cut).max(1));
        match protector.unprotect(Secret::from(&*file)) {
            Ok(opened) => {
                assert!(mask == 0 && cut == 0 && opened.expose() == content, "an altered file opens")
            }
            Err(error) => {
                assert!(mask != 0 || cut != 0, "{error}");
                check(&error, protector, &file);
            }
        }
    }
}

fn examine(file: &[u8]) {
    if file.is_empty() {
        return;
    }
    let encrypted = file.starts_with(b"\x89TKS\r\n\x1a\n");
    let mut opened = 0;
    for protector in protectors() {
        match protector.unprotect(Secret::from(file)) {
            Ok(content) if encrypted => {
                opened += 1;
                // What opens has every byte in its place: one more, one less or another and it does not.
                for other in [&file[..file.len() - 1], &[file, b"x"].concat(), &flipped(file)] {
                    assert!(protector.unprotect(Secret::from(other)).is_err(), "an altered file opens");
                }
                assert!(content.len() < file.len());
            }
            Ok(content) => assert_eq!(content.expose().trim_ascii(), b"{}", "plaintext passes for encrypted"),
            Err(error) => check(&error, protector, file),
        }
        replace(protector, file, encrypted);
    }
    assert!(opened <= 1, "one file opens under two kinds of key");
    match Plain.unprotect(Secret::from(file)) {
        Ok(content) => assert!(!encrypted && content.expose() == file),
        Err(error) => assert!(encrypted && error.kind() == ErrorKind::MissingKey),
    }
}

/// Only these kinds, each for its reason, and never a word of the content.
fn check(error: &tokenkeep::Error, protector: &Sealed, file: &[u8]) {
    use ErrorKind::{Damaged, MissingKey, Truncated, UnknownFormat, Unprotected, WrongKey};
    let kind = error.kind();
    assert!(
        [Damaged, MissingKey, Truncated, UnknownFormat, Unprotected, WrongKey].contains(&kind),
        "{error}"
    );
    assert!(kind != MissingKey || format!("{protector:?}").contains("nonexistent"), "{error}");
    assert!(kind != Unprotected || tokenkeep::schema::is_msal_cache(file), "{error}");
}

/// Content written over a file opens again. Writing is refused if the file may belong to another program.
fn replace(protector: &Sealed, file: &[u8], encrypted: bool) {
    let head = &file[..file.len().min(protector.head_length())];
    if let Ok(bytes) = protector.protect(b"content", Some(head)) {
        let back = protector.unprotect(Secret::from(&*bytes)).expect("what was written opens");
        assert_eq!(back.expose(), b"content");
    } else {
        let text = file.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(file).trim_ascii();
        let keyless = format!("{protector:?}").contains("nonexistent");
        assert!(encrypted || keyless || text.starts_with(b"{"), "nothing of value is protected");
    }
}

fn flipped(file: &[u8]) -> Vec<u8> {
    let mut file = file.to_vec();
    // Anywhere, but the same for the same input.
    let at = file.iter().fold(7_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)));
    let length = file.len();
    file[at % length] ^= 1 << (at / 7 % 8);
    file
}

/// The file with a valid check behind its header and the key's own id in it. Mutations alone do not find these bytes.
fn repaired(file: &[u8]) -> Option<Cow<'_, [u8]>> {
    use sha2::{Digest, Sha256};
    let length = usize::from(u16::from_be_bytes([*file.get(8)?, *file.get(9)?]));
    if !(70..=1024).contains(&length) || file.len() < length {
        return None;
    }
    let mut file = file.to_vec();
    file[..8].copy_from_slice(b"\x89TKS\r\n\x1a\n");
    let made = protectors().first()?.protect(b"", None).ok()?;
    file[22..38].copy_from_slice(&made[22..38]);
    let check = Sha256::digest(&file[..length - 8]);
    file[length - 8..length].copy_from_slice(&check[..8]);
    Some(Cow::Owned(file))
}
