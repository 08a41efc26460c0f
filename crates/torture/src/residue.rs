//! A process that has had a secret and dropped it, so that a test can search its memory for copies.

use std::io::BufRead;
use std::path::Path;

use tokenkeep::schema::Change;
use tokenkeep::{Secret, TokenCache, storage::FilePersistence};

use crate::Outcome;

/// The text before and behind the random letters: a cache with one refresh token.
const BEFORE: &[u8] = br#"{"RefreshToken":{"k":{"home_account_id":"a","secret":""#;
const BEHIND: &[u8] = br#""}}}"#;

/// The cache with a token made from `seed`. The test makes the same token, so that it is in no pipe and no argument.
fn content(seed: u64) -> Secret {
    let mut bytes = Vec::with_capacity(BEFORE.len() + 64 + BEHIND.len());
    bytes.extend_from_slice(BEFORE);
    let mut state = seed;
    for _ in 0..64 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.push(b'a' + (state >> 33).to_le_bytes()[0] % 26);
    }
    bytes.extend_from_slice(BEHIND);
    Secret::new(bytes)
}

/// Writes, reads, merges; prints `holding` while it still has the content, and `dropped` when it has dropped it.
pub(crate) fn leave(path: &Path, seed: u64) -> Outcome<()> {
    let mut lines = std::io::stdin().lock().lines();
    let mut say = |word: &str| {
        println!("{word}");
        lines.next().transpose().map(|_| ())
    };
    let secret = content(seed);
    let cache = TokenCache::new(FilePersistence::new(path)?);
    cache.begin_write()?.commit(secret.expose())?;
    say("holding")?;
    drop((secret, cache));

    // Read from the file, merged with another handle's change, written, read again.
    let cache = TokenCache::new(FilePersistence::new(path)?);
    drop(cache.read()?);
    let other = br#"{"Account":{"b":{"home_account_id":"b","username":"bob"}}}"#;
    drop(cache.begin_write()?.commit_change(&Change::additions(other))?);
    cache.forget();
    drop(cache.read()?);
    drop(cache);
    say("dropped")?;
    Ok(())
}
