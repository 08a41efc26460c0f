//! One opened store, for the classes of `tokenkeep._persistence`.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tokenkeep::options::{DataProtectionScope, Durability, Prompting, Store as Place};
use tokenkeep::storage::{ItemShape, StoreKind};
use tokenkeep::{Config, TokenCache};

use crate::keys::Key;
use crate::lock::held_for;
use crate::write::Write;
use crate::{events, wait};

/// A keystore answers one call within this time.
pub(crate) const KEYSTORE: Duration = Duration::from_secs(5);

/// A store, opened anew in a forked child.
#[derive(Debug)]
#[pyclass(frozen, module = "tokenkeep._native")]
pub(crate) struct Store {
    config: Config,
    /// The cache with the process that opened it. The caches of parents stay, because their threads do not exist here.
    opened: Mutex<Vec<(u32, TokenCache)>>,
}

#[pymethods]
impl Store {
    /// A plaintext file, as the original's `FilePersistence`. Synced: a write is on the disk before it is acknowledged.
    #[staticmethod]
    fn file(py: Python<'_>, path: PathBuf, synced: bool) -> PyResult<Self> {
        let durability = if synced { Durability::Synced } else { Durability::Cached };
        Self::open(py, config(path).store(Place::PlaintextFile).durability(durability))
    }

    /// An encrypted file.
    #[staticmethod]
    fn encrypted_file(py: Python<'_>, path: PathBuf, key: &Key, partition: String) -> PyResult<Self> {
        Self::open(py, config(path).store(key.store()).partition(partition).verify(true))
    }

    /// A file that Windows encrypts.
    #[staticmethod]
    fn data_protection(py: Python<'_>, path: PathBuf, entropy: &str) -> PyResult<Self> {
        let entropy = (!entropy.is_empty()).then(|| entropy.into());
        let place = Place::DataProtection { scope: DataProtectionScope::CurrentUser, entropy };
        Self::open(py, config(path).store(place))
    }

    /// An item of the Secret Service as the original's `LibsecretPersistence` makes it, verified. `fallback` is the key of
    /// an encrypted file or `plaintext`; each is tried in order where the keyring does not work.
    #[staticmethod]
    #[pyo3(signature = (path, given, schema, attributes, label, prompt, fallback, partition))]
    #[expect(clippy::too_many_arguments, reason = "a call of this package's own Python code")]
    fn libsecret(
        py: Python<'_>,
        path: PathBuf,
        given: PathBuf,
        schema: Option<String>,
        attributes: Vec<(String, String)>,
        label: String,
        prompt: f64,
        fallback: Vec<Option<Py<Key>>>,
        partition: Option<String>,
    ) -> PyResult<Self> {
        let pairs: Vec<(&str, &str)> =
            attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let shape = match schema {
            Some(schema) => ItemShape::python_given(schema, &pairs),
            None if pairs.is_empty() => ItemShape::python(&given),
            None => {
                let hash = ItemShape::python(&given);
                ItemShape::python_given(hash.schema().unwrap_or_default(), &pairs)
            }
        };
        let shape = shape.labelled(label);
        let partition = partition.unwrap_or_else(|| shape.to_string());
        let prompting = prompting(prompt)?;
        let fallbacks =
            fallback.iter().map(|key| key.as_ref().map_or(Place::PlaintextFile, |key| key.get().store()));
        let config = config(path)
            .store(Place::SecretService)
            .item_shape(shape)
            .partition(partition)
            .prompting(prompting)
            .keystore_deadline(KEYSTORE)
            .fallback(fallbacks)
            .verify(true);
        Self::open(py, config)
    }

    /// An item of the macOS Keychain as the original's `KeychainPersistence` makes it.
    #[staticmethod]
    fn keychain(
        py: Python<'_>,
        path: PathBuf,
        service: String,
        account: String,
        prompt: f64,
    ) -> PyResult<Self> {
        let prompting = prompting(prompt)?;
        let config =
            config(path).store(Place::Keychain).service(service).account(account).prompting(prompting);
        Self::open(py, config)
    }

    /// The backend, the protection, whether it survives a restart, and the place.
    fn info(&self, py: Python<'_>) -> PyResult<(&'static str, &'static str, bool, String)> {
        let info = self.cache(py)?.info();
        Ok((info.backend.code(), info.protection.code(), info.survives_reboot, info.location))
    }

