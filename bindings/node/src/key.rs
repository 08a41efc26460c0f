//! Encrypted files: a key as JavaScript describes it, and the passphrase that JavaScript is asked for.
//!
//! A program may have to ask a person for its passphrase, which takes a callback in JavaScript and perhaps minutes.
//! No thread waits for that here, least of all under a lock: the operation that needs it fails with [`WANTED`], JavaScript
//! asks, hands the answer to [`Supply`] and starts the operation again.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use napi_derive::napi;
use tokenkeep::key_source::{KernelKeyring, KeyFile, KeySource, KeystoreItem, Passphrase, Portal};
use tokenkeep::options::Prompting;
use tokenkeep::{Config, Error, ErrorKind, Secret, storage::Keystore};

use crate::failure::{Failure, Wanted};

type Result<T, E = Error> = std::result::Result<T, E>;

/// Where the key of an encrypted file comes from. `kind` says which of the other fields are there.
#[napi(object)]
#[allow(missing_debug_implementations)] // One of the fields is a secret.
pub struct KeyOptions {
    /// `keystore`, `kernel-keyring`, `portal`, `passphrase`, `ask`, `passphrase-variable`, `key-file` or `key-variable`.
    pub kind: String,
    /// `keystore`: the item's service.
    pub service: Option<String>,
    /// `keystore`: the item's account.
    pub account: Option<String>,
    /// `keystore`, `portal`: how long a prompt may stand, in milliseconds; 0 for no prompt.
    pub prompt_limit: Option<u32>,
    /// `kernel-keyring`, `passphrase-variable`, `key-variable`: the name of the key or of the variable. A key of the kernel
    /// keyring without a name has the cache's partition.
    pub name: Option<String>,
    /// `key-file`: the file, absolute.
    pub path: Option<String>,
    /// `passphrase`: the passphrase itself.
    pub passphrase: Option<String>,
}

/// The passphrase that JavaScript is asked for, for as long as it lets it be known.
#[derive(Clone, Default)]
pub(crate) struct Supply(Arc<State>);

#[derive(Default)]
struct State {
    answer: Mutex<Answer>,
    /// Whether anything ever needed it.
    wanted: AtomicBool,
}

/// The program's answer to the question for its passphrase.
#[derive(Clone, Default)]
pub(crate) enum Answer {
    #[default]
    Unknown,
    Given(Secret),
    /// The program cannot give it.
    Refused,
}

impl Supply {
    pub(crate) fn set(&self, answer: Answer) {
        *self.answer() = answer;
    }

    pub(crate) fn was_wanted(&self) -> bool {
        self.0.wanted.load(Ordering::Relaxed)
    }

    fn answer(&self) -> MutexGuard<'_, Answer> {
        self.0.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn passphrase(&self) -> Result<Secret> {
        self.0.wanted.store(true, Ordering::Relaxed);
        let answer = self.answer().clone();
        match answer {
            Answer::Given(passphrase) => Ok(passphrase),
            // Cancelled: the operation ends here, and no other key or store is tried before the program was asked.
            Answer::Unknown => Err(Error::new(
                ErrorKind::Cancelled,
                "The passphrase of the encrypted cache has not been asked for",
            )
            .because(Wanted)),
            Answer::Refused => {
                Err(Error::new(ErrorKind::MissingKey, "The program did not give the passphrase"))
            }
        }
    }
}

/// The source of a key. A key of the kernel keyring that has no name of its own has that of the cache, `partition`. A
/// passphrase that JavaScript is asked for goes into `supply`.
pub(crate) fn source(
    key: KeyOptions,
    partition: &str,
    supply: Supply,
) -> Result<Arc<dyn KeySource>, Failure> {
    Ok(match key.kind.as_str() {
        "keystore" => {
            let config = Config::new(required(key.service)?).account(required(key.account)?);
            match config.prompting(prompting(key.prompt_limit.unwrap_or(0))).keystore_item() {
                Ok(item) => Arc::new(KeystoreItem::new(item)),
                Err(error) => Arc::new(KeystoreItem::new(Absent(error.to_string()))),
            }
        }
        "kernel-keyring" => Arc::new(KernelKeyring::new(key.name.as_deref().unwrap_or(partition))),
        "portal" => Arc::new(Portal::new().prompting(prompting(key.prompt_limit.unwrap_or(0)))),
        "passphrase" => Arc::new(Passphrase::new(required(key.passphrase)?.into_bytes())),
        "passphrase-variable" => Arc::new(Passphrase::from_environment(required(key.name)?)),
        "ask" => Arc::new(Passphrase::asking(move || supply.passphrase())),
        "key-file" => Arc::new(KeyFile::at(required(key.path)?)),
        "key-variable" => Arc::new(KeyFile::from_environment(required(key.name)?)),
        _ => return Err(Failure::new("internal", "The addon does not know this kind of key")),
    })
}

/// A prompt may stand for `limit` milliseconds; 0 allows none.
pub(crate) fn prompting(limit: u32) -> Prompting {
    match limit {
        0 => Prompting::Never,
        limit => Prompting::Allowed { limit: Duration::from_millis(limit.into()) },
    }
}

fn required(field: Option<String>) -> Result<String, Failure> {
    field.ok_or_else(|| Failure::new("internal", "The description of a key lacks a field"))
}

/// The keystore of a platform that has none. A key in it is an error when the key is needed, so that a fallback that is not
/// used is no error.
#[derive(Debug)]
struct Absent(String);

impl Absent {
    fn error<T>(&self) -> Result<T> {
        Err(Error::new(ErrorKind::NotSupported, self.0.clone()))
    }
}

impl Keystore for Absent {
    fn load(&self) -> Result<Option<Secret>> {
        self.error()
    }

    fn save(&self, _content: &Secret) -> Result<()> {
        self.error()
    }

    fn delete(&self) -> Result<bool> {
        self.error()
    }

    fn verify(&self) -> Result<()> {
        self.error()
    }

    fn location(&self) -> String {
        "the keystore that this platform does not have".to_owned()
    }
}
