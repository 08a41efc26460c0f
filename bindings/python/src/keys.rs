//! Where the key of an encrypted file comes from.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use tokenkeep::key_source::{KernelKeyring, KeyFile, KeySource, Passphrase, Portal};
use tokenkeep::options::Store;

/// A source of a key. Printing it shows nothing.
#[derive(Debug)]
#[pyclass(frozen, module = "tokenkeep._native")]
pub(crate) struct Key(Arc<dyn KeySource>);

#[pymethods]
impl Key {
    /// A key in a file.
    #[staticmethod]
    fn file(path: PathBuf) -> Self {
        Self(Arc::new(KeyFile::at(path)))
    }

    /// A key in an environment variable.
    #[staticmethod]
    fn variable(name: &str) -> Self {
        Self(Arc::new(KeyFile::from_environment(name)))
    }

    /// A key in the memory of the Linux kernel, until the machine restarts.
    #[staticmethod]
    fn kernel(name: &str) -> Self {
        Self(Arc::new(KernelKeyring::new(name)))
    }

    /// The secret of the desktop's portal.
    #[staticmethod]
    fn portal() -> Self {
        Self(Arc::new(Portal::new()))
    }

    /// A key derived from a passphrase in an environment variable.
    #[staticmethod]
    fn passphrase_variable(name: &str) -> Self {
        Self(Arc::new(Passphrase::from_environment(name)))
    }
}

impl Key {
    pub(crate) fn store(&self) -> Store {
        Store::EncryptedFile(Arc::clone(&self.0))
    }
}
