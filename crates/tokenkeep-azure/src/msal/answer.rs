//! The answers of the sign-in service.

use std::time::{Duration, SystemTime};

use azure_core::base64;
use azure_core::json;
use serde::{Deserialize, Deserializer};
use tokenkeep::Secret;
use tokenkeep::inspect::printable;

use crate::moment;

/// Tokens as the service sends them.
#[derive(Deserialize)]
pub(super) struct Tokens {
    access_token: Text,
    #[serde(default)]
    refresh_token: Option<Text>,
    #[serde(default)]
    id_token: Option<Text>,
    #[serde(default)]
    client_info: Option<String>,
    /// The family of applications that may redeem the refresh token.
    #[serde(default)]
    foci: Option<String>,
    #[serde(default)]
    scope: Option<String>,
    /// Without one that can be understood the token counts as expired: the refresh token beside it is worth more.
    #[serde(default, deserialize_with = "maybe_seconds")]
    expires_in: Option<Duration>,
    #[serde(default, deserialize_with = "maybe_seconds")]
    ext_expires_in: Option<Duration>,
    #[serde(default, deserialize_with = "maybe_seconds")]
    refresh_in: Option<Duration>,
}

/// A text that is wiped when dropped.
struct Text(Secret);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::from(text)))
    }
}

/// A number, or a string with a number: the service sends both. Anything else counts as absent.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(f64),
    Text(String),
    Other(serde::de::IgnoredAny),
}

pub(super) fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    maybe_seconds(deserializer)?.ok_or_else(|| serde::de::Error::custom("it is not a number of seconds"))
}

fn maybe_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let seconds = match Option::<Seconds>::deserialize(deserializer)? {
        Some(Seconds::Number(number)) => Some(number),
        Some(Seconds::Text(text)) => text.trim().parse().ok(),
        Some(Seconds::Other(_)) | None => None,
    };
    Ok(seconds.filter(|seconds| !seconds.is_nan()).map(moment::lifetime))
}

/// An error answer of the service.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Refusal {
    #[serde(default)]
    pub(super) error: String,
    #[serde(default)]
    pub(super) error_description: String,
    #[serde(default)]
    pub(super) suberror: String,
}

impl Refusal {
    /// Returns whether the user must act.
    pub(super) fn wants_interaction(&self) -> bool {
        matches!(
            &*self.error,
            "invalid_grant" | "interaction_required" | "consent_required" | "login_required"
        )
    }

    /// Returns whether the refresh token is useless from now on. Some refusals of Entra ID with the same code concern
    /// the user (a second factor, a changed policy) and leave the token valid; they have another sub-error.
    pub(super) fn is_of_the_token(&self) -> bool {
        self.error == "invalid_grant" && matches!(&*self.suberror, "" | "bad_token" | "token_expired")
    }

    /// Formats the error for the user, without parts that may be long or malformed.
    pub(super) fn explain(&self) -> String {
        let first = self.error_description.lines().next().unwrap_or_default();
        match first {
            "" => printable(&self.error),
            first => format!("{}: {}", printable(&self.error), printable(first)),
        }
    }
}

/// The parsed result of a sign-in or a refresh.
pub(super) struct SignIn {
    pub(super) access_token: Secret,
    pub(super) refresh_token: Option<Secret>,
    pub(super) id_token: Option<Secret>,
    pub(super) family_id: Option<String>,
    pub(super) scope: Option<String>,
    pub(super) client_info: Option<String>,
    /// By this machine's clock: all times count from the moment of the request, so that the service's clock does not
    /// matter.
    pub(super) obtained: SystemTime,
    pub(super) expires: SystemTime,
    pub(super) extended_expires: Option<SystemTime>,
    pub(super) refresh: Option<SystemTime>,
    pub(super) person: Option<Person>,
}

/// The user who signed in.
pub(super) struct Person {
    pub(super) home_account_id: String,
    pub(super) local_account_id: String,
    pub(super) tenant_id: String,
    pub(super) username: String,
    pub(super) name: Option<String>,
}

/// The claims of an ID token that name a user.
#[derive(Default, Deserialize)]
struct Claims {
    oid: Option<String>,
    sub: Option<String>,
    tid: Option<String>,
    preferred_username: Option<String>,
    upn: Option<String>,
    email: Option<String>,
    name: Option<String>,
}

/// The account, by its home tenant.
#[derive(Deserialize)]
struct ClientInfo {
    uid: String,
    utid: String,
}

impl Tokens {
    pub(super) fn understand(self, obtained: SystemTime) -> SignIn {
        let person = self.person();
        let after = |duration| obtained.checked_add(duration).unwrap_or(obtained);
        SignIn {
            access_token: self.access_token.0,
            refresh_token: self.refresh_token.map(|text| text.0),
            id_token: self.id_token.map(|text| text.0),
            family_id: self.foci.filter(|family| !family.is_empty()),
            scope: self.scope.filter(|scope| !scope.trim().is_empty()),
            client_info: self.client_info,
            obtained,
            expires: after(self.expires_in.unwrap_or_default()),
            extended_expires: self.ext_expires_in.map(after),
            refresh: self.refresh_in.map(after),
            person,
        }
    }

    /// Returns `None` if the service does not name the user. The ID token is not verified: it comes from the service
    /// itself over TLS, and serves only to show a name and to find the account again.
    fn person(&self) -> Option<Person> {
        let claims: Claims =
            self.id_token.as_ref().and_then(|token| claims(token.0.expose())).unwrap_or_default();
        let info: Option<ClientInfo> = self.client_info.as_ref().and_then(|info| decoded(info.as_bytes()));
        let object = claims.oid.or(claims.sub);
        let (uid, utid) = match info {
            Some(info) => (info.uid, info.utid),
            None => (object.clone()?, claims.tid.clone()?),
        };
        let username = claims.preferred_username.or(claims.upn).or(claims.email);
        Some(Person {
            home_account_id: format!("{uid}.{utid}"),
            local_account_id: object.unwrap_or(uid),
            tenant_id: claims.tid.unwrap_or(utid),
            username: username.unwrap_or_default(),
            name: claims.name,
        })
    }
}

fn claims(token: &[u8]) -> Option<Claims> {
    decoded(token.split(|byte| *byte == b'.').nth(1)?)
}

fn decoded<T: serde::de::DeserializeOwned>(part: &[u8]) -> Option<T> {
    let text: Vec<u8> = part.iter().copied().filter(|byte| *byte != b'=').collect();
    json::from_json(base64::decode_url_safe(text).ok()?).ok()
}
