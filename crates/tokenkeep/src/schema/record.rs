//! One entry to store, in a form that every library accepts.
//!
//! All values are strings, also times: .NET throws at a number and then clears the whole cache; Go refuses an empty
//! time.

use std::borrow::Cow;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

use super::Section;
use super::keys::Parts;
use crate::Secret;

/// The owner, application, cloud and tenant of an entry. Leave inapplicable fields empty.
///
/// ```
/// use tokenkeep::schema::{Ids, cache_environment};
///
/// let ids = Ids {
///     home_account_id: "uid.utid",
///     environment: cache_environment("login.microsoftonline.com"),
///     client_id: "11111111-aaaa-4aaa-8aaa-000000000001",
///     realm: "utid",
/// };
/// assert_eq!(ids.environment, "login.windows.net");
/// let of_the_app_itself = Ids { home_account_id: "", ..ids };
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Ids<'a> {
    /// Object id, a dot, home tenant id. Empty for tokens of the app itself.
    pub home_account_id: &'a str,
    /// The host of the cloud; use [`cache_environment`](super::cache_environment).
    pub environment: &'a str,
    /// The application.
    pub client_id: &'a str,
    /// The tenant. Not used by refresh tokens.
    pub realm: &'a str,
}

/// An entry to be [put](super::put) into a cache.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tokenkeep::schema::{Contents, Ids, Record, Section, put};
///
/// let ids = Ids { home_account_id: "uid.utid", environment: "login.windows.net", client_id: "app", realm: "utid" };
/// let now = SystemTime::now();
/// let hour = Duration::from_secs(3600);
/// let records = [
///     Record::access_token(ids, &["User.Read"], "the access token", now, now + hour)
///         .refresh_on(now + hour / 2)
///         .extended_expires_on(now + 2 * hour),
///     Record::refresh_token(ids, None, "the refresh token"),
///     Record::id_token(ids, "header.claims.signature"),
///     Record::account(ids, "uid", "ada@example.com").field("name", "Ada"),
///     Record::app_metadata(ids, None),
/// ];
/// assert_eq!(records.each_ref().map(Record::section), Section::ALL);
/// let cache = put(None, &records)?;
/// assert_eq!(Contents::parse(cache.expose())?.accounts().count(), 1);
/// # Ok::<(), tokenkeep::Error>(())
/// ```
#[derive(Clone)]
pub struct Record<'a> {
    section: Section,
    ids: Ids<'a>,
    target: Cow<'a, str>,
    family_id: &'a str,
    secret: Option<Secret>,
    /// The values beside identity and secret, in the order of output.
    fields: Vec<(&'static str, Cow<'a, str>)>,
}

impl<'a> Record<'a> {
    /// A plain bearer token, valid for `scopes` from `cached_at` until `expires_on`. Fractions of seconds are
    /// dropped.
    pub fn access_token(
        ids: Ids<'a>,
        scopes: &[&str],
        secret: impl Into<Secret>,
        cached_at: SystemTime,
        expires_on: SystemTime,
    ) -> Self {
        let record = Self::new(Section::AccessToken, ids).with_secret(secret.into());
        let record = Self { target: Cow::Owned(scopes.join(" ")), ..record };
        record
            .field("token_type", "Bearer")
            .time("cached_at", cached_at)
            .time("expires_on", expires_on)
            // Python and Go require this field.
            .time("extended_expires_on", expires_on)
    }

    /// The refresh token of a client, and of its family if it has one.
    pub fn refresh_token(ids: Ids<'a>, family_id: Option<&'a str>, secret: impl Into<Secret>) -> Self {
        let record = Self::new(Section::RefreshToken, ids).with_secret(secret.into());
        Self { family_id: family_id.unwrap_or_default(), ..record }
    }

    /// An ID token.
    pub fn id_token(ids: Ids<'a>, secret: impl Into<Secret>) -> Self {
        Self::new(Section::IdToken, ids).with_secret(secret.into())
    }

    /// An account: `local_account_id` is the object id in the tenant, `username` the name with which the user signs
    /// in.
    pub fn account(ids: Ids<'a>, local_account_id: &'a str, username: &'a str) -> Self {
        Self::new(Section::Account, ids)
            .field("local_account_id", local_account_id)
            .field("username", username)
            .field("authority_type", "MSSTS")
    }

    /// The metadata of an application: its family, or that it has none.
    pub fn app_metadata(ids: Ids<'a>, family_id: Option<&'a str>) -> Self {
        Self { family_id: family_id.unwrap_or_default(), ..Self::new(Section::AppMetadata, ids) }
    }

    /// Sets the time at which an access token should be replaced, although it is still valid.
    #[must_use]
    pub fn refresh_on(self, time: SystemTime) -> Self {
        self.time("refresh_on", time)
    }

