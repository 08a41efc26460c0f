//! One entry to be stored, as every library accepts it.
//!
//! All values are strings, times too: .NET throws at a number and then clears the whole cache, Go refuses an empty time.

use std::borrow::Cow;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use zeroize::Zeroizing;

use super::Section;
use super::keys::Parts;
use crate::Secret;

/// Whose entry, for which application, in which cloud and tenant. What does not apply is left empty.
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
    /// Object id, a point, home tenant id. Empty for tokens of the app itself.
    pub home_account_id: &'a str,
    /// The host of the cloud, best as [`cache_environment`](super::cache_environment) has it.
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
    /// Beside identity and secret, in the order they are written.
    fields: Vec<(&'static str, Cow<'a, str>)>,
}

impl<'a> Record<'a> {
    /// A plain bearer token, good for `scopes` from `cached_at` until `expires_on`. Fractions of seconds are cut off.
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
            // Python and Go expect it to be there.
            .time("extended_expires_on", expires_on)
    }

    /// The refresh token of a client, and of its family if it belongs to one.
    pub fn refresh_token(ids: Ids<'a>, family_id: Option<&'a str>, secret: impl Into<Secret>) -> Self {
        let record = Self::new(Section::RefreshToken, ids).with_secret(secret.into());
        Self { family_id: family_id.unwrap_or_default(), ..record }
    }

    /// An ID token.
    pub fn id_token(ids: Ids<'a>, secret: impl Into<Secret>) -> Self {
        Self::new(Section::IdToken, ids).with_secret(secret.into())
    }

    /// An account: `local_account_id` is the object id in the tenant, `username` what the person signs in with.
    pub fn account(ids: Ids<'a>, local_account_id: &'a str, username: &'a str) -> Self {
        Self::new(Section::Account, ids)
            .field("local_account_id", local_account_id)
            .field("username", username)
            .field("authority_type", "MSSTS")
    }

    /// What is known of the application: the family it belongs to, or that it belongs to none.
    pub fn app_metadata(ids: Ids<'a>, family_id: Option<&'a str>) -> Self {
        Self { family_id: family_id.unwrap_or_default(), ..Self::new(Section::AppMetadata, ids) }
    }

    /// From when on an access token should be replaced, although it is still good.
    #[must_use]
    pub fn refresh_on(self, time: SystemTime) -> Self {
        self.time("refresh_on", time)
    }

    /// Until when services accept an access token while the sign-in service is down. Default: until it expires.
    #[must_use]
    pub fn extended_expires_on(self, time: SystemTime) -> Self {
        self.time("extended_expires_on", time)
    }

    /// One more field, as text: `name` and `client_info` of an account, say. Replaces what it had.
    #[must_use]
    pub fn field(mut self, name: &'static str, text: impl Into<Cow<'a, str>>) -> Self {
        let text = text.into();
        match self.fields.iter_mut().find(|field| field.0 == name) {
            Some(field) => field.1 = text,
            None => self.fields.push((name, text)),
        }
        self
    }

    /// Which section it belongs into.
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

    /// What the entry is found by: written once, and left alone when it is there.
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

    /// What the entry says: replaced when it is there. As JSON strings, in memory that is wiped.
    pub(super) fn values(&self) -> Vec<(&'static str, Zeroizing<Vec<u8>>)> {
        let mut values: Vec<_> =
            self.secret.iter().map(|secret| ("secret", quoted(secret.expose()))).collect();
        if self.section == Section::AppMetadata || !self.family_id.is_empty() {
            values.push(("family_id", quoted(self.family_id.as_bytes())));
        }
        values.extend(self.fields.iter().map(|(name, text)| (*name, quoted(text.as_bytes()))));
        values
    }

    /// The members a library may have written of which this record says nothing, and which would be wrong from now on.
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

/// `text` as a JSON string in plain ASCII: Python writes files in the encoding of the machine. What is not UTF-8 is
/// replaced, because no JSON can hold it.
pub(super) fn quoted(text: &[u8]) -> Zeroizing<Vec<u8>> {
    // No escape is longer than six bytes, so the buffer never grows and leaves no copy behind.
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
