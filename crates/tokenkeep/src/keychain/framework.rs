//! The five functions of Apple's Security framework that the Keychain item needs, as a trait: on macOS the framework
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
/// let wrongly_signed = Status::MISSING_ENTITLEMENT;
/// assert!(!needs_a_person.contains(&wrongly_signed) && wrongly_signed != Status::DUPLICATE_ITEM);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub i32);

impl Status {
    /// errSecItemNotFound.
    pub const ITEM_NOT_FOUND: Self = Self(-25300);
    /// errSecDuplicateItem.
    pub const DUPLICATE_ITEM: Self = Self(-25299);
    /// errSecInteractionNotAllowed: the call would need a prompt.
    pub const INTERACTION_NOT_ALLOWED: Self = Self(-25308);
    /// errSecAuthFailed: a wrong password, or a program that may not use the item.
    pub const AUTH_FAILED: Self = Self(-25293);
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
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.account)
    }
}

/// The five functions of Apple's Security framework that are used, each in one step of the framework's own.
///
/// ```
/// use std::{any::Any, collections::HashMap, sync::{Arc, Mutex}};
/// use tokenkeep::keychain::{Item, KeychainItem, SecurityFramework, Status};
/// use tokenkeep::{Secret, storage::Keystore};
///
/// /// A keychain in memory, for a test.
/// #[derive(Debug, Default)]
/// struct InMemory(Mutex<HashMap<Item, Secret>>);
///
/// impl SecurityFramework for InMemory {
///     fn find(&self, item: &Item) -> Result<Secret, Status> {
///         self.0.lock().unwrap().get(item).cloned().ok_or(Status::ITEM_NOT_FOUND)
///     }
///
///     fn update(&self, item: &Item, content: &[u8]) -> Result<(), Status> {
///         self.find(item)?;
///         self.0.lock().unwrap().insert(item.clone(), Secret::from(content));
///         Ok(())
///     }
///
///     fn add(&self, item: &Item, content: &[u8]) -> Result<(), Status> {
///         let absent = self.find(item).is_err();
///         self.0.lock().unwrap().insert(item.clone(), Secret::from(content));
///         absent.then_some(()).ok_or(Status::DUPLICATE_ITEM)
///     }
///
///     fn delete(&self, item: &Item) -> Result<(), Status> {
///         self.0.lock().unwrap().remove(item).map(drop).ok_or(Status::ITEM_NOT_FOUND)
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

    /// Replaces the content of an existing item: `SecItemUpdate`.
    ///
    /// # Errors
    /// The framework's status.
    fn update(&self, item: &Item, content: &[u8]) -> Result<(), Status>;

    /// Adds a new item: `SecItemAdd`.
    ///
    /// # Errors
    /// The framework's status.
    fn add(&self, item: &Item, content: &[u8]) -> Result<(), Status>;

    /// Removes an item: `SecItemDelete`.
    ///
    /// # Errors
    /// The framework's status.
    fn delete(&self, item: &Item) -> Result<(), Status>;

    /// Turns off prompts for all functions of this process until the returned value is dropped:
    /// `SecKeychainSetUserInteractionAllowed`.
    ///
    /// # Errors
    /// The framework's status.
    fn silence(&self) -> Result<Box<dyn Any>, Status>;
}
