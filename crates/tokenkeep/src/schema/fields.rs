//! The fields of an entry, under all names that the libraries give them.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use super::document::Entry;
use super::meaning::Value;
use crate::Secret;

/// One entry of a section: its key and its members.
#[derive(Clone, Copy)]
pub(super) struct Fields<'c> {
    key: &'c [u8],
    value: Value<'c>,
}

impl<'c> Fields<'c> {
    pub(super) fn of(entry: &'c Entry<'c>) -> Self {
        Self { key: &entry.key, value: entry.value }
    }

    pub(super) fn key(self) -> Cow<'c, str> {
        String::from_utf8_lossy(self.key)
    }

    /// Returns the text of the first of `names` that has one. Numbers are returned as written. `null`, an empty text
    /// and a missing field count as absent, because the libraries write each of them for "none".
    pub(super) fn text(self, names: &[&str]) -> Option<Cow<'c, str>> {
        names.iter().find_map(|name| {
            let value = self.value.member(name)?;
            let text = match value.text() {
                Some(Cow::Borrowed(text)) => String::from_utf8_lossy(text),
                // A lone surrogate, which no `str` can hold, is replaced; the result is never compared.
                Some(Cow::Owned(text)) => Cow::Owned(String::from_utf8_lossy(&text).into_owned()),
                None if matches!(value.0.first(), Some(b'-' | b'0'..=b'9')) => {
                    String::from_utf8_lossy(value.0)
                }
                None => return None,
            };
            (!text.is_empty()).then_some(text)
        })
    }

    /// Returns the token itself, in memory that is wiped.
    pub(super) fn secret(self) -> Option<Secret> {
        let secret = self.value.member("secret")?.text()?;
        (!secret.is_empty()).then(|| Secret::new(secret.into_owned()))
    }

    /// Returns a time, which the libraries write as seconds since the epoch in a string.
    pub(super) fn time(self, names: &[&str]) -> Option<SystemTime> {
        let seconds = names.iter().find_map(|name| self.value.member(name)?.seconds())?;
        SystemTime::UNIX_EPOCH.checked_add(Duration::try_from_secs_f64(seconds).ok()?)
    }

    pub(super) fn has(self, name: &str) -> bool {
        self.value.member(name).is_some_and(|value| !matches!(value.0, b"null" | b"\"\"" | b"{}"))
    }
}
