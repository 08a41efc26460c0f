//! Warnings about problems that did not make a request fail.

use std::fmt;
use std::sync::Arc;

/// The listener: the program's, or the `tracing` subscriber if there is none.
#[derive(Clone, Default)]
pub(crate) struct Warnings(Option<Arc<Listener>>);

type Listener = dyn Fn(&str) + Send + Sync;

impl Warnings {
    pub(crate) fn to(listener: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    /// Reports `text`, a sentence for the user without a secret.
    pub(crate) fn warn(&self, text: &str) {
        match &self.0 {
            Some(listener) => listener(text),
            None => tracing::warn!(target: "tokenkeep_azure", "{text}"),
        }
    }
}

impl fmt::Debug for Warnings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Warnings(listened to)" } else { "Warnings(traced)" })
    }
}
