//! The token cache of the MSAL libraries, as JSON text: views of its entries, adding and removing them, merging, telling
//! whole from torn.
//!
//! Pure functions over bytes; nothing here reads or writes a store. All of the libraries (JavaScript, Python, .NET,
//! Java, Go) keep one object with five [sections](Section) of entries under keys of their own making. What this module
//! does not know is kept byte for byte: sections, fields and whole entries that a newer library may have added. Strings
//! and numbers are never rewritten, because some readers (.NET, Go) refuse a cache in which a value changed its type.
//!
//! A byte order mark is accepted in front of a text, since .NET programs easily produce one, but never written;
//! [`without_bom`] removes it for clients whose own parser refuses it.

mod clouds;
mod document;
mod fields;
mod json;
mod keys;
mod meaning;
mod merge;
mod output;
mod put;
mod record;
mod removal;
mod union;
mod view;

use std::fmt;

pub use clouds::{cache_environment, is_same_cloud};
pub use merge::{Change, Merged, merge};
pub use put::put;
pub use record::{Ids, Record};
pub use removal::{Removal, remove_access_tokens, remove_account, remove_refresh_token};
pub(crate) use union::unite;
pub use view::{AccessToken, Account, AppMetadata, Contents, IdToken, RefreshToken};

use json::Walker;

use crate::{Error, ErrorKind};

/// A part of the cache whose entries are understood.
///
/// ```
/// use tokenkeep::schema::Section;
///
/// assert_eq!(Section::ALL.map(Section::name), ["AccessToken", "RefreshToken", "IdToken", "Account", "AppMetadata"]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Section {
    /// Access tokens, short-lived.
    AccessToken,
    /// Refresh tokens: the sign-in itself.
    RefreshToken,
    /// ID tokens: who signed in.
    IdToken,
    /// The accounts that are signed in.
    Account,
    /// What is known of the applications sharing the cache.
    AppMetadata,
}

impl Section {
    /// Every section, in the order most libraries write them.
    pub const ALL: [Self; 5] =
        [Self::AccessToken, Self::RefreshToken, Self::IdToken, Self::Account, Self::AppMetadata];

    /// The name of the section in the cache.
    pub fn name(self) -> &'static str {
        match self {
            Self::AccessToken => "AccessToken",
            Self::RefreshToken => "RefreshToken",
            Self::IdToken => "IdToken",
            Self::Account => "Account",
            Self::AppMetadata => "AppMetadata",
        }
    }

    fn named(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|section| section.name().as_bytes() == name)
    }

    fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether `content` is a token cache: a JSON object with at least one known [`Section`], each an object (or `null`,
/// which every library reads as an empty one). The empty object counts.
///
/// Anything else is opaque to this library, even if it is JSON: it is stored and replaced as a whole.
///
/// ```
/// use tokenkeep::schema::is_msal_cache;
///
/// assert!(is_msal_cache(b"{}") && is_msal_cache(br#"{"Account":null,"Future":[1]}"#));
/// assert!(!is_msal_cache(br#"{"Future":[1]}"#) && !is_msal_cache(b"[]"));
/// ```
pub fn is_msal_cache(content: &[u8]) -> bool {
    document::is_msal_cache(content)
}

/// Whether `content` can be all of what was written. Content that begins like a JSON object must be one object, complete
/// and followed by nothing; other content, whose end cannot be known, counts as whole.
///
/// Meant for what was read while somebody may have been writing: a part of a cache, or the beginning of one with the
/// rest of another, is not whole. Costs about a millisecond for 3 MB.
///
/// ```
/// use tokenkeep::schema::is_whole;
///
/// assert!(is_whole(br#"{"Account":{}}"#) && !is_whole(br#"{"Account":{"#));
/// assert!(is_whole(b"not JSON: nobody can tell"));
/// ```
pub fn is_whole(content: &[u8]) -> bool {
    let mut walker = Walker::new(without_bom(content));
    walker.peek() != Some(b'{') || walker.value().and_then(|_| walker.end()).is_ok()
}

/// The key of every entry of the cache, section by section; none for content that is no token cache.
///
/// For clients that hold entries in memory by their keys and have to find out which of them are gone.
///
/// ```
/// let keys = tokenkeep::schema::entry_keys(br#"{"Account":{"a":{}},"IdToken":{"b":{}}}"#);
/// assert_eq!(keys, ["b", "a"]);
/// ```
pub fn entry_keys(content: &[u8]) -> Vec<String> {
    let Ok(document) = document::Document::parse(content) else { return Vec::new() };
    let entries = Section::ALL.into_iter().flat_map(|section| document.entries(section));
    entries.map(|entry| String::from_utf8_lossy(&entry.key).into_owned()).collect()
}

/// Whether nothing is stored in `content`: no bytes but white space, or the empty object, which a marker file holds.
pub(crate) fn is_vacant(content: &[u8]) -> bool {
    let content = without_bom(content).trim_ascii();
    content.is_empty() || content == b"{}"
}

/// `content` without the byte order mark it may begin with.
///
/// ```
/// use tokenkeep::schema::without_bom;
///
/// assert_eq!(without_bom(b"\xEF\xBB\xBF{}"), b"{}"); // as .NET programs write it
/// assert_eq!(without_bom(b"{}"), b"{}");
/// ```
pub fn without_bom(content: &[u8]) -> &[u8] {
    content.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(content)
}

fn damaged(refusal: document::Refusal) -> Error {
    Error::new(ErrorKind::Damaged, "the stored token cache is damaged").because(refusal)
}
