//! Signs an account out of a cache: removes it and every token it has.

use super::Section;
use super::document::{Document, Entry, HomeAccountId};
use super::output::Output;
use crate::{Error, ErrorKind, Result, Secret};

/// What [`remove_account`] left.
#[derive(Clone, Debug)]
pub struct Removal {
    /// The cache without the account.
    pub content: Secret,
    /// How many entries were removed, the account's own among them. At 0 the content is what it was.
    pub removed: usize,
}

/// Removes the account called `home_account_id`, in every environment, and all of its tokens, those of kinds unknown
/// today included. Everything else stays as it was, byte for byte. Case does not matter.
///
/// # Errors
/// `Damaged` when `content` is not a token cache. `InvalidInput` when the name is empty: entries that belong to no
/// account, such as an app's own tokens, are not one account.
pub fn remove_account(content: &[u8], home_account_id: &str) -> Result<Removal> {
    let account = HomeAccountId::new(home_account_id.as_bytes())
        .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "the home account id is empty"))?;
    let document = Document::parse(content).map_err(super::damaged)?;
    let stays = |entry: &&Entry<'_>| entry.account().as_ref() != Some(&account);
    let mut removed = 0;
    let mut output = Output::default();
    output.open();
    for member in &document.root.entries {
        let entries = Section::named(&member.key).map_or(&[][..], |section| document.entries(section));
        let kept: Vec<_> = entries.iter().filter(stays).collect();
        if kept.len() == entries.len() {
            output.entry(member);
            continue;
        }
        removed += entries.len() - kept.len();
        output.name(member.name);
        output.open();
        kept.into_iter().for_each(|entry| output.entry(entry));
        output.close();
    }
    output.close();
    let content = if removed == 0 { Secret::from(super::without_bom(content)) } else { output.into_secret() };
    Ok(Removal { content, removed })
}
