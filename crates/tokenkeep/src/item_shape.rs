//! The shape of a keystore item: the attributes by which it is found, those of a new one, and the encoding of its
//! content.
//!
//! Each sibling library has its own shape, and none finds the items of all others. [`crate::preset`] has the fixed
//! values of known applications. The keystore builds searches and updates from a shape. [`payload`] owns the content.

#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "elsewhere content is never in base64"))]
mod payload;

use std::fmt;
use std::path::Path;

use sha2::{Digest, Sha256};

pub(crate) use payload::Payload;

/// The schema that keytar and libsecret's password functions use by default.
pub(crate) const GENERIC: &str = "org.freedesktop.Secret.Generic";

/// The shape of a keystore item: the attributes by which it is found, the further ones of a new item, and whether the
/// content is the cache itself or base64 of it.
///
/// The constructors have the names of the libraries that create and find such items. An item with more attributes
/// than the shape matches too; an update keeps its attributes, its label and its collection. Content is read in
/// either encoding, and an update keeps the encoding of the item; the shape decides only for a new item.
///
/// On macOS an item has only a service and an account, and its content is always the cache itself. On Windows there
/// are no items: every library encrypts a file.
///
/// ```no_run
/// use tokenkeep::{Config, storage::ItemShape};
///
/// // The cache that a Python program keeps with LibsecretPersistence(path, "my-schema", {"product": "contoso"}).
/// let shape = ItemShape::python_given("my-schema", &[("product", "contoso")]);
/// let cache = Config::new("contoso").path("/home/ada/.contoso/cache.bin").item_shape(shape).open()?;
/// # Ok::<(), tokenkeep::Error>(())
/// ```
///
/// The shapes of the libraries for the same names:
///
/// ```
/// use tokenkeep::storage::ItemShape;
///
/// let two = [("Version", "1"), ("ProductGroup", "Contoso")];
/// let js = ItemShape::js("contoso", "tokens");
/// assert_eq!((js.schema(), js.keychain()), (Some("org.freedesktop.Secret.Generic"), Some(("contoso", "tokens"))));
/// assert!(ItemShape::python("~/.contoso/cache.bin").attributes().next().is_none(), "its schema is a hash of the path");
///
/// let dotnet = ItemShape::dotnet("com.contoso.tokens", "Contoso", two[0], two[1]);
/// assert!(dotnet.is_base64() && !dotnet.is_found_by_schema());
/// let java = ItemShape::java("com.contoso.tokens", "Contoso", &two).in_keychain("contoso", "tokens");
/// assert!(java.is_found_by_schema() && java.attributes().eq(two));
/// assert_eq!(ItemShape::go("contoso", &two).label(), "MSALCache");
/// assert_eq!(ItemShape::keyring_rs("contoso", "ada").labelled("Contoso").label(), "Contoso");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ItemShape {
    schema: Option<String>,
    /// Whether only items with this schema match.
    found_by_schema: bool,
    attributes: Vec<(String, String)>,
    label: String,
    payload: Payload,
    /// Service and account in the macOS Keychain; `None` if they must be given separately.
    keychain: Option<(String, String)>,
}

impl ItemShape {
    /// The shape of keytar and the MSAL extensions for Node, and this library's default: the schema
    /// `org.freedesktop.Secret.Generic`, the attributes `service` and `account`, the content unencoded.
    pub fn js(service: impl Into<String>, account: impl Into<String>) -> Self {
        let (service, account) = (service.into(), account.into());
        Self {
            schema: Some(GENERIC.to_owned()),
            found_by_schema: true,
            attributes: vec![
                ("service".to_owned(), service.clone()),
                ("account".to_owned(), account.clone()),
            ],
            label: format!("{service}/{account}"),
            payload: Payload::RAW,
            keychain: Some((service, account)),
        }
    }

    /// The shape of the MSAL extensions for Python for a program that names only the file. The schema is the SHA-256
    /// of that path in hexadecimal, and there are no attributes. Write `signal_location` as that program does, with
    /// `~`. In the Keychain: service `msal-extensions`, and the hash as the account.
    pub fn python(signal_location: impl AsRef<Path>) -> Self {
        let hash = Sha256::digest(signal_location.as_ref().as_os_str().as_encoded_bytes());
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let keychain = Some(("msal-extensions".to_owned(), hash.clone()));
        Self { keychain, ..Self::of(hash, Vec::new(), String::new(), Payload::RAW) }
    }

