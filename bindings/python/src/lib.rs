//! The native module `tokenkeep._native` inside the Python package.
//!
//! Everything that decides anything is in the core; this crate moves calls and answers between Python and it. Four
//! rules hold throughout:
//!
//! - Whatever may touch a file, a lock or a keystore runs detached from the interpreter ([`wait`]).
//! - A thread comes back to the interpreter through [`ending`] alone.
//! - A panic becomes `tokenkeep.InternalError` ([`wait`]): PyO3's own exception stops no `except Exception`.
//! - Locks of this crate are only held while attached to the interpreter, which a `fork` holds as well. So a forked child
//!   never finds one locked.

// Without unwinding a panic could not become an exception: it would end the process.
#[cfg(not(panic = "unwind"))]
compile_error!("the module must be compiled with panic = \"unwind\"");

mod ending;
mod events;
mod failure;
mod item;
mod keys;
mod lock;
mod store;
mod wait;
mod write;

use pyo3::pymodule;

#[pymodule(gil_used = false)]
mod _native {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::ending::interpreter_ends;
    #[pymodule_export]
    use crate::events::take_events;
    #[pymodule_export]
    use crate::item::Item;
    #[pymodule_export]
    use crate::keys::Key;
    #[pymodule_export]
    use crate::lock::Lock;
    #[pymodule_export]
    use crate::store::Store;
    #[cfg(feature = "panic-test")]
    #[pymodule_export]
    use crate::wait::panic_next;
    #[pymodule_export]
    use crate::write::Write;

    /// Makes the threads and queues of the core anew in a forked child.
    #[pyfunction]
    fn after_fork_in_child() {
        tokenkeep::after_fork_in_child();
        crate::ending::after_fork_in_child();
    }

    /// Encrypts for the signed-in Windows user, or decrypts.
    #[cfg(windows)]
    #[pyfunction]
    fn data_protection<'py>(
        py: Python<'py>,
        bytes: Vec<u8>,
        entropy: &str,
        encrypts: bool,
    ) -> PyResult<Bound<'py, pyo3::types::PyBytes>> {
        use tokenkeep::options::DataProtectionScope;
        use tokenkeep::storage::{DataProtection, Protector};

        let agent = DataProtection::new(DataProtectionScope::CurrentUser).entropy(entropy);
        let answer: tokenkeep::Secret = crate::wait::run(py, move || match encrypts {
            true => Ok(agent.protect(&bytes, None)?.into_owned().into()),
            false => agent.unprotect(bytes.into()),
        })?;
        Ok(pyo3::types::PyBytes::new(py, answer.expose()))
    }

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
