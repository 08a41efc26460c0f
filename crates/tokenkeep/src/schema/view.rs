//! Typed views of the entries, borrowed from the parsed text.
//!
//! A view knows the names that the libraries give to a field. It decides and changes nothing. No view prints a token.

use std::borrow::Cow;
use std::fmt;
use std::time::SystemTime;

use super::Section;
use super::document::Document;
use super::fields::Fields;
use crate::{Result, Secret};

/// A parsed token cache.
///
/// ```
/// use tokenkeep::schema::Contents;
///
/// let cache = br#"{ "Account": { "key": { "home_account_id": "uid.utid", "username": "ada@example.com" } } }"#;
/// let contents = Contents::parse(cache)?;
/// let account = contents.accounts().next().expect("one account");
/// assert_eq!(account.username().as_deref(), Some("ada@example.com"));
///
/// let tokens = contents.access_tokens().count() + contents.refresh_tokens().count() + contents.id_tokens().count();
/// assert_eq!((tokens, contents.app_metadata().count()), (0, 0));
/// # Ok::<(), tokenkeep::Error>(())
/// ```
pub struct Contents<'a>(Document<'a>);

impl<'a> Contents<'a> {
    /// Parses `content`; empty content, as in a new file, is an empty cache.
    ///
    /// # Errors
    /// `Damaged` if it is not a token cache.
    pub fn parse(content: &'a [u8]) -> Result<Self> {
        if content.is_empty() {
            return Ok(Self(Document::default()));
        }
        Document::parse(content).map(Self).map_err(super::damaged)
    }

    /// Returns the access tokens, in the order of the text.
    pub fn access_tokens(&self) -> impl Iterator<Item = AccessToken<'_>> {
        self.fields(Section::AccessToken).map(AccessToken)
    }

    /// Returns the refresh tokens, in the order of the text.
    pub fn refresh_tokens(&self) -> impl Iterator<Item = RefreshToken<'_>> {
        self.fields(Section::RefreshToken).map(RefreshToken)
    }

    /// Returns the ID tokens, in the order of the text.
    pub fn id_tokens(&self) -> impl Iterator<Item = IdToken<'_>> {
        self.fields(Section::IdToken).map(IdToken)
    }

    /// Returns the accounts, in the order of the text. One user can have several: one for each tenant, and one for
    /// each name of the cloud that a library used.
    pub fn accounts(&self) -> impl Iterator<Item = Account<'_>> {
        self.fields(Section::Account).map(Account)
    }

    /// Returns the application metadata, in the order of the text.
    pub fn app_metadata(&self) -> impl Iterator<Item = AppMetadata<'_>> {
        self.fields(Section::AppMetadata).map(AppMetadata)
    }

    /// Returns every entry of the known sections, section by section, for programs that treat all alike.
    ///
    /// ```
    /// use tokenkeep::schema::{Contents, Section};
    ///
    /// let contents = Contents::parse(br#"{"RefreshToken":{"k":{"secret":"s"}}}"#)?;
    /// let (section, entry) = contents.entries().next().expect("one entry");
    /// assert_eq!((section, entry.key().as_ref(), entry.home_account_id()), (Section::RefreshToken, "k", None));
    /// # Ok::<(), tokenkeep::Error>(())
    /// ```
    pub fn entries(&self) -> impl Iterator<Item = (Section, AnyEntry<'_>)> {
        let all = Section::ALL.into_iter();
        all.flat_map(|section| self.fields(section).map(move |fields| (section, AnyEntry(fields))))
    }

    fn fields(&self, section: Section) -> impl Iterator<Item = Fields<'_>> {
        self.0.entries(section).iter().map(Fields::of)
    }
}

impl fmt::Debug for Contents<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut counts = f.debug_map();
        for section in Section::ALL {
            counts.entry(&format_args!("{section}"), &self.0.entries(section).len());
        }
        counts.finish()
    }
}

