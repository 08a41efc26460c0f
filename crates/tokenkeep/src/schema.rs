//! The token cache of the MSAL libraries as JSON text: views of its entries, adding and removing entries, merging,
//! and telling whole from truncated content.
//!
//! Pure functions over bytes; nothing here reads or writes a store. All of the libraries (JavaScript, Python, .NET,
//! Java, Go) keep one object with five [sections](Section) of entries under keys of their own making. Unknown parts
//! are kept byte for byte: sections, fields and whole entries that a newer library may have added. Strings and
//! numbers are never rewritten, because some readers (.NET, Go) refuse a cache in which a value changed its type.
//!
//! A byte order mark at the start of a text is accepted, because .NET programs easily write one, but never written;
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
#[cfg(feature = "record")]
mod retain;
mod union;
mod view;

use std::fmt;

pub use clouds::{cache_environment, is_same_cloud};
pub use merge::{Change, Merged, merge};
pub use put::put;
pub use record::{Ids, Record};
pub use removal::{Removal, remove_access_tokens, remove_account, remove_entries, remove_refresh_token};
#[cfg(feature = "record")]
pub(crate) use retain::{Owned, retain};
pub(crate) use union::unite;
pub use view::{AccessToken, Account, AnyEntry, AppMetadata, Contents, IdToken, RefreshToken};

use json::Walker;

use crate::{Error, ErrorKind};

/// A known section of the cache.
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
    /// Refresh tokens, which give new access tokens.
    RefreshToken,
    /// ID tokens, with the identity of the user.
    IdToken,
    /// The accounts that are signed in.
    Account,
    /// The metadata of the applications that share the cache.
    AppMetadata,
}

impl Section {
    /// Every section, in the order of most libraries.
    pub const ALL: [Self; 5] =
        [Self::AccessToken, Self::RefreshToken, Self::IdToken, Self::Account, Self::AppMetadata];

    /// Returns the name of the section in the cache.
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

/// Returns whether `content` is a token cache: a JSON object with at least one known [`Section`], each an object (or
/// `null`, which every library reads as an empty one). The empty object counts.
///
/// Other content is opaque to this library, even if it is JSON: it is stored and replaced as a whole.
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

/// Returns whether `content` can be complete. Content that begins like a JSON object must be one complete object with
/// nothing after it; other content, whose end is unknown, counts as whole.
///
/// For content read while another program may have been writing: a part of a cache, or the beginning of one with the
/// rest of another, is not whole. Takes about a millisecond for 3 MB.
///
/// ```
/// use tokenkeep::schema::is_whole;
///
/// assert!(is_whole(br#"{"Account":{}}"#) && !is_whole(br#"{"Account":{"#));
/// assert!(is_whole(b"not JSON: its end is unknown"));
/// ```
pub fn is_whole(content: &[u8]) -> bool {
    let mut walker = Walker::new(without_bom(content));
    walker.peek() != Some(b'{') || walker.value().and_then(|_| walker.end()).is_ok()
}

/// Returns the key of every entry of the cache, section by section; none for content that is not a token cache.
///
/// For clients that hold entries in memory by their keys and must find the removed ones. In UTF-16, because JSON allows half
/// of a surrogate pair in a key, which UTF-8 has no form for: different keys stay different.
///
/// ```
/// let keys = tokenkeep::schema::entry_keys(br#"{"Account":{"a":{}},"IdToken":{"b\ud800":{}}}"#);
/// assert_eq!(keys, [vec![u16::from(b'b'), 0xd800], vec![u16::from(b'a')]]);
/// ```
pub fn entry_keys(content: &[u8]) -> Vec<Vec<u16>> {
    let Ok(document) = document::Document::parse(content) else { return Vec::new() };
    let entries = Section::ALL.into_iter().flat_map(|section| document.entries(section));
    entries.map(|entry| meaning::utf16(&entry.key)).collect()
}

/// Returns whether both caches have an entry under the same key. The metadata of an application does not count: every
/// sign-in writes it.
pub(crate) fn shares_an_entry(one: &[u8], other: &[u8]) -> bool {
    let (Ok(one), Ok(other)) = (document::Document::parse(one), document::Document::parse(other)) else {
        return false;
    };
    let sections = Section::ALL.into_iter().filter(|section| *section != Section::AppMetadata);
    sections.into_iter().any(|section| {
        let keys: std::collections::HashSet<_> =
            one.entries(section).iter().map(|entry| &entry.key).collect();
        other.entries(section).iter().any(|entry| keys.contains(&entry.key))
    })
}

/// Returns whether `content` is empty: only white space, or the empty object of a marker file.
pub(crate) fn is_vacant(content: &[u8]) -> bool {
    let content = without_bom(content).trim_ascii();
    content.is_empty() || content == b"{}"
}

/// Returns `content` without a leading byte order mark.
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
