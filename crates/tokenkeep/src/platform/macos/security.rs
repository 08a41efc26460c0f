//! Apple's Security framework behind [`SecurityFramework`]: one call each, without decisions.

use std::any::Any;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use core_foundation::data::CFData;
use security_framework::base::Error as Refusal;
use security_framework::item::{
    ItemAddOptions, ItemAddValue, ItemClass, ItemSearchOptions, ItemUpdateOptions, ItemUpdateValue, Location,
    update_item,
};
use security_framework::os::macos::keychain::{KeychainUserInteractionLock, SecKeychain};
use security_framework::passwords::{PasswordOptions, delete_generic_password_options, generic_password};

use crate::keychain::{Item, KeychainItem, SecurityFramework, Status};
use crate::{Result, Secret};

impl KeychainItem {
    /// The item with these attributes in the user's default keychain. Makes no call yet.
    ///
    /// # Errors
    /// `InvalidInput` if `service` or `account` is empty or contains a NUL.
    pub fn new(service: impl Into<String>, account: impl Into<String>) -> Result<Self> {
        static PROVEN: OnceLock<Arc<AtomicBool>> = OnceLock::new();
        let item = Self::through(Arc::new(Apple), service.into(), account.into())?;
        Ok(item.proven_by(Arc::clone(PROVEN.get_or_init(Arc::default))))
    }
}

/// The framework itself.
#[derive(Debug)]
struct Apple;

impl SecurityFramework for Apple {
    fn find(&self, item: &Item) -> Result<Secret, Status> {
        generic_password(options(item)).map(Secret::new).map_err(status)
    }

    fn update(&self, item: &Item, content: &[u8]) -> Result<(), Status> {
        let mut found = ItemSearchOptions::new();
        found.class(ItemClass::generic_password()).service(&item.service).account(&item.account);
        if item.data_protection {
            found.ignore_legacy_keychains();
        }
        if let Some(group) = &item.access_group {
            found.access_group(group);
        }
        let mut new = ItemUpdateOptions::new();
        new.set_value(ItemUpdateValue::Data(CFData::from_buffer(content)));
        update_item(&found, &new).map_err(status)
    }

    fn add(&self, item: &Item, content: &[u8]) -> Result<(), Status> {
        let class = ItemClass::generic_password();
        let mut new = ItemAddOptions::new(ItemAddValue::Data { class, data: CFData::from_buffer(content) });
        // The label of keytar's items.
        new.set_service(&item.service).set_account_name(&item.account).set_label(&item.service);
        if item.data_protection {
            new.set_location(Location::DataProtectionKeychain);
        }
        if let Some(group) = &item.access_group {
            new.set_access_group(group);
        }
        new.add().map_err(status)
    }

    fn delete(&self, item: &Item) -> Result<(), Status> {
        delete_generic_password_options(options(item)).map_err(status)
    }

    fn silence(&self) -> Result<Box<dyn Any>, Status> {
        Ok(Box::new(Silence::begin()?))
    }
}

fn options(item: &Item) -> PasswordOptions {
    let mut options = PasswordOptions::new_generic_password(&item.service, &item.account);
    if item.data_protection {
        options.use_protected_keychain();
    }
    if let Some(group) = &item.access_group {
        options.set_access_group(group);
    }
    options
}

fn status(refusal: Refusal) -> Status {
    Status(refusal.code())
}

/// The number of operations that must be silent now. The switch belongs to the process: the first operation turns
/// prompts off, the last one on again.
static SILENT: Mutex<(usize, Option<KeychainUserInteractionLock>)> = Mutex::new((0, None));

struct Silence;

impl Silence {
    fn begin() -> Result<Self, Status> {
        let mut silent = SILENT.lock().unwrap_or_else(PoisonError::into_inner);
        // A program that has turned prompts off itself stays silent.
        if silent.0 == 0 && SecKeychain::user_interaction_allowed().map_err(status)? {
            silent.1 = Some(SecKeychain::disable_user_interaction().map_err(status)?);
        }
        silent.0 += 1;
        Ok(Self)
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        let mut silent = SILENT.lock().unwrap_or_else(PoisonError::into_inner);
        silent.0 -= 1;
        if silent.0 == 0 {
            silent.1 = None;
        }
    }
}