    /// The shape of the MSAL extensions for Python with a schema and attributes of the program. The content is
    /// unencoded.
    pub fn python_given(schema: impl Into<String>, attributes: &[(&str, &str)]) -> Self {
        Self::of(schema.into(), pairs(attributes), String::new(), Payload::RAW)
    }

    /// The shape of `MsalCacheHelper` of the MSAL extensions for .NET: two attributes by which the item is found, and
    /// a schema that only a new item gets. The content is base64.
    pub fn dotnet(
        schema: impl Into<String>,
        label: impl Into<String>,
        first: (&str, &str),
        second: (&str, &str),
    ) -> Self {
        let attributes = pairs(&[first, second]);
        Self { found_by_schema: false, ..Self::of(schema.into(), attributes, label.into(), Payload::BASE64) }
    }

    /// The shape of the MSAL extensions for Java: a schema, a label and at most two attributes. The content is
    /// base64.
    pub fn java(schema: impl Into<String>, label: impl Into<String>, attributes: &[(&str, &str)]) -> Self {
        Self::of(schema.into(), pairs(attributes), label.into(), Payload::BASE64)
    }

    /// The shape of the MSAL extensions for Go: the accessor's name is the schema, with at most two attributes and
    /// the label `MSALCache`. The content is base64. In the Keychain the name is the service.
    pub fn go(name: impl Into<String>, attributes: &[(&str, &str)]) -> Self {
        Self::of(name.into(), pairs(attributes), "MSALCache".to_owned(), Payload::BASE64)
    }

    /// The shape of the `keyring` crate and `@napi-rs/keyring`: attributes `service` and `username`, no schema, the
    /// content unencoded.
    pub fn keyring_rs(service: impl Into<String>, user: impl Into<String>) -> Self {
        let (service, user) = (service.into(), user.into());
        let mut shape =
            Self::of(String::new(), Vec::new(), format!("keyring:{user}@{service}"), Payload::RAW);
        shape.schema = None;
        shape.attributes =
            vec![("service".to_owned(), service.clone()), ("username".to_owned(), user.clone())];
        Self { keychain: Some((service, user)), ..shape }
    }

    fn of(schema: String, attributes: Vec<(String, String)>, label: String, payload: Payload) -> Self {
        let schema = Some(schema);
        Self { schema, found_by_schema: true, attributes, label, payload, keychain: None }
    }

    /// Returns the shape with another label for a new item. Password programs show the label.
    #[must_use]
    pub fn labelled(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// Returns the shape with this service and account in the macOS Keychain.
    #[must_use]
    pub fn in_keychain(mut self, service: impl Into<String>, account: impl Into<String>) -> Self {
        self.keychain = Some((service.into(), account.into()));
        self
    }

    /// Returns the schema of a new item, the attribute `xdg:schema`; `None` for items without one.
    pub fn schema(&self) -> Option<&str> {
        self.schema.as_deref()
    }

    /// Returns whether only items with the schema match.
    pub fn is_found_by_schema(&self) -> bool {
        self.found_by_schema && self.schema.is_some()
    }

    /// Returns the attributes without the schema: names and values.
    pub fn attributes(&self) -> impl Iterator<Item = (&str, &str)> {
        self.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the label of a new item.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Returns whether the content of a new item is base64.
    pub fn is_base64(&self) -> bool {
        self.payload == Payload::BASE64
    }

    /// Returns the service and account in the macOS Keychain, if the shape has them.
    pub fn keychain(&self) -> Option<(&str, &str)> {
        self.keychain.as_ref().map(|(service, account)| (service.as_str(), account.as_str()))
    }

    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "elsewhere content is never in base64"))]
    pub(crate) fn payload(&self) -> Payload {
        self.payload
    }
}

/// The searched attributes in one line; the locks of items are named after it.
impl fmt::Display for ItemShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schema = self.schema.as_deref().filter(|_| self.found_by_schema);
        if schema == Some(GENERIC)
            && let [(service, of_service), (account, of_account)] = self.attributes.as_slice()
            && (service.as_str(), account.as_str()) == ("service", "account")
        {
            return write!(f, "{of_service}/{of_account}");
        }
        let mut gap = "";
        if let Some(schema) = schema {
            f.write_str(schema)?;
            gap = "/";
        }
        for (name, value) in &self.attributes {
            write!(f, "{gap}{name}={value}")?;
            gap = "/";
        }
        Ok(())
    }
}

fn pairs(attributes: &[(&str, &str)]) -> Vec<(String, String)> {
    attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
