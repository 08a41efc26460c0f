//! The caches of other libraries and programs, by name: where each keeps its own on this machine.
//!
//! This file owns the names and their options. `place` has the resulting location, `azure` the fixed values of the
//! Azure SDKs and the Azure CLI. [`ItemShape`] has the shape of an item.

mod azure;
mod place;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

pub use place::{CachePlace, PlaceKind, known_caches};

use crate::item_shape::ItemShape;
use crate::{Error, ErrorKind, Result};

/// A cache layout that several programs share, under its common name.
///
/// The first six are libraries, whose applications choose path and names: see [`Names`]. The others are programs and
/// SDKs with fixed values.
///
/// ```
/// use tokenkeep::preset::{Names, Preset};
///
/// let preset: Preset = "azure-identity-java-cae".parse()?;
/// assert!(preset.place(&Names::default())?.path.ends_with(".IdentityService/msal.cache.cae"));
/// for preset in Preset::ALL {
///     println!("{}: {}", preset.name(), preset.about());
/// }
/// # Ok::<(), tokenkeep::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Preset {
    /// `js`: keytar and `@azure/msal-node-extensions`; also this library's own layout. By path, service and account.
    Js,
    /// `python`: `msal-extensions`. By path, or by schema and attributes.
    Python,
    /// `dotnet`: `Microsoft.Identity.Client.Extensions.Msal`. By path, schema, label and two attributes.
    DotNet,
    /// `java`: `msal4j-persistence-extension`. By path, schema, label and up to two attributes.
    Java,
    /// `go`: `microsoft-authentication-extensions-for-go`. By path, schema (the accessor's name) and up to two attributes.
    Go,
    /// `keyring-rs`: the `keyring` crate and `@napi-rs/keyring`. By path, service and account.
    KeyringRs,
    /// `azure-identity` (Python), `azure-identity-js`, `azure-identity-dotnet`, `azure-identity-java`, each with
    /// `-cae` for the tokens that can be revoked at once, which every SDK keeps in a separate cache.
    AzureIdentity {
        /// The SDK's language.
        sdk: AzureSdk,
        /// Whether it is the cache for Continuous Access Evaluation.
        cae: bool,
    },
    /// `azure-cli`: the plaintext file of `az`; on Windows its encrypted one.
    AzureCli,
    /// `azure-cli-encrypted`: the cache of `az` with `core.encrypt_token_cache=true`, as a change of the Azure CLI
    /// that is not merged yet makes it; on Linux and macOS an item.
    AzureCliEncrypted,
    /// `azure-cli-2.91-encrypted`: the same, as the Azure CLI 2.91.0 and before make it; on Linux and macOS an item under the
    /// names of an example.
    AzureCliEncrypted291,
}

/// The language of an Azure SDK. No two of them share a cache on Linux.
///
/// ```
/// use tokenkeep::preset::{AzureSdk, Preset};
///
/// let preset = Preset::AzureIdentity { sdk: AzureSdk::DotNet, cae: false };
/// assert_eq!(preset.name(), "azure-identity-dotnet");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AzureSdk {
    /// `azure-identity`.
    Python,
    /// `@azure/identity-cache-persistence`.
    Js,
    /// `Azure.Identity`.
    DotNet,
    /// `com.azure:azure-identity`.
    Java,
}

const fn azure(sdk: AzureSdk, cae: bool) -> Preset {
    Preset::AzureIdentity { sdk, cae }
}