    /// The content; none where nothing is stored.
    fn load<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let cache = self.cache(py)?;
        let held = held_for(py, cache.persistence().path());
        let read = move |cache: &TokenCache| match held {
            // A read of the cache might wait for the lock that this process holds.
            Some(guard) => Ok(cache.persistence().load(Some(&guard))?.content),
            None => cache.read(),
        };
        let content = run(py, cache, read)?;
        Ok(content.map(|content| PyBytes::new(py, content.expose())))
    }

    /// Stores the content: under the lock of this cache that this process holds, else within `limit` seconds.
    fn save(&self, py: Python<'_>, content: Cow<'_, [u8]>, limit: f64) -> PyResult<()> {
        let cache = self.cache(py)?;
        if let Some(guard) = held_for(py, cache.persistence().path()) {
            let content = content.into_owned();
            return run(py, cache, move |cache| {
                let saved = cache.persistence().save(&guard, &content);
                cache.forget();
                saved.map(drop)
            });
        }
        self.begin(py, limit)?.commit(py, content).map(drop)
    }

    /// The content and its number, unless it still is that of `generation`.
    #[pyo3(signature = (generation))]
    fn snapshot_if_changed<'py>(
        &self,
        py: Python<'py>,
        generation: Option<u64>,
    ) -> PyResult<Option<(u64, Option<Bound<'py, PyBytes>>)>> {
        let cache = self.cache(py)?;
        if let Some(guard) = held_for(py, cache.persistence().path()) {
            let loaded = run(py, cache, move |cache| cache.persistence().load(Some(&guard)))?;
            // No number: the next look reads again.
            return Ok(Some((0, loaded.content.map(|content| PyBytes::new(py, content.expose())))));
        }
        let looked = run(py, cache, move |cache| match generation {
            Some(generation) if cache.is_current(generation) => Ok(None),
            _ => cache.snapshot().map(Some),
        })?;
        Ok(looked.filter(|snapshot| Some(snapshot.generation) != generation).map(|snapshot| {
            (snapshot.generation, snapshot.content.map(|content| PyBytes::new(py, content.expose())))
        }))
    }

    /// Takes the lock within `limit` seconds and reads the newest content.
    fn begin(&self, py: Python<'_>, limit: f64) -> PyResult<Write> {
        let limit = wait::seconds(limit)?;
        let cache = self.cache(py)?;
        let is_item = is_item(&cache);
        let later = |wait: &tokenkeep::options::WaitOptions| {
            let (cache, wait) = (cache.clone(), wait.clone());
            tokenkeep::nonblocking::run(move || cache.begin_write_waiting(&wait))
        };
        let access = if is_item {
            let wait = tokenkeep::options::WaitOptions::within(limit);
            let cache = cache.clone();
            wait::run_long(py, move || cache.begin_write_waiting(&wait))?
        } else {
            wait::take(py, limit, |wait| cache.begin_write_waiting(wait), later)?
        };
        Ok(Write::new(access, is_item))
    }
}

impl Store {
    fn open(py: Python<'_>, config: Config) -> PyResult<Self> {
        let store = Self { config, opened: Mutex::default() };
        store.cache(py)?;
        Ok(store)
    }

    /// The cache, opened by this process.
    fn cache(&self, py: Python<'_>) -> PyResult<TokenCache> {
        let process = std::process::id();
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        let verified = !opened.is_empty();
        if let Some((_, cache)) = opened.last().filter(|(owner, _)| *owner == process) {
            return Ok(cache.clone());
        }
        drop(opened);
        // What the parent verified is not verified again.
        let config = if verified { self.config.clone().verify(false) } else { self.config.clone() };
        let cache = wait::run_long(py, move || config.open())?;
        self.opened.lock().unwrap_or_else(PoisonError::into_inner).push((process, cache.clone()));
        Ok(cache)
    }
}

/// Runs work on a cache.
fn run<T: Send + 'static>(
    py: Python<'_>,
    cache: TokenCache,
    work: impl FnOnce(&TokenCache) -> tokenkeep::Result<T> + Send + 'static,
) -> PyResult<T> {
    if is_item(&cache) { wait::run_long(py, move || work(&cache)) } else { wait::run(py, || work(&cache)) }
}

/// How long a prompt may stand, in seconds; none at 0.
pub(crate) fn prompting(seconds: f64) -> PyResult<Prompting> {
    Ok(match wait::seconds(seconds)? {
        Duration::ZERO => Prompting::Never,
        limit => Prompting::Allowed { limit },
    })
}

/// Whether a keystore answers, which can take seconds.
fn is_item(cache: &TokenCache) -> bool {
    matches!(cache.persistence().kind(), StoreKind::Item { .. })
}

fn config(path: PathBuf) -> Config {
    Config::new("msal-extensions").path(path).create(false).verify(false).on_event(events::put)
}
