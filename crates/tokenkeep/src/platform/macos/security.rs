//! Apple's Security framework behind [`SecurityFramework`], without decisions.

use std::any::Any;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use core_foundation::base::TCFType;
use core_foundation::boolean::CFBoolean;
use core_foundation::data::CFData;
use security_framework::base::Error as Refusal;
use security_framework::item::{
    ItemAddOptions, ItemAddValue, ItemClass, ItemSearchOptions, ItemUpdateOptions, ItemUpdateValue, Limit,
    Location, Reference, SearchResult, update_item,
};
use security_framework::os::macos::keychain::{KeychainUserInteractionLock, SecKeychain};
use security_framework::os::macos::keychain_item::SecKeychainItem;
use security_framework::os::macos::passwords::find_generic_password;
use security_framework::passwords::{PasswordOptions, delete_generic_password_options, generic_password};

use crate::keychain::{Item, KeychainItem, SecurityFramework, Status};
use crate::{Result, Secret};

impl KeychainItem {
    /// The item with these attributes in the user's default keychain. Makes no call yet.
    ///
    /// # Errors
    /// `InvalidInput` if `service` or `account` is empty or contains a NUL.
    pub fn new(service: impl Into<String>, account: impl Into<String>) -> Result<Self> {
        // One for the process: its items share the order of their calls.
        static APPLE: OnceLock<Arc<dyn SecurityFramework>> = OnceLock::new();
        Self::through(APPLE.get_or_init(|| Arc::new(Apple)), service.into(), account.into())
    }
}

/// The framework itself.
#[derive(Debug)]
struct Apple;

impl SecurityFramework for Apple {
    fn find(&self, item: &Item) -> Result<Secret, Status> {
        let found = match item.only_default {
            false => generic_password(options(item)).map(Secret::new).map_err(status),
            true => Err(Status::ITEM_NOT_FOUND),
        };
        if found != Err(Status::ITEM_NOT_FOUND) || item.data_protection {
            return found;
        }
        // That function says so of every search that fails; the older one, which keytar calls, tells the reason.
        let only = only(item)?;
        let found = find_generic_password(only.as_deref(), &item.service, &item.account);
        found.map(|(content, _)| Secret::from(&*content)).map_err(status)
    }

    fn exists(&self, item: &Item) -> Result<bool, Status> {
        // Of the data protection keychain, references are of another type.
        let found = match item.data_protection {
            true => search(item)?.load_attributes(true).search().map(drop).map_err(status),
            false => reference(item).map(drop),
        };
        match found {
            Ok(()) => Ok(true),
            Err(Status::ITEM_NOT_FOUND) => Ok(false),
            Err(status) => Err(status),
        }
    }

    fn accounts(&self, service: &str) -> Result<Vec<String>, Status> {
        let mut search = ItemSearchOptions::new();
        search.class(ItemClass::generic_password()).service(service).load_attributes(true).limit(Limit::All);
        let found = match search.search() {
            Err(refusal) if status(refusal) == Status::ITEM_NOT_FOUND => return Ok(Vec::new()),
            found => found.map_err(status)?,
        };
        // kSecAttrAccount.
        let account = |found: SearchResult| found.simplify_dict()?.remove("acct");
        Ok(found.into_iter().filter_map(account).collect())
    }

    fn update(&self, item: &Item, content: &[u8]) -> Result<(), Status> {
        if !item.data_protection {
            return reference(item)?.set_password(content).map_err(status);
        }
        let mut new = ItemUpdateOptions::new();
        new.set_value(ItemUpdateValue::Data(CFData::from_buffer(content)));
        update_item(&search(item)?, &new).map_err(status)
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

    fn delete_reference(&self, item: &Item) -> Result<(), Status> {
        reference(item)?.delete();
        Ok(())
    }

    fn default_keychain(&self) -> Result<(), Status> {
        SecKeychain::default().map(drop).map_err(status)
    }

    fn unlock(&self) -> Result<(), Status> {
        SecKeychain::default().and_then(|mut keychain| keychain.unlock(None)).map_err(status)
    }

    fn silence(&self) -> Result<Box<dyn Any>, Status> {
        Ok(Box::new(Silence::begin()?))
    }
}

/// The query for an item in one of the two kinds of keychain. Without the choice, the framework asks both, and an item
/// of the data protection keychain wins.
fn options(item: &Item) -> PasswordOptions {
    let mut options = PasswordOptions::new_generic_password(&item.service, &item.account);
    options.use_protected_keychain();
    #[allow(deprecated, reason = "there is no other way to say no")]
    if let Some((_, choice)) = options.query.last_mut() {
        *choice = CFBoolean::from(item.data_protection).into_CFType();
    }
    if let Some(group) = &item.access_group {
        options.set_access_group(group);
    }
    options
}

/// The search for an item, without what to return.
fn search(item: &Item) -> Result<ItemSearchOptions, Status> {
    let mut search = ItemSearchOptions::new();
    search.class(ItemClass::generic_password()).service(&item.service).account(&item.account);
    if item.data_protection {
        search.ignore_legacy_keychains();
    }
    if let Some(group) = &item.access_group {
        search.access_group(group);
    }
    if let Some(only) = only(item)? {
        search.keychains(&only);
    }
    Ok(search)
}

/// The keychains to search; `None` for the user's list.
fn only(item: &Item) -> Result<Option<Vec<SecKeychain>>, Status> {
    item.only_default.then(|| SecKeychain::default().map(|one| vec![one])).transpose().map_err(status)
}

/// The item, found without its content.
fn reference(item: &Item) -> Result<SecKeychainItem, Status> {
    let mut search = search(item)?;
    let found = search.load_refs(true).search().map_err(status)?;
    let mut references = found.into_iter().filter_map(|one| match one {
        SearchResult::Ref(Reference::KeychainItem(item)) => Some(item),
        _ => None,
    });
    references.next().ok_or(Status::ITEM_NOT_FOUND)
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
