//! Placeholder until the real one lands from branch `schema` (take that one whole). cache.rs uses: Change{base, ours, disturbed},
//! merge -> Merged{content: Secret, conflict() -> Option<Error>}, is_msal_cache, is_whole; adapt cache.rs where the real API differs.
#![allow(missing_docs)]
use crate::{Error, Result, Secret};
#[derive(Debug)]
pub struct Change<'a> {
    pub base: Option<&'a [u8]>,
    pub ours: &'a [u8],
    pub disturbed: bool,
}
#[derive(Debug)]
pub struct Merged {
    pub content: Secret,
}
impl Merged {
    pub fn conflict(&self) -> Option<Error> {
        None
    }
}
pub fn merge(c: &Change<'_>, _t: Option<&[u8]>) -> Result<Merged> {
    Ok(Merged { content: c.ours.into() })
}
pub fn is_msal_cache(b: &[u8]) -> bool {
    b.first() == Some(&b'{')
}
pub fn is_whole(b: &[u8]) -> bool {
    b.first() != Some(&b'{') || b.last() == Some(&b'}')
}
