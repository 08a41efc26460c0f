//! What a program may want to know although its request did not fail.

use std::fmt;
use std::sync::Arc;

/// Who is told: the program's listener, or the `tracing` subscriber where there is none.
#[derive(Clone, Default)]
pub(crate) struct Warnings(Option<Arc<Listener>>);

type Listener = dyn Fn(&str) + Send + Sync;

impl Warnings {
    pub(crate) fn to(listener: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    /// `text` is for a person and holds no secret.
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
