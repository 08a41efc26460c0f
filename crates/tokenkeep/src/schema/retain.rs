//! Keeps the entries of one owner, for records that several servers share.

use std::borrow::Cow;
use std::time::SystemTime;

use super::Section;
use super::fields::Fields;
use super::removal::remove;
use crate::{Result, Secret};

/// An entry, as far as its owner and its end are concerned.
pub(crate) struct Owned<'c> {
    section: Section,
    fields: Fields<'c>,
}

impl<'c> Owned<'c> {
    /// Returns the home account id, empty if there is none; `None` for the metadata of an app, which has no owner.
    pub(crate) fn account(&self) -> Option<Cow<'c, str>> {
        let account = self.fields.text(&["home_account_id"]).unwrap_or_default();
        (self.section != Section::AppMetadata).then_some(account)
    }

    /// Returns the hash of the assertion that the token was issued for.
    pub(crate) fn assertion(&self) -> Option<Cow<'c, str>> {
        self.fields.text(&["user_assertion_hash", "userAssertionHash"])
    }

    /// Returns when an access token ends.
    pub(crate) fn expires_on(&self) -> Option<SystemTime> {
        self.fields.time(&["expires_on"]).filter(|_| self.is_access_token())
    }

    pub(crate) fn is_access_token(&self) -> bool {
        self.section == Section::AccessToken
    }

    pub(crate) fn is_refresh_token(&self) -> bool {
        self.section == Section::RefreshToken
    }
}

/// Returns the cache with the entries for which `stays` returns true, each byte for byte.
pub(crate) fn retain(content: &[u8], mut stays: impl FnMut(&Owned<'_>) -> bool) -> Result<Secret> {
    let removal = remove(content, |section, entry| !stays(&Owned { section, fields: Fields::of(entry) }))?;
    Ok(removal.content)
}