/// The accessors of fields that sections share. Each returns `None` if the entry does not have the field.
macro_rules! view {
    ($(#[$about:meta])* $view:ident { $($(#[$field_about:meta])* $field:ident: $names:expr,)* }) => {
        $(#[$about])*
        #[derive(Clone, Copy)]
        pub struct $view<'c>(pub(super) Fields<'c>);

        impl<'c> $view<'c> {
            /// Returns the key of the entry within its section.
            pub fn key(&self) -> Cow<'c, str> {
                self.0.key()
            }

            /// Returns a field by its name in the text, for fields without an accessor.
            pub fn field(&self, name: &str) -> Option<Cow<'c, str>> {
                (name != "secret").then(|| self.0.text(&[name])).flatten()
            }

            $($(#[$field_about])* pub fn $field(&self) -> Option<Cow<'c, str>> {
                self.0.text(&$names)
            })*
        }

        impl fmt::Debug for $view<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let mut shown = f.debug_struct(stringify!($view));
                $(if let Some(text) = self.$field() {
                    shown.field(stringify!($field), &text);
                })*
                shown.finish_non_exhaustive()
            }
        }
    };
}

view! {
    /// An access token: services accept it, for about an hour.
    ///
    /// ```
    /// use std::time::{Duration, UNIX_EPOCH};
    /// use tokenkeep::schema::Contents;
    ///
    /// let cache = br#"{ "AccessToken": { "the key": {
    ///     "home_account_id": "uid.utid", "environment": "login.windows.net", "client_id": "app", "realm": "utid",
    ///     "credential_type": "AccessToken", "target": "Mail.Read User.Read", "secret": "the token",
    ///     "cached_at": "1700000000", "expires_on": "1700003600", "refresh_on": "1700001800"
    /// } } }"#;
    /// let contents = Contents::parse(cache)?;
    /// let token = contents.access_tokens().next().expect("one token");
    /// assert_eq!(token.key(), "the key");
    /// assert_eq!(token.home_account_id().as_deref(), Some("uid.utid"));
    /// assert_eq!((token.environment().as_deref(), token.realm().as_deref()), (Some("login.windows.net"), Some("utid")));
    /// assert_eq!((token.client_id().as_deref(), token.credential_type().as_deref()), (Some("app"), Some("AccessToken")));
    ///
    /// // Its scopes:
    /// assert_eq!(token.target().as_deref(), Some("Mail.Read User.Read"));
    /// assert!(token.covers(&["user.read"]) && token.scopes().len() == 2);
    /// assert!(token.is_plain_bearer(), "{:?} {:?} {:?}", token.token_type(), token.key_id(), token.user_assertion_hash());
    ///
    /// // Its validity:
    /// let cached = token.cached_at().expect("a time");
    /// assert_eq!(cached, UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    /// assert!(!token.is_expired(cached) && token.is_expired(token.expires_on().expect("a time")));
    /// assert!(token.refresh_on() < token.expires_on() && token.extended_expires_on().is_none());
    ///
    /// assert_eq!(token.secret().expect("the token itself").expose(), b"the token");
    /// assert_eq!(token.field("secret"), None, "only through `secret`");
    /// # Ok::<(), tokenkeep::Error>(())
    /// ```
    AccessToken {
        /// The account; `None` for a token of the app itself.
        home_account_id: ["home_account_id"],
        /// The host of the cloud that issued it.
        environment: ["environment"],
        /// The application it was issued to.
        client_id: ["client_id"],
        /// The tenant it is for.
        realm: ["realm"],
        /// The scopes it is valid for, separated by spaces.
        target: ["target"],
        /// `Bearer` if the entry has no type.
        token_type: ["token_type"],
        /// The type of the entry: `AccessToken`, or one with a key or an extension.
        credential_type: ["credential_type"],
        /// The key that a proof-of-possession token is bound to.
        key_id: ["key_id", "kid", "keyid"],
        /// The hash of the token on whose behalf it was issued.
        user_assertion_hash: ["user_assertion_hash", "userAssertionHash"],
    }
}

view! {
    /// A refresh token: it gives new access tokens without a sign-in.
    ///
    /// ```
    /// use tokenkeep::schema::Contents;
    ///
    /// let cache = br#"{ "RefreshToken": { "the key": {
    ///     "home_account_id": "uid.utid", "environment": "login.windows.net", "client_id": "app", "family_id": "1",
    ///     "secret": "the token", "last_modification_time": "1700000000"
    /// } } }"#;
    /// let contents = Contents::parse(cache)?;
    /// let token = contents.refresh_tokens().next().expect("one token");
    /// assert_eq!((token.key(), token.home_account_id().as_deref()), ("the key".into(), Some("uid.utid")));
    /// assert_eq!((token.environment().as_deref(), token.client_id().as_deref()), (Some("login.windows.net"), Some("app")));
    /// assert_eq!(token.family_id().as_deref(), Some("1"), "other applications of the family may redeem it");
    /// assert!(token.last_modified().is_some() && token.target().is_none() && token.user_assertion_hash().is_none());
    /// assert_eq!(token.secret().expect("the token itself").expose(), b"the token");
    /// assert_eq!(token.field("last_modification_time").as_deref(), Some("1700000000"));
    /// # Ok::<(), tokenkeep::Error>(())
    /// ```
    RefreshToken {
        /// The account.
        home_account_id: ["home_account_id"],
        /// The host of the cloud that issued it.
        environment: ["environment"],
        /// The application it was issued to.
        client_id: ["client_id"],
        /// The family of applications that may redeem it.
        family_id: ["family_id"],
        /// The scopes it was issued with, if a library stored them. It is valid for others too.
        target: ["target"],
        /// The hash of the token on whose behalf it was issued.
        user_assertion_hash: ["user_assertion_hash", "userAssertionHash"],
    }
}

