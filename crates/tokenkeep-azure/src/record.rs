//! Names an account, without a secret, for a program's settings.

use std::borrow::Cow;

use azure_core::error::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

/// Names an account of a cache. It holds no secret and can be kept in a settings file: its JSON is that of the
/// authentication records of the Azure SDKs for other languages.
///
/// ```
/// use tokenkeep_azure::AuthenticationRecord;
///
/// let text = r#"{"authority":"login.microsoftonline.com","clientId":"app","homeAccountId":"uid.utid",
///     "tenantId":"utid","username":"ada@example.com","version":"1.0"}"#;
/// let record = AuthenticationRecord::from_json(text)?;
/// assert_eq!(record.username(), "ada@example.com");
/// assert_eq!((record.home_account_id(), record.tenant_id()), ("uid.utid", "utid"));
/// assert_eq!((record.client_id(), record.authority()), ("app", "login.microsoftonline.com"));
/// assert_eq!(AuthenticationRecord::from_json(&record.to_json()?)?, record);
/// # azure_core::Result::Ok(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AuthenticationRecord {
    pub(crate) authority: String,
    pub(crate) client_id: String,
    pub(crate) home_account_id: String,
    pub(crate) tenant_id: String,
    pub(crate) username: String,
}

/// The record as JSON. A separate type, so that the public type does not implement `serde`'s traits.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written<'a> {
    authority: Cow<'a, str>,
    client_id: Cow<'a, str>,
    home_account_id: Cow<'a, str>,
    tenant_id: Cow<'a, str>,
    username: Cow<'a, str>,
    version: Version,
}

#[derive(Serialize, Deserialize)]
enum Version {
    #[serde(rename = "1.0")]
    V1,
}

impl AuthenticationRecord {
    pub(crate) fn new(
        authority: &str,
        client_id: &str,
        home_account_id: &str,
        tenant_id: &str,
        username: &str,
    ) -> Self {
        Self {
            authority: authority.to_owned(),
            client_id: client_id.to_owned(),
            home_account_id: home_account_id.to_owned(),
            tenant_id: tenant_id.to_owned(),
            username: username.to_owned(),
        }
    }

    /// Parses the JSON of [`AuthenticationRecord::to_json`] or of another Azure SDK.
    ///
    /// # Errors
    /// `DataConversion` if the text is not a record of version 1.0.
    pub fn from_json(text: &str) -> azure_core::Result<Self> {
        let written: Written<'_> = azure_core::json::from_json(text).map_err(|error| {
            Error::with_error(ErrorKind::DataConversion, error, "this is not an authentication record 1.0")
        })?;
        Ok(Self {
            authority: written.authority.into_owned(),
            client_id: written.client_id.into_owned(),
            home_account_id: written.home_account_id.into_owned(),
            tenant_id: written.tenant_id.into_owned(),
            username: written.username.into_owned(),
        })
    }

    /// Returns the record as JSON, for a settings file.
    ///
    /// # Errors
    /// `DataConversion`; none is known.
    pub fn to_json(&self) -> azure_core::Result<String> {
        let written = Written {
            authority: Cow::Borrowed(&self.authority),
            client_id: Cow::Borrowed(&self.client_id),
            home_account_id: Cow::Borrowed(&self.home_account_id),
            tenant_id: Cow::Borrowed(&self.tenant_id),
            username: Cow::Borrowed(&self.username),
            version: Version::V1,
        };
        let bytes = azure_core::json::to_json(&written)?;
        String::from_utf8(bytes.to_vec())
            .map_err(|error| Error::with_error(ErrorKind::DataConversion, error, "the record is no text"))
    }

    /// Returns the name with which the user signs in.
    pub fn username(&self) -> &str {
        &self.username
    }

    /// Returns the identifier of the user across tenants: object id, a dot, home tenant id.
    pub fn home_account_id(&self) -> &str {
        &self.home_account_id
    }

    /// Returns the tenant of the account.
    pub fn tenant_id(&self) -> &str {
        &self.tenant_id
    }

    /// Returns the application that the user signed in to.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Returns the host of the sign-in service.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns whether both name the same user, in any tenant and under any host name of the cloud.
    pub(crate) fn is_same_person(&self, other: &Self) -> bool {
        self.home_account_id.eq_ignore_ascii_case(&other.home_account_id)
            && tokenkeep::schema::is_same_cloud(&self.authority, &other.authority)
    }
}
