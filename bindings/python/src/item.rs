//! One item of a keystore alone, without a marker file: the helpers `LibSecretAgent` and `Keychain` of the original.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tokenkeep::options::Store as Place;
use tokenkeep::storage::{ItemShape, Keystore};
use tokenkeep::{Config, Result, Secret};

use crate::store::{KEYSTORE, prompting};
use crate::wait;

/// An item that is asked for at each call. Creating it makes no request.
#[derive(Debug)]
#[pyclass(frozen, module = "tokenkeep._native")]
pub(crate) struct Item(Config);

#[pymethods]
impl Item {
    /// An item of the Secret Service with this schema and these attributes.
    #[staticmethod]
    fn libsecret(
        schema: String,
        attributes: Vec<(String, String)>,
        label: String,
        prompt: f64,
    ) -> PyResult<Self> {
        let pairs: Vec<(&str, &str)> =
            attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let shape = ItemShape::python_given(schema, &pairs).labelled(label);
        Ok(Self(config(prompt)?.store(Place::SecretService).item_shape(shape)))
    }

    /// An item of the macOS Keychain.
    #[staticmethod]
    fn keychain(service: String, account: String, prompt: f64) -> PyResult<Self> {
        Ok(Self(config(prompt)?.store(Place::Keychain).service(service).account(account)))
    }

    /// The secret; none where there is no item.
    fn load<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let secret = self.ask(py, |item| item.load())?;
        Ok(secret.map(|secret| PyBytes::new(py, secret.expose())))
    }

    /// Creates the item, or replaces its secret.
    fn save(&self, py: Python<'_>, secret: Cow<'_, [u8]>) -> PyResult<()> {
        let secret = Secret::from(&*secret);
        self.ask(py, move |item| item.save(&secret))
    }

    /// Removes the item; returns whether there was one.
    fn clear(&self, py: Python<'_>) -> PyResult<bool> {
        self.ask(py, |item| item.delete())
    }
}

impl Item {
    fn ask<T: Send + 'static>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(Arc<dyn Keystore>) -> Result<T> + Send + 'static,
    ) -> PyResult<T> {
        let config = self.0.clone();
        wait::run_long(py, move || work(config.keystore_item()?))
    }
}

fn config(prompt: f64) -> PyResult<Config> {
    let config = Config::new("msal-extensions").path(PathBuf::new());
    Ok(config.prompting(prompting(prompt)?).keystore_deadline(KEYSTORE))
}