view! {
    /// An ID token: the identity of the user who signed in.
    ///
    /// ```
    /// use tokenkeep::schema::Contents;
    ///
    /// let cache = br#"{ "IdToken": { "the key": {
    ///     "home_account_id": "uid.utid", "environment": "login.windows.net", "client_id": "app", "realm": "utid",
    ///     "secret": "header.claims.signature", "note": "unknown to this library"
    /// } } }"#;
    /// let contents = Contents::parse(cache)?;
    /// let token = contents.id_tokens().next().expect("one token");
    /// assert_eq!((token.key(), token.home_account_id().as_deref()), ("the key".into(), Some("uid.utid")));
    /// assert_eq!((token.environment().as_deref(), token.realm().as_deref()), (Some("login.windows.net"), Some("utid")));
    /// assert_eq!((token.client_id().as_deref(), token.field("note").is_some()), (Some("app"), true));
    /// assert!(token.secret().is_some());
    /// # Ok::<(), tokenkeep::Error>(())
    /// ```
    IdToken {
        /// The account.
        home_account_id: ["home_account_id"],
        /// The host of the cloud that issued it.
        environment: ["environment"],
        /// The application it was issued to.
        client_id: ["client_id"],
        /// The tenant it is for.
        realm: ["realm"],
    }
}

view! {
    /// An account that is signed in.
    ///
    /// ```
    /// use tokenkeep::schema::Contents;
    ///
    /// let cache = br#"{ "Account": { "the key": {
    ///     "home_account_id": "uid.utid", "environment": "login.windows.net", "realm": "utid", "local_account_id": "uid",
    ///     "username": "ada@example.com", "name": "Ada", "authority_type": "MSSTS", "client_info": "e30"
    /// } } }"#;
    /// let contents = Contents::parse(cache)?;
    /// let account = contents.accounts().next().expect("one account");
    /// assert_eq!((account.key(), account.home_account_id().as_deref()), ("the key".into(), Some("uid.utid")));
    /// assert_eq!((account.environment().as_deref(), account.realm().as_deref()), (Some("login.windows.net"), Some("utid")));
    /// assert_eq!((account.name().as_deref(), account.username().as_deref()), (Some("Ada"), Some("ada@example.com")));
    /// assert_eq!((account.local_account_id().as_deref(), account.authority_type().as_deref()), (Some("uid"), Some("MSSTS")));
    /// assert_eq!(account.field("client_info").as_deref(), Some("e30"));
    /// # Ok::<(), tokenkeep::Error>(())
    /// ```
    Account {
        /// The user's identifier across tenants and clouds: object id, a dot, home tenant id. Case does not matter.
        home_account_id: ["home_account_id"],
        /// The host of the cloud.
        environment: ["environment"],
        /// The tenant.
        realm: ["realm"],
        /// The object id in that tenant.
        local_account_id: ["local_account_id"],
        /// The name with which the user signs in, mostly like a mail address.
        username: ["username"],
        /// The display name of the user.
        name: ["name"],
        /// `MSSTS` for Entra ID.
        authority_type: ["authority_type"],
    }
}

