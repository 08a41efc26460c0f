//! A protector of the program itself between the cache and its file. This one adds a checksum and does not encrypt.
//!
//! `cargo run --example custom_protector -- [PATH]`
//!
//! A protector that encrypts, for example with a key from a hardware module, has the same shape. Altered content is
//! `Damaged`; content without its key is not and must be another error, or it would be moved aside.
#![allow(clippy::disallowed_methods, reason = "an example with a directory of its own")]

use std::borrow::Cow;
use std::error::Error;

use tokenkeep::{Backend, ErrorKind, Protection, Protector, Secret, TokenCache, storage::FilePersistence};

/// The length of the checksum in front of the content.
const HEAD: usize = 8;

#[derive(Debug)]
struct Checksum;

impl Checksum {
    /// FNV-1a: detects accidents, not attacks.
    fn of(content: &[u8]) -> [u8; HEAD] {
        let start = 0xcbf2_9ce4_8422_2325_u64;
        let mix = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        content.iter().fold(start, mix).to_le_bytes()
    }
}

impl Protector for Checksum {
    fn protect<'a>(&self, content: &'a [u8], _replacing: Option<&[u8]>) -> tokenkeep::Result<Cow<'a, [u8]>> {
        Ok(Cow::Owned([&Self::of(content), content].concat()))
    }

    fn unprotect(&self, bytes: Secret) -> tokenkeep::Result<Secret> {
        let damaged = || tokenkeep::Error::new(ErrorKind::Damaged, "the checksum does not fit");
        let (sum, content) = bytes.expose().split_at_checked(HEAD).ok_or_else(damaged)?;
        if sum == Self::of(content) { Ok(Secret::from(content)) } else { Err(damaged()) }
    }

    fn backend(&self) -> Backend {
        Backend::Custom
    }

    fn protection(&self) -> Protection {
        Protection::Plaintext
    }
}

#[allow(clippy::print_stdout, reason = "an example may print")]
fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "custom-protector.cache".to_owned());
    let open = || -> tokenkeep::Result<TokenCache> {
        Ok(TokenCache::new(FilePersistence::with_protector(&path, Checksum)?))
    };
    open()?.update(|_| "some content")?;

    let mut bytes = std::fs::read(&path)?;
    let last = bytes.last_mut().ok_or("the file is empty")?;
    *last ^= 1;
    std::fs::write(&path, bytes)?;

    match open()?.read() {
        Ok(_) => Err("the damage went unnoticed".into()),
        Err(error) => {
            println!("noticed: {error}");
            Ok(())
        }
    }
}
