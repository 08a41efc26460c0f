//! The functions of Apple's Security framework that the Keychain item needs, as a trait: on macOS the framework
//! implements it, in this project's tests a stand-in.
#![cfg_attr(
    not(feature = "stand-in-keychain"),
    allow(unreachable_pub, reason = "public with that feature only, for the tests")
)]

use std::any::Any;
use std::fmt;

use crate::Secret;

/// The Security framework's status for a call that failed: `OSStatus`, see `SecBase.h`.
///
/// ```
/// use tokenkeep::keychain::Status;
///
/// assert_eq!(Status(-25300), Status::ITEM_NOT_FOUND);
/// let needs_a_person = [Status::INTERACTION_NOT_ALLOWED, Status::AUTH_FAILED, Status::USER_CANCELED];
/// let wrongly_signed = [Status::MISSING_ENTITLEMENT, Status::INVALID_OWNER_EDIT];
/// assert!(!needs_a_person.iter().any(|status| wrongly_signed.contains(status)));
/// let being_replaced = [Status::INVALID_ITEM_REF, Status::INVALID_RECORD];
/// assert!(!being_replaced.contains(&Status::DUPLICATE_ITEM) && Status::NO_DEFAULT_KEYCHAIN.0 < 0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub i32);

impl Status {
    /// errSecItemNotFound.
    pub const ITEM_NOT_FOUND: Self = Self(-25300);
    /// errSecDuplicateItem.
    pub const DUPLICATE_ITEM: Self = Self(-25299);
    /// errSecInteractionNotAllowed: a prompt is allowed, but the session has no screen; or an item cannot be added
    /// without a prompt, because there is no default keychain. Not the answer to a silent call that needs a prompt.
    pub const INTERACTION_NOT_ALLOWED: Self = Self(-25308);
    /// errSecAuthFailed: a silent call needs a prompt, because the keychain is locked or the program is not allowed to
    /// read the item; with prompts, the user refused.
    pub const AUTH_FAILED: Self = Self(-25293);
    /// errSecNoDefaultKeychain.
    pub const NO_DEFAULT_KEYCHAIN: Self = Self(-25307);
    /// errSecInvalidOwnerEdit: another program made the item.
    pub const INVALID_OWNER_EDIT: Self = Self(-25244);
    /// errSecInvalidItemRef: the item was replaced between the search and the read.
    pub const INVALID_ITEM_REF: Self = Self(-25304);
    /// errSecInvalidRecord: as [`INVALID_ITEM_REF`](Self::INVALID_ITEM_REF).
    pub const INVALID_RECORD: Self = Self(-67701);
    /// errSecUserCanceled: the user refused.
    pub const USER_CANCELED: Self = Self(-128);
    /// errSecMissingEntitlement: the program's signature does not allow the call.
    pub const MISSING_ENTITLEMENT: Self = Self(-34018);
}

/// The attributes of an item.
///
/// ```
/// use tokenkeep::keychain::Item;
///
/// fn log(item: &Item) {
///     println!("{item}, service {}, account {}", item.service, item.account);
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Item {
    /// The service attribute.
    pub service: String,
    /// The account attribute.
    pub account: String,
    /// The access group, by which programs of one maker share items; only the data protection keychain has groups.
    pub access_group: Option<String>,
    /// Whether the item is in the data protection keychain instead of the default one.
    pub data_protection: bool,
    /// Whether to search the default keychain alone instead of the user's list of keychains, which may lack it.
    pub only_default: bool,
}

impl Item {
    /// The same item, searched in the default keychain alone.
    pub(super) fn in_default(&self) -> Self {
        Self { only_default: true, ..self.clone() }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.account)
    }
}

