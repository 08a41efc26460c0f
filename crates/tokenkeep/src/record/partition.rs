//! Whose tokens a record holds, and the record's name.

use base64ct::{Base64UrlUnpadded, Encoding};
use sha2::{Digest, Sha256};

use crate::{Error, ErrorKind, Result};

/// The bytes of a hash that a name shows: 27 characters.
const HASH: usize = 20;

/// The kind of a partition, which a record shows in plaintext.
///
/// ```
/// use tokenkeep::record::{Partition, RecordKind};
///
/// assert_eq!(Partition::user("tk:shop", "ada.tenant")?.kind(), RecordKind::User);
/// assert_eq!(RecordKind::OnBehalfOf.code(), "obo");
/// # Ok::<(), tokenkeep::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecordKind {
    /// The tokens of one user.
    User,
    /// The tokens of one call on behalf of a user.
    OnBehalfOf,
    /// The tokens of an app itself, in one tenant.
    App,
    /// Wrapped data keys.
    KeyRing,
    /// A kind of the program's own.
    Own,
}

impl RecordKind {
    const ALL: [Self; 5] = [Self::User, Self::OnBehalfOf, Self::App, Self::KeyRing, Self::Own];

    /// Returns the stable name of this kind; a program's own kinds have names of their own.
    pub fn code(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::OnBehalfOf => "obo",
            Self::App => "app",
            Self::KeyRing => "key",
            Self::Own => "own",
        }
    }

    pub(super) fn byte(self) -> u8 {
        match self {
            Self::User => 1,
            Self::OnBehalfOf => 2,
            Self::App => 3,
            Self::KeyRing => 4,
            Self::Own => 255,
        }
    }

    pub(super) fn of_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.byte() == byte)
    }
}

/// Whose tokens a record holds: a user, a call on behalf of a user, an app in a tenant.
///
/// The prefix is the application's, `tk:` and its name; it separates the records of applications in one database.
///
/// ```
/// use tokenkeep::record::Partition;
///
/// let ada = Partition::user("tk:shop", "UID.utid")?;
/// assert_eq!(ada, Partition::user("tk:shop", "uid.utid")?, "case does not matter");
/// assert_eq!(ada.name(), "tk:shop:{dV5TGujaA9F37s5KEZ09yNWTRbw}");
///
/// // The records of a user's calls share its slot in a Redis cluster.
/// let call = Partition::on_behalf_of("tk:shop", "hash-of-the-assertion", Some("uid.utid"))?;
/// assert!(call.name().starts_with(&format!("{}:a:", ada.name())));
///
/// // An app's own tokens, the key ring, and a kind of the program's own:
/// let others = [
///     Partition::app("tk:shop", "client", "tenant")?,
///     Partition::key_ring("tk:shop")?,
///     Partition::own("tk:shop", "session", "a session's id")?,
/// ];
/// assert_eq!(others.map(|other| other.kind().code()), ["app", "key", "own"]);
///
/// // No partition, no record.
/// assert!(Partition::user("tk:shop", "").is_err());
/// # Ok::<(), tokenkeep::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Partition {
    prefix: String,
    kind: RecordKind,
    /// The kind's word, NUL, the text: what the name is a hash of.
    identity: String,
    /// The identity of the user in whose slot the record is, if that is not its own.
    within: Option<String>,
}

impl Partition {
    /// Names the record of the user `home_account_id`.
    ///
    /// # Errors
    /// `InvalidInput` if a text is empty or has a NUL, or if the prefix has a brace.
    pub fn user(prefix: &str, home_account_id: &str) -> Result<Self> {
        Self::new(prefix, RecordKind::User, "user", &home_account_id.to_lowercase(), None)
    }

    /// Names the record of one call on behalf of a user: `assertion_hash` is the base64url SHA-256 of the assertion,
    /// and `caller` the user's home account id from its claims, where it has one.
    ///
    /// # Errors
    /// Like [`Partition::user`].
    pub fn on_behalf_of(prefix: &str, assertion_hash: &str, caller: Option<&str>) -> Result<Self> {
        let within = caller.map(|caller| identity("user", &caller.to_lowercase())).transpose()?;
        Self::new(prefix, RecordKind::OnBehalfOf, "obo", assertion_hash, within)
    }

    /// Names the record of an app's own tokens in a tenant.
    ///
    /// # Errors
    /// Like [`Partition::user`].
    pub fn app(prefix: &str, client_id: &str, tenant_id: &str) -> Result<Self> {
        if client_id.is_empty() || tenant_id.is_empty() {
            return Err(empty());
        }
        Self::new(prefix, RecordKind::App, "app", &format!("{client_id}_{tenant_id}").to_lowercase(), None)
    }

    /// Names the record of the wrapped data keys.
    ///
    /// # Errors
    /// Like [`Partition::user`].
    pub fn key_ring(prefix: &str) -> Result<Self> {
        Self::new(prefix, RecordKind::KeyRing, "key", "ring", None)
    }

    /// Names a record of a kind of the program's own, such as a session.
    ///
    /// # Errors
    /// Like [`Partition::user`]; `InvalidInput` if `kind` is the name of a kind of this library.
    pub fn own(prefix: &str, kind: &str, text: &str) -> Result<Self> {
        if RecordKind::ALL.into_iter().any(|known| known.code() == kind && known != RecordKind::Own) {
            return Err(Error::new(ErrorKind::InvalidInput, "This kind of partition is the library's own")
                .remedy("Choose another word, for example \"session\""));
        }
        Self::new(prefix, RecordKind::Own, kind, text, None)
    }

    fn new(prefix: &str, kind: RecordKind, word: &str, text: &str, within: Option<String>) -> Result<Self> {
        if prefix.is_empty() || prefix.contains(['{', '}', '\0']) {
            return Err(Error::new(
                ErrorKind::InvalidInput,
                "The prefix of the records is empty or has a brace or a NUL",
            ));
        }
        Ok(Self { prefix: prefix.to_owned(), kind, identity: identity(word, text)?, within })
    }

    /// Returns the kind of the record.
    pub fn kind(&self) -> RecordKind {
        self.kind
    }

    /// Returns the name of the record, which the encryption covers. It has no personal data, and the part in braces chooses the slot in a Redis
    /// cluster.
    pub fn name(&self) -> String {
        let own = hash(&self.identity);
        match (&self.within, self.kind) {
            (Some(user), _) => format!("{}:{{{}}}:a:{own}", self.prefix, hash(user)),
            (None, RecordKind::OnBehalfOf) => format!("{}:{{{own}}}:a:{own}", self.prefix),
            (None, _) => format!("{}:{{{own}}}", self.prefix),
        }
    }

    /// Returns the text of the partition: a home account id, a hash, a client and its tenant.
    pub(super) fn text(&self) -> &str {
        self.identity.split_once('\0').map_or("", |(_, text)| text)
    }
}

fn identity(word: &str, text: &str) -> Result<String> {
    if word.is_empty() || text.is_empty() || word.contains('\0') || text.contains('\0') {
        return Err(empty());
    }
    Ok(format!("{word}\0{text}"))
}

fn empty() -> Error {
    Error::new(ErrorKind::InvalidInput, "The partition of a record is empty or has a NUL")
        .remedy("Give the home account id of the user, or the client and tenant of the app")
}

fn hash(identity: &str) -> String {
    Base64UrlUnpadded::encode_string(&Sha256::digest(identity.as_bytes())[..HASH])
}