    /// Sets the time until which services accept an access token while the sign-in service is down. Default: its
    /// expiry.
    #[must_use]
    pub fn extended_expires_on(self, time: SystemTime) -> Self {
        self.time("extended_expires_on", time)
    }

    /// Sets another field as text, for example `name` and `client_info` of an account. Replaces an earlier value.
    #[must_use]
    pub fn field(mut self, name: &'static str, text: impl Into<Cow<'a, str>>) -> Self {
        let text = text.into();
        match self.fields.iter_mut().find(|field| field.0 == name) {
            Some(field) => field.1 = text,
            None => self.fields.push((name, text)),
        }
        self
    }

    /// Returns the section of the entry.
    pub fn section(&self) -> Section {
        self.section
    }

    fn new(section: Section, ids: Ids<'a>) -> Self {
        Self { section, ids, target: Cow::Borrowed(""), family_id: "", secret: None, fields: Vec::new() }
    }

    fn with_secret(self, secret: Secret) -> Self {
        Self { secret: Some(secret), ..self }
    }

    fn time(self, name: &'static str, time: SystemTime) -> Self {
        let seconds = time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        self.field(name, seconds.to_string())
    }

    pub(super) fn parts(&self) -> Parts<'_> {
        Parts {
            section: self.section,
            home_account_id: Cow::Borrowed(self.ids.home_account_id),
            environment: Cow::Borrowed(self.ids.environment),
            client_id: Cow::Borrowed(self.ids.client_id),
            family_id: Cow::Borrowed(self.family_id),
            realm: Cow::Borrowed(self.ids.realm),
            target: Cow::Borrowed(&self.target),
            special: false,
        }
    }

    /// Returns the identity of the entry: written once and kept in an existing entry.
    pub(super) fn identity(&self) -> Vec<(&'static str, &str)> {
        let Ids { home_account_id, environment, client_id, realm } = self.ids;
        let home = ("home_account_id", home_account_id);
        let environment = ("environment", environment);
        let client = ("client_id", client_id);
        let realm = ("realm", realm);
        match self.section {
            Section::AccessToken => {
                let kind = ("credential_type", "AccessToken");
                vec![home, environment, client, kind, realm, ("target", &*self.target)]
            }
            Section::RefreshToken => vec![home, environment, client, ("credential_type", "RefreshToken")],
            Section::IdToken => vec![home, environment, client, ("credential_type", "IdToken"), realm],
            Section::Account => vec![home, environment, realm],
            Section::AppMetadata => vec![environment, client],
        }
    }

    /// Returns the values of the entry, which replace those of an existing one. As JSON strings, in memory that is
    /// wiped.
    pub(super) fn values(&self) -> Vec<(&'static str, Zeroizing<Vec<u8>>)> {
        let mut values: Vec<_> =
            self.secret.iter().map(|secret| ("secret", quoted(secret.expose()))).collect();
        if self.section == Section::AppMetadata || !self.family_id.is_empty() {
            values.push(("family_id", quoted(self.family_id.as_bytes())));
        }
        values.extend(self.fields.iter().map(|(name, text)| (*name, quoted(text.as_bytes()))));
        values
    }

    /// Returns members that another library may have written and that would be wrong with the new values.
    pub(super) fn outdated(&self) -> &'static [&'static str] {
        match self.section {
            Section::AccessToken => &["refresh_on", "ext_expires_on"],
            _ => &[],
        }
    }
}

impl fmt::Debug for Record<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record")
            .field("section", &self.section)
            .field("ids", &self.ids)
            .field("target", &self.target)
            .field("secret", &self.secret)
            .field("fields", &self.fields)
            .finish()
    }
}

/// Encodes `text` as a JSON string in plain ASCII, because Python writes files in the machine's encoding. Bytes that
/// are not UTF-8 are replaced, because JSON cannot hold them.
pub(super) fn quoted(text: &[u8]) -> Zeroizing<Vec<u8>> {
    // No escape is longer than six bytes, so the buffer never grows and leaves no copy.
    let mut json = Zeroizing::new(Vec::with_capacity(2 + 6 * text.len()));
    json.push(b'"');
    for chunk in text.utf8_chunks() {
        let bad = if chunk.invalid().is_empty() { None } else { Some(char::REPLACEMENT_CHARACTER) };
        for character in chunk.valid().chars().chain(bad) {
            match character {
                '"' | '\\' => json.extend_from_slice(&[b'\\', character as u8]),
                ' '..='~' => json.push(character as u8),
                _ => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        json.extend_from_slice(b"\\u");
                        let digit = |shift: u32| b"0123456789abcdef"[usize::from(*unit >> shift & 0xF)];
                        json.extend_from_slice(&[12, 8, 4, 0].map(digit));
                    }
                }
            }
        }
    }
    json.push(b'"');
    json
}