impl Preset {
    /// Every preset, in the order of lists.
    pub const ALL: &'static [Self] = &[
        Self::Js,
        Self::Python,
        Self::DotNet,
        Self::Java,
        Self::Go,
        Self::KeyringRs,
        azure(AzureSdk::Python, false),
        azure(AzureSdk::Python, true),
        azure(AzureSdk::Js, false),
        azure(AzureSdk::Js, true),
        azure(AzureSdk::DotNet, false),
        azure(AzureSdk::DotNet, true),
        azure(AzureSdk::Java, false),
        azure(AzureSdk::Java, true),
        Self::AzureCli,
        Self::AzureCliEncrypted,
        Self::AzureCliEncrypted291,
    ];

    /// Returns its name, as on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Js => "js",
            Self::Python => "python",
            Self::DotNet => "dotnet",
            Self::Java => "java",
            Self::Go => "go",
            Self::KeyringRs => "keyring-rs",
            Self::AzureIdentity { sdk: AzureSdk::Python, cae: false } => "azure-identity",
            Self::AzureIdentity { sdk: AzureSdk::Python, cae: true } => "azure-identity-cae",
            Self::AzureIdentity { sdk: AzureSdk::Js, cae: false } => "azure-identity-js",
            Self::AzureIdentity { sdk: AzureSdk::Js, cae: true } => "azure-identity-js-cae",
            Self::AzureIdentity { sdk: AzureSdk::DotNet, cae: false } => "azure-identity-dotnet",
            Self::AzureIdentity { sdk: AzureSdk::DotNet, cae: true } => "azure-identity-dotnet-cae",
            Self::AzureIdentity { sdk: AzureSdk::Java, cae: false } => "azure-identity-java",
            Self::AzureIdentity { sdk: AzureSdk::Java, cae: true } => "azure-identity-java-cae",
            Self::AzureCli => "azure-cli",
            Self::AzureCliEncrypted => "azure-cli-encrypted",
            Self::AzureCliEncrypted291 => "azure-cli-2.91-encrypted",
        }
    }

    /// Describes it in a few words, for a list of all presets.
    pub fn about(self) -> &'static str {
        match self {
            Self::Js => "keytar, @azure/msal-node-extensions, tokenkeep",
            Self::Python => "msal-extensions for Python",
            Self::DotNet => "MSAL extensions for .NET (MsalCacheHelper)",
            Self::Java => "msal4j-persistence-extension for Java",
            Self::Go => "microsoft-authentication-extensions-for-go",
            Self::KeyringRs => "the keyring crate, @napi-rs/keyring",
            Self::AzureIdentity { sdk, cae: false } => sdk.about(),
            Self::AzureIdentity { sdk, cae: true } => sdk.about_cae(),
            Self::AzureCli => "the Azure CLI",
            Self::AzureCliEncrypted => "the Azure CLI, told to encrypt its cache",
            Self::AzureCliEncrypted291 => "the Azure CLI up to 2.91, told to encrypt its cache",
        }
    }

    /// Returns the location and the store of the cache on this machine. It makes no request and does not check
    /// whether the cache exists.
    ///
    /// # Errors
    /// `InvalidInput` if `names` lacks a value that programs of this kind choose, or if no home directory is known.
    pub fn place(self, names: &Names) -> Result<CachePlace> {
        match self {
            Self::AzureIdentity { sdk, cae } => azure::identity(self, sdk, cae, names),
            Self::AzureCli | Self::AzureCliEncrypted | Self::AzureCliEncrypted291 => azure::cli(self, names),
            library => {
                let path = names.path.clone().ok_or_else(|| library.lacks("the path of the cache"))?;
                let shape = library.shape(names)?;
                Ok(CachePlace::own(library, path, shape))
            }
        }
    }

    /// Returns the item shape of a library's application.
    fn shape(self, names: &Names) -> Result<ItemShape> {
        let service = || names.service.as_deref().ok_or_else(|| self.lacks("a service name"));
        let account = || names.account.as_deref().ok_or_else(|| self.lacks("an account name"));
        let schema = || names.schema.as_deref().ok_or_else(|| self.lacks("a schema"));
        let attributes: Vec<_> = names.attributes.iter().map(|(name, value)| (&**name, &**value)).collect();
        let at_most_two = || match attributes.len() {
            0..=2 => Ok(attributes.as_slice()),
            _ => Err(self.lacks("two attributes at most")),
        };
        let label = names.label.clone().unwrap_or_default();
        let mut shape = match self {
            Self::Js => ItemShape::js(service()?, account()?),
            Self::KeyringRs => ItemShape::keyring_rs(service()?, account()?),
            Self::Python => match (&names.schema, &names.path) {
                (Some(schema), _) => ItemShape::python_given(schema, &attributes),
                (None, Some(path)) => ItemShape::python(path),
                (None, None) => return Err(self.lacks("the path of the cache")),
            },
            Self::DotNet => match attributes.as_slice() {
                [first, second] => ItemShape::dotnet(schema()?, label, *first, *second),
                _ => return Err(self.lacks("exactly two attributes")),
            },
            Self::Java => ItemShape::java(schema()?, label, at_most_two()?),
            Self::Go => ItemShape::go(schema()?, at_most_two()?),
            Self::AzureIdentity { .. }
            | Self::AzureCli
            | Self::AzureCliEncrypted
            | Self::AzureCliEncrypted291 => {
                return Err(self.lacks("no names"));
            }
        };
        if let Some(label) = &names.label {
            shape = shape.labelled(label);
        }
        if let (Some(service), Some(account)) = (&names.service, &names.account) {
            shape = shape.in_keychain(service, account);
        }
        Ok(shape)
    }

    fn lacks(self, what: &str) -> Error {
        let text = format!("The preset {self} wants {what}");
        Error::new(ErrorKind::InvalidInput, text).remedy("Give it as the program does whose cache it is")
    }
}