/// The functions of Apple's Security framework that are used. Each does one thing, without a decision.
///
/// ```
/// use std::{any::Any, collections::HashMap, sync::{Arc, Mutex}};
/// use tokenkeep::keychain::{Item, KeychainItem, SecurityFramework, Status};
/// use tokenkeep::{Secret, storage::Keystore};
///
/// /// A keychain in memory, for a test.
/// #[derive(Debug, Default)]
/// struct InMemory(Mutex<HashMap<String, Secret>>);
///
/// impl SecurityFramework for InMemory {
///     fn find(&self, item: &Item) -> Result<Secret, Status> {
///         self.0.lock().unwrap().get(&item.to_string()).cloned().ok_or(Status::ITEM_NOT_FOUND)
///     }
///
///     fn exists(&self, item: &Item) -> Result<bool, Status> {
///         Ok(self.find(item).is_ok())
///     }
///
///     fn accounts(&self, _service: &str) -> Result<Vec<String>, Status> {
///         Ok(Vec::new()) // no verification was killed here
///     }
///
///     fn update(&self, item: &Item, content: &[u8]) -> Result<(), Status> {
///         self.find(item)?;
///         self.0.lock().unwrap().insert(item.to_string(), Secret::from(content));
///         Ok(())
///     }
///
///     fn add(&self, item: &Item, content: &[u8]) -> Result<(), Status> {
///         let absent = self.find(item).is_err();
///         self.0.lock().unwrap().insert(item.to_string(), Secret::from(content));
///         absent.then_some(()).ok_or(Status::DUPLICATE_ITEM)
///     }
///
///     fn delete(&self, item: &Item) -> Result<(), Status> {
///         self.0.lock().unwrap().remove(&item.to_string()).map(drop).ok_or(Status::ITEM_NOT_FOUND)
///     }
///
///     fn delete_reference(&self, item: &Item) -> Result<(), Status> {
///         self.delete(item)
///     }
///
///     fn default_keychain(&self) -> Result<(), Status> {
///         Ok(())
///     }
///
///     fn unlock(&self) -> Result<(), Status> {
///         Ok(())
///     }
///
///     fn silence(&self) -> Result<Box<dyn Any>, Status> {
///         Ok(Box::new(())) // it never asks anybody
///     }
/// }
///
/// let item = KeychainItem::over(Arc::new(InMemory::default()), "my-app", "token_cache")?;
/// item.save(&b"{}".into())?;
/// assert_eq!(item.load()?, Some(Secret::from("{}")));
/// # Ok::<(), tokenkeep::Error>(())
/// ```
pub trait SecurityFramework: Send + Sync + fmt::Debug {
    /// Returns the content of an item: `SecItemCopyMatching`.
    ///
    /// # Errors
    /// The framework's status.
    fn find(&self, item: &Item) -> Result<Secret, Status>;

    /// Returns whether there is such an item: `SecItemCopyMatching` without its content, which needs no permission.
    ///
    /// # Errors
    /// The framework's status.
    fn exists(&self, item: &Item) -> Result<bool, Status>;

    /// Returns the accounts of all items of a service, without their content.
    ///
    /// # Errors
    /// The framework's status.
    fn accounts(&self, service: &str) -> Result<Vec<String>, Status>;

    /// Replaces the content of an existing item: `SecKeychainItemModifyContent`, or `SecItemUpdate` in the data
    /// protection keychain.
    ///
    /// # Errors
    /// The framework's status.
    fn update(&self, item: &Item, content: &[u8]) -> Result<(), Status>;

    /// Adds a new item: `SecItemAdd`.
    ///
    /// # Errors
    /// The framework's status.
    fn add(&self, item: &Item, content: &[u8]) -> Result<(), Status>;

    /// Removes an item of this program: `SecItemDelete`.
    ///
    /// # Errors
    /// The framework's status; `INVALID_OWNER_EDIT` for another program's.
    fn delete(&self, item: &Item) -> Result<(), Status>;

    /// Removes an item of any program: `SecKeychainItemDelete`. A success says nothing: the item may still be there.
    ///
    /// # Errors
    /// The framework's status of the search.
    fn delete_reference(&self, item: &Item) -> Result<(), Status>;

    /// Succeeds if the user has a default keychain: `SecKeychainCopyDefault`.
    ///
    /// # Errors
    /// The framework's status.
    fn default_keychain(&self) -> Result<(), Status>;

    /// Asks the user to unlock the default keychain, unless it is unlocked: `SecKeychainUnlock`.
    ///
    /// # Errors
    /// The framework's status.
    fn unlock(&self) -> Result<(), Status>;

    /// Turns off prompts for all functions of this process until the returned value is dropped:
    /// `SecKeychainSetUserInteractionAllowed`.
    ///
    /// # Errors
    /// The framework's status.
    fn silence(&self) -> Result<Box<dyn Any>, Status>;
}