view! {
    /// The metadata of an application.
    ///
    /// ```
    /// use tokenkeep::schema::Contents;
    ///
    /// let cache = br#"{ "AppMetadata": { "the key": {
    ///     "environment": "login.windows.net", "client_id": "app", "family_id": "1"
    /// } } }"#;
    /// let contents = Contents::parse(cache)?;
    /// let app = contents.app_metadata().next().expect("one application");
    /// assert_eq!((app.key(), app.client_id().as_deref()), ("the key".into(), Some("app")));
    /// assert_eq!((app.environment().as_deref(), app.family_id().as_deref()), (Some("login.windows.net"), Some("1")));
    /// assert_eq!(app.field("other"), None);
    /// # Ok::<(), tokenkeep::Error>(())
    /// ```
    AppMetadata {
        /// The application.
        client_id: ["client_id"],
        /// The host of the cloud.
        environment: ["environment"],
        /// The family it belongs to; `None` if it has none, or if that is unknown.
        family_id: ["family_id"],
    }
}

view! {
    /// An entry of any section, with the fields by which it belongs to an account. Some accounts have no home account id,
    /// as those of AD FS in some libraries.
    ///
    /// ```
    /// use tokenkeep::schema::Contents;
    ///
    /// let cache = br#"{ "Account": { "the key": { "environment": "adfs.contoso.com", "username": "ada" } } }"#;
    /// let contents = Contents::parse(cache)?;
    /// let (_, entry) = contents.entries().next().expect("one entry");
    /// assert_eq!((entry.key().as_ref(), entry.home_account_id(), entry.local_account_id()), ("the key", None, None));
    /// assert_eq!(entry.environment().as_deref(), Some("adfs.contoso.com"));
    /// assert_eq!((entry.username().as_deref(), entry.field("other")), (Some("ada"), None));
    /// # Ok::<(), tokenkeep::Error>(())
    /// ```
    AnyEntry {
        /// The account; `None` for an application's own tokens, and for an account without this id.
        home_account_id: ["home_account_id"],
        /// The id of the account in its tenant; only in an account.
        local_account_id: ["local_account_id"],
        /// The host of the cloud.
        environment: ["environment"],
        /// The name to sign in with; only in an account.
        username: ["username"],
    }
}

macro_rules! token {
    ($($view:ident)*) => {
        $(impl $view<'_> {
            /// The token, in memory that is wiped; `None` if there is none.
            pub fn secret(&self) -> Option<Secret> {
                self.0.secret()
            }
        })*
    };
}

token! { AccessToken RefreshToken IdToken }

impl<'c> AccessToken<'c> {
    /// Returns when it was obtained.
    pub fn cached_at(&self) -> Option<SystemTime> {
        self.0.time(&["cached_at"])
    }

    /// Returns when services stop accepting it.
    pub fn expires_on(&self) -> Option<SystemTime> {
        self.0.time(&["expires_on"])
    }

    /// Returns until when services accept it while the sign-in service is down.
    pub fn extended_expires_on(&self) -> Option<SystemTime> {
        self.0.time(&["extended_expires_on", "ext_expires_on"])
    }

    /// Returns when it should be replaced, although it is still valid.
    pub fn refresh_on(&self) -> Option<SystemTime> {
        self.0.time(&["refresh_on"])
    }

    /// Returns whether services no longer accept it at `now`. A token without an expiry counts as expired.
    pub fn is_expired(&self, now: SystemTime) -> bool {
        self.expires_on().is_none_or(|expires| expires <= now)
    }

    /// Returns the scopes it is valid for, one by one.
    pub fn scopes(&self) -> Vec<String> {
        self.target().unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    }

    /// Returns whether it is valid for all of `scopes`. Case does not matter.
    pub fn covers(&self, scopes: &[&str]) -> bool {
        let target = self.target().unwrap_or_default();
        scopes.iter().all(|scope| target.split_whitespace().any(|has| has.eq_ignore_ascii_case(scope)))
    }

    /// Returns whether it is a plain bearer token: not bound to a key, not issued on behalf of another token, without the
    /// extensions of a newer library.
    pub fn is_plain_bearer(&self) -> bool {
        let is =
            |text: Option<Cow<'c, str>>, wanted| text.is_none_or(|text| text.eq_ignore_ascii_case(wanted));
        let extended = [
            "ext",
            "ext_cache_key",
            "additionalCacheKeyComponents",
            "userAssertionHash",
            "user_assertion_hash",
        ];
        is(self.token_type(), "Bearer")
            && is(self.credential_type(), "AccessToken")
            && !extended.into_iter().any(|name| self.0.has(name))
    }
}

impl RefreshToken<'_> {
    /// Returns when it was stored last, if a library recorded that.
    pub fn last_modified(&self) -> Option<SystemTime> {
        self.0.time(&["last_modification_time"])
    }
}