impl AzureSdk {
    fn about(self) -> &'static str {
        match self {
            Self::Python => "azure-identity for Python",
            Self::Js => "@azure/identity-cache-persistence",
            Self::DotNet => "Azure.Identity for .NET",
            Self::Java => "azure-identity for Java",
        }
    }

    fn about_cae(self) -> &'static str {
        match self {
            Self::Python => "azure-identity for Python, tokens that can be revoked at once",
            Self::Js => "@azure/identity-cache-persistence, tokens that can be revoked at once",
            Self::DotNet => "Azure.Identity for .NET, tokens that can be revoked at once",
            Self::Java => "azure-identity for Java, tokens that can be revoked at once",
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Preset {
    type Err = Error;

    /// # Errors
    /// `InvalidInput`, with the list of names.
    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.iter().copied().find(|preset| preset.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|preset| preset.name()).collect();
            let text = format!("There is no preset {name:?}");
            Error::new(ErrorKind::InvalidInput, text).remedy(format!("There are {}", names.join(", ")))
        })
    }
}

/// The values that an application chose for its cache, as far as its library allows. A preset ignores values that it
/// does not use.
///
/// ```
/// use tokenkeep::preset::{Names, Preset};
///
/// // The values in a .NET program's `StorageCreationPropertiesBuilder`:
/// let names = Names::default()
///     .path("/home/ada/.contoso/msal.cache")
///     .schema("com.contoso.tokens")
///     .label("Contoso")
///     .attribute("Version", "1")
///     .attribute("ProductGroup", "Contoso")
///     .service("contoso") // in the Keychain
///     .account("tokens");
/// assert!(Preset::DotNet.place(&names).is_ok());
/// // For a program that named its cache in Azure Identity: `Names::default().cache_name("contoso")`.
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    path: Option<PathBuf>,
    service: Option<String>,
    account: Option<String>,
    schema: Option<String>,
    label: Option<String>,
    attributes: Vec<(String, String)>,
    cache_name: Option<String>,
}

impl Names {
    /// Sets the cache file, or the marker file of an item (cache path, signal location). For Python, write it as the
    /// program does, because the item is named after it.
    #[must_use]
    pub fn path(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Sets the service name.
    #[must_use]
    pub fn service(mut self, service: impl Into<String>) -> Self {
        self.service = Some(service.into());
        self
    }

    /// Sets the account name.
    #[must_use]
    pub fn account(mut self, account: impl Into<String>) -> Self {
        self.account = Some(account.into());
        self
    }

    /// Sets the schema of a Secret Service item.
    #[must_use]
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = Some(schema.into());
        self
    }

    /// Sets the label of a Secret Service item, which only a new item gets.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds an attribute of a Secret Service item.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }

    /// Sets the name that a program gives the cache of an Azure SDK (`TokenCachePersistenceOptions`), without `.cae`
    /// or `.nocae`. Default: `msal.cache`.
    #[must_use]
    pub fn cache_name(mut self, name: impl Into<String>) -> Self {
        self.cache_name = Some(name.into());
        self
    }
}
