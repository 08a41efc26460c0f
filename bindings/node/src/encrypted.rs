//! Encrypted files: a key as JavaScript describes it, and the passphrase that JavaScript is asked for.
//!
//! A program may have to ask a person for its passphrase, which takes a callback in JavaScript and perhaps minutes.
//! Nobody waits for that here, least of all under a lock: the operation that needs it fails with [`WANTED`], JavaScript
//! asks, hands the answer to [`Supply`] and starts the operation again.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use napi_derive::napi;
use tokenkeep::key_source::{KernelKeyring, KeyFile, KeySource, Passphrase};
use tokenkeep::{
    Error, ErrorKind, Secret,
    storage::{FilePersistence, Sealed},
};

use crate::failure::{Failure, WANTED, Wanted};
use crate::keystore;

/// Where the key of an encrypted file comes from. `kind` says which of the other fields are there.
#[napi(object)]
#[allow(missing_debug_implementations)] // One of the fields is a secret.
pub struct KeyPlace {
    /// `keystore`, `kernel-keyring`, `passphrase`, `ask`, `passphrase-variable`, `key-file` or `key-variable`.
    pub kind: String,
    /// `keystore`: the item's service.
    pub service: Option<String>,
    /// `keystore`: the item's account.
    pub account: Option<String>,
    /// `keystore`: how long a prompt may stand, in milliseconds; 0 for no prompt.
    pub prompt_limit: Option<u32>,
    /// `kernel-keyring`, `passphrase-variable`, `key-variable`: the name of the key or of the variable.
    pub name: Option<String>,
    /// `key-file`: the file, absolute.
    pub path: Option<String>,
    /// `passphrase`: the passphrase itself.
    pub passphrase: Option<String>,
}

/// The passphrase that JavaScript was asked for, for as long as it lets it be known.
#[derive(Clone, Default)]
pub(crate) struct Supply(Arc<State>);

#[derive(Default)]
struct State {
    passphrase: Mutex<Option<Secret>>,
    /// Whether anything ever needed it.
    wanted: AtomicBool,
}

impl Supply {
    pub(crate) fn set(&self, passphrase: Option<String>) {
        *self.known() = passphrase.map(|text| Secret::new(text.into_bytes()));
    }

    pub(crate) fn was_wanted(&self) -> bool {
        self.0.wanted.load(Ordering::Relaxed)
    }

    /// Whether JavaScript has to be asked before what failed can succeed.
    fn is_missing(&self) -> bool {
        self.was_wanted() && self.known().is_none()
    }

    fn known(&self) -> MutexGuard<'_, Option<Secret>> {
        self.0.passphrase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn passphrase(&self) -> Result<Secret, Error> {
        self.0.wanted.store(true, Ordering::Relaxed);
        let known = self.known().clone();
        known.ok_or_else(|| {
            Error::new(ErrorKind::MissingKey, "The passphrase of the encrypted cache has not been asked for")
                .because(Wanted)
        })
    }
}

/// The failure as JavaScript gets it: what stands in a marker's place and could not be opened may open with one of the
/// passphrases that it was not asked for yet.
pub(crate) fn explain(failure: Failure, supplies: &[Supply]) -> Failure {
    let occupied = failure.kind() == ErrorKind::MarkerOccupied.code();
    if occupied && supplies.iter().any(Supply::is_missing) { failure.of_kind(WANTED) } else { failure }
}

/// The file at `path`, encrypted with the key at `place` under the name `partition`; and where the passphrase is to be
/// put, if that is what JavaScript has to ask for.
pub(crate) fn file(
    path: &Path,
    partition: String,
    place: KeyPlace,
) -> Result<(FilePersistence, Option<Supply>), Failure> {
    let mut supply = None;
    let source: Arc<dyn KeySource> = match place.kind.as_str() {
        "keystore" => {
            let (service, account) = (required(place.service)?, required(place.account)?);
            keystore::key(&service, &account, place.prompt_limit.unwrap_or(0))?
        }
        "kernel-keyring" => Arc::new(KernelKeyring::new(required(place.name)?)),
        "passphrase" => Arc::new(Passphrase::new(required(place.passphrase)?.into_bytes())),
        "passphrase-variable" => Arc::new(Passphrase::from_environment(required(place.name)?)),
        "ask" => {
            let own = supply.insert(Supply::default()).clone();
            Arc::new(Passphrase::asking(move || own.passphrase()))
        }
        "key-file" => Arc::new(KeyFile::at(required(place.path)?)),
        "key-variable" => Arc::new(KeyFile::from_environment(required(place.name)?)),
        _ => return Err(Failure::new("internal", "The addon does not know this kind of key")),
    };
    let file = FilePersistence::with_protector(path, Sealed::shared(source, partition))?;
    Ok((file, supply))
}

fn required(field: Option<String>) -> Result<String, Failure> {
    field.ok_or_else(|| Failure::new("internal", "The description of a key lacks a field"))
}
