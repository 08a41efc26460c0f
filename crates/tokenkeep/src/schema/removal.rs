//! Removes entries from a cache: an account with all of its tokens, or a redeemed token.

use super::Section;
use super::document::{Document, Entry, HomeAccountId};
use super::fields::Fields;
use super::meaning::Value;
use super::output::Output;
use super::view::{AccessToken, AnyEntry};
use crate::{Error, ErrorKind, Result, Secret};

/// The result of [`remove_account`] and the other removals.
///
/// ```
/// use tokenkeep::schema::remove_account;
///
/// let removal = remove_account(b"{}", "uid.utid")?;
/// assert_eq!((removal.removed, removal.content.expose()), (0, &b"{}"[..]));
/// # Ok::<(), tokenkeep::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Removal {
    /// The cache without the removed entries.
    pub content: Secret,
    /// The number of removed entries, with an account's own. If 0, the content is unchanged.
    pub removed: usize,
}

/// Removes the account `home_account_id` in every environment and all of its tokens, also those of unknown kinds. All
/// other entries stay byte for byte. Case does not matter.
///
/// # Errors
/// `Damaged` if `content` is not a token cache. `InvalidInput` if the id is empty: entries without an account, such
/// as an app's own tokens, are not one account.
///
/// ```
/// use tokenkeep::schema::remove_account;
///
/// let cache = br#"{"Account":{"a":{"home_account_id":"UID.utid"},"b":{"home_account_id":"other"}}}"#;
/// let removal = remove_account(cache, "uid.utid")?;
/// assert_eq!(removal.content.expose(), br#"{"Account":{"b":{"home_account_id":"other"}}}"#);
/// # Ok::<(), tokenkeep::Error>(())
/// ```
pub fn remove_account(content: &[u8], home_account_id: &str) -> Result<Removal> {
    let account = HomeAccountId::new(home_account_id.as_bytes())
        .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "the home account id is empty"))?;
    remove(content, |_, entry| entry.account().as_ref() == Some(&account))
}

/// Removes every refresh token equal to `secret`, which the sign-in service refuses permanently. The account and all
/// other entries stay; the user must sign in again.
///
/// # Errors
/// `Damaged` if `content` is not a token cache.
///
/// ```
/// use tokenkeep::schema::remove_refresh_token;
///
/// let cache = br#"{"RefreshToken":{"a":{"secret":"spent"},"b":{"secret":"good"}}}"#;
/// let removal = remove_refresh_token(cache, b"spent")?;
/// assert_eq!(removal.content.expose(), br#"{"RefreshToken":{"b":{"secret":"good"}}}"#);
/// # Ok::<(), tokenkeep::Error>(())
/// ```
pub fn remove_refresh_token(content: &[u8], secret: &[u8]) -> Result<Removal> {
    remove(content, |section, entry| {
        section == Section::RefreshToken
            && entry.value.member("secret").and_then(Value::text).is_some_and(|text| *text == *secret)
    })
}

/// Removes the access tokens for which `goes` returns true.
///
/// # Errors
/// `Damaged` if `content` is not a token cache.
///
/// ```
/// use tokenkeep::schema::remove_access_tokens;
///
/// let cache = br#"{"AccessToken":{"a":{"client_id":"mine"},"b":{"client_id":"other"}}}"#;
/// let removal = remove_access_tokens(cache, |token| token.client_id().as_deref() == Some("mine"))?;
/// assert_eq!(removal.content.expose(), br#"{"AccessToken":{"b":{"client_id":"other"}}}"#);
/// # Ok::<(), tokenkeep::Error>(())
/// ```
pub fn remove_access_tokens(content: &[u8], goes: impl Fn(&AccessToken<'_>) -> bool) -> Result<Removal> {
    remove(content, |section, entry| section == Section::AccessToken && goes(&AccessToken(Fields::of(entry))))
}

/// Removes the entries for which `goes` returns true, in any section.
///
/// # Errors
/// `Damaged` if `content` is not a token cache.
///
/// ```
/// use tokenkeep::schema::{Section, remove_entries};
///
/// let cache = br#"{"Account":{"a":{"username":"ada"}},"RefreshToken":{"r":{"secret":"s"}}}"#;
/// let is_ada = |section, name: Option<&str>| section == Section::Account && name == Some("ada");
/// let removal = remove_entries(cache, |section, entry| is_ada(section, entry.username().as_deref()))?;
/// assert_eq!(removal.content.expose(), br#"{"Account":{},"RefreshToken":{"r":{"secret":"s"}}}"#);
/// # Ok::<(), tokenkeep::Error>(())
/// ```
pub fn remove_entries(content: &[u8], goes: impl Fn(Section, &AnyEntry<'_>) -> bool) -> Result<Removal> {
    remove(content, |section, entry| goes(section, &AnyEntry(Fields::of(entry))))
}

pub(super) fn remove(content: &[u8], mut goes: impl FnMut(Section, &Entry<'_>) -> bool) -> Result<Removal> {
    let document = Document::parse(content).map_err(super::damaged)?;
    let mut removed = 0;
    let mut output = Output::default();
    output.open();
    for member in &document.root.entries {
        let section = Section::named(&member.key);
        let entries = section.map_or(&[][..], |section| document.entries(section));
        let stays = |entry: &&Entry<'_>| section.is_none_or(|section| !goes(section, entry));
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
