//! A write that has begun: the lock is held, and the content is the newest.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tokenkeep::WriteAccess;

use crate::ending::detached;
use crate::wait;

/// The right to write once.
#[derive(Debug)]
#[pyclass(frozen, module = "tokenkeep._native")]
pub(crate) struct Write {
    access: Mutex<Option<WriteAccess>>,
    /// Whether a keystore may have to answer.
    is_item: bool,
}

impl Write {
    pub(crate) fn new(access: WriteAccess, is_item: bool) -> Self {
        Self { access: Mutex::new(Some(access)), is_item }
    }

    fn take(&self) -> PyResult<WriteAccess> {
        let access = self.access.lock().unwrap_or_else(PoisonError::into_inner).take();
        access.ok_or_else(|| PyRuntimeError::new_err("this write has ended"))
    }
}

#[pymethods]
impl Write {
    /// The content and its number.
    fn content<'py>(&self, py: Python<'py>) -> PyResult<(u64, Option<Bound<'py, PyBytes>>)> {
        let access = self.access.lock().unwrap_or_else(PoisonError::into_inner);
        let access = access.as_ref().ok_or_else(|| PyRuntimeError::new_err("this write has ended"))?;
        let content = access.content().map(|content| PyBytes::new(py, content));
        Ok((access.snapshot().generation, content))
    }

    /// Stores the content, releases the lock, and returns the content's number.
    pub(crate) fn commit(&self, py: Python<'_>, content: Cow<'_, [u8]>) -> PyResult<u64> {
        let access = self.take()?;
        let content = content.into_owned();
        let stored = if self.is_item {
            wait::run_long(py, move || access.commit(content))?
        } else {
            wait::run(py, move || access.commit(content))?
        };
        Ok(stored.generation)
    }

    /// Keeps a copy of content that is of no use. The content is then absent.
    fn set_aside(&self, py: Python<'_>, reason: &str) -> PyResult<()> {
        let mut access = self.take()?;
        let access = wait::run(py, move || access.set_aside(reason).map(|()| access))?;
        *self.access.lock().unwrap_or_else(PoisonError::into_inner) = Some(access);
        Ok(())
    }

    /// Releases the lock without a write. Nothing happens where the write has ended.
    fn release(&self, py: Python<'_>) {
        let access = self.access.lock().unwrap_or_else(PoisonError::into_inner).take();
        detached(py, move || drop(access));
    }
}
