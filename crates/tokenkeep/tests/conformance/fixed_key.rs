//! A key source without a file, whose permissions Wine would judge.

use tokenkeep::key_source::{Key, KeyId, KeySource, Kind};
use tokenkeep::{Protection, Result};

#[derive(Debug)]
pub(crate) struct FixedKey;

impl KeySource for FixedKey {
    fn kind(&self) -> Kind {
        Kind::KeyFile
    }

    fn fresh(&self) -> Result<(Key, Vec<u8>)> {
        Ok((Key::new(&mut [7; 32]), Vec::new()))
    }

    fn recall(&self, _parameters: &[u8], _id: &KeyId) -> Result<Key> {
        Ok(Key::new(&mut [7; 32]))
    }

    fn protection(&self) -> Protection {
        Protection::KeyFile
    }

    fn describe(&self) -> String {
        "a fixed key".to_owned()
    }
}
