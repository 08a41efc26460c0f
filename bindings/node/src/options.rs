//! A cache as JavaScript describes it, in the words of the core's [`Config`].

use napi_derive::napi;
use tokenkeep::options::{DataProtectionScope, Durability, Store};
use tokenkeep::{Config, Secret};

use crate::failure::Failure;
use crate::key::{self, KeyOptions, Supply, prompting};

/// A cache: its names, and the stores to try.
#[napi(object)]
#[allow(missing_debug_implementations)] // The keys of its stores may hold a secret.
pub struct CacheOptions {
    /// The number that the cache's events carry.
    pub source: u32,
    /// The cache file or marker file, absolute.
    pub path: String,
    /// The keystore item's service.
    pub service: Option<String>,
    /// The keystore item's account.
    pub account: Option<String>,
    /// The name that an encrypted file is bound to. Default: `service/account`.
    pub partition: Option<String>,
    /// The stores to try, in this order; at least one.
    pub stores: Vec<StoreOptions>,
    /// Further stores that may have kept this cache before.
    pub import_from: Vec<StoreOptions>,
    /// How long a prompt of the keystore may stand, in milliseconds; 0 for no prompt.
    pub prompt_limit: u32,
    /// Whether writes are synced to the disk.
    pub synced: bool,
}

/// A store. `kind` says which of the other fields are there.
#[napi(object)]
#[allow(missing_debug_implementations)] // Two of the fields are secrets.
pub struct StoreOptions {
    /// `secret-service`, `keychain`, `data-protection`, `encrypted-file`, `plaintext-file` or `memory`.
    pub kind: String,
    /// `encrypted-file`: where its key comes from.
    pub key: Option<KeyOptions>,
    /// `data-protection`: whether every user of the machine can decrypt it.
    pub machine: Option<bool>,
    /// `data-protection`: a second secret.
    pub entropy: Option<String>,
}

impl CacheOptions {
    /// The configuration, and where the passphrase of each key goes that JavaScript has to ask for: one for each key, in
    /// the order of the stores.
    pub(crate) fn into_config(self) -> Result<(Config, Vec<Supply>), Failure> {
        let mut config = Config::new("")
            .path(self.path)
            .prompting(prompting(self.prompt_limit))
            .durability(if self.synced { Durability::Synced } else { Durability::Cached });
        if let (Some(service), Some(account)) = (self.service, self.account) {
            config = config.service(service).account(account);
        }
        if let Some(partition) = self.partition {
            config = config.partition(partition);
        }
        let partition = config.file_partition();
        let mut supplies = Vec::new();
        let mut store = |store: StoreOptions| store.into_store(&partition, &mut supplies);
        let mut stores = self.stores.into_iter().map(&mut store).collect::<Result<Vec<_>, _>>()?.into_iter();
        let imports = self.import_from.into_iter().map(store).collect::<Result<Vec<_>, _>>()?;
        let first = stores.next().ok_or_else(|| Failure::new("internal", "No store was named"))?;
        let config = config.store(first).fallback(stores).import_from(imports);
        Ok((config, supplies))
    }
}

impl StoreOptions {
    fn into_store(self, partition: &str, supplies: &mut Vec<Supply>) -> Result<Store, Failure> {
        Ok(match self.kind.as_str() {
            "secret-service" => Store::SecretService,
            "keychain" => Store::Keychain,
            "data-protection" => Store::DataProtection {
                scope: match self.machine {
                    Some(true) => DataProtectionScope::LocalMachine,
                    _ => DataProtectionScope::CurrentUser,
                },
                entropy: self.entropy.map(Secret::from),
            },
            "encrypted-file" => {
                let key = self.key.ok_or_else(|| Failure::new("internal", "The store lacks its key"))?;
                let supply = Supply::default();
                supplies.push(supply.clone());
                Store::EncryptedFile(key::source(key, partition, supply)?)
            }
            "plaintext-file" => Store::PlaintextFile,
            "memory" => Store::Memory,
            _ => return Err(Failure::new("internal", "The addon does not know this kind of store")),
        })
    }
}
