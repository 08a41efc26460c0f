//! What a program may want to know although nothing failed.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::Info;

/// Something worth telling a person. More events may be added.
///
/// ```
/// use tokenkeep::event::Event;
///
/// let config = tokenkeep::Config::new("my-app").on_event(|event| match event {
///     Event::SetAside { copy, reason, .. } => eprintln!("the cache was damaged ({reason}); a copy is {copy}"),
///     Event::Warning(text) => eprintln!("{text}"),
///     _ => {}
/// });
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The content could not be used; a copy was kept and the cache starts empty.
    SetAside {
        /// The cache, by its file.
        path: PathBuf,
        /// Where the copy is: a file beside the cache (0600), or a keystore item.
        copy: String,
        /// What was wrong with it, without any of the content.
        reason: String,
    },
    /// The content was encrypted with a key that is gone for good, as it is after a restart of the machine when the
    /// key lived in memory. The cache starts empty; the next write keeps a copy beside it, with the suffix `.lapsed`.
    Lapsed {
        /// The cache, by its file.
        path: PathBuf,
        /// Why the key can never come back.
        reason: String,
    },
    /// A plaintext cache, of an older release or another library, stood where an encrypted one belongs. Its content
    /// was encrypted in its place, read back, and the plaintext overwritten.
    Encrypted {
        /// The cache, by its file.
        path: PathBuf,
    },
    /// Content left its store for a better protected one, because that one is there again or for the first time. It was
    /// read back there, and the old copy overwritten.
    Moved {
        /// The cache, by its file or marker file.
        path: PathBuf,
        /// Where it was.
        from: Info,
        /// Where it is.
        to: Info,
    },
    /// Something works but is weaker or odder than it should be: a world-writable directory, a lock held for ten
    /// minutes, a plaintext file chosen because no keystore answered.
    Warning(String),
    /// Progress that helps when reading a log: a lock taken over from a dead process, a probe removed.
    Notice(String),
}

/// Where events go; cloned into every part that can raise one. Costs nothing when nobody listens.
#[derive(Clone, Default)]
pub(crate) struct Events(Option<Arc<Listener>>);

type Listener = dyn Fn(&Event) + Send + Sync;

impl Events {
    pub(crate) fn to(listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    /// Raises the event that `make` builds, if anybody listens.
    pub(crate) fn raise(&self, make: impl FnOnce() -> Event) {
        if let Some(listener) = &self.0 {
            listener(&make());
        }
    }

    pub(crate) fn warn(&self, text: impl FnOnce() -> String) {
        self.raise(|| Event::Warning(text()));
    }

    pub(crate) fn notice(&self, text: impl FnOnce() -> String) {
        self.raise(|| Event::Notice(text()));
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Events(listened to)" } else { "Events" })
    }
}
