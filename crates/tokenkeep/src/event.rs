//! What a program may want to know although nothing failed.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::Info;
use crate::options::{Attempt, Store, listed};

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
    /// The first store of a configuration does not work, and the cache was opened in a fallback.
    FellBack {
        /// The store that was chosen.
        to: Store,
        /// Where it keeps the cache, and how well it protects it.
        info: Info,
        /// The stores that were tried before it, each with its error.
        because: Arc<[Attempt]>,
        /// The store to which earlier content at this path was moved, where there was any: it comes back with that store.
        earlier: Option<String>,
    },
    /// Something works but is weaker or odder than it should be: a world-writable directory, a lock held for ten
    /// minutes.
    Warning(String),
    /// Progress that helps when reading a log: a lock taken over from a dead process, a probe removed.
    Notice(String),
}

/// The event in a sentence for a person, without any of the content.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetAside { path, copy, reason } => {
                write!(f, "{} could not be used: {reason}. A copy was kept at {copy}", path.display())
            }
            Self::Lapsed { path, reason } => {
                write!(f, "The sign-ins in {} have lapsed: {reason}", path.display())
            }
            Self::Encrypted { path } => {
                write!(f, "A plaintext cache was found at {} and encrypted in its place", path.display())
            }
            Self::Moved { path, from, to } => {
                let path = path.display();
                write!(f, "The sign-ins of {path} have moved from {} to {}", from.location, to.location)
            }
            Self::FellBack { to, info, because, earlier } => {
                let causes = listed(because);
                write!(f, "The cache is kept in {to} ({:?}) because {causes}", info.location)?;
                match earlier {
                    Some(place) => write!(f, "; what was stored before is in {place} and comes back with it"),
                    None => Ok(()),
                }
            }
            Self::Warning(text) | Self::Notice(text) => f.write_str(text),
        }
    }
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
