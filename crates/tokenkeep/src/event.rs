//! Events that a program may want to know although no call failed.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::Info;
use crate::options::{Attempt, Store, listed};
use crate::text;

/// An event for the user. More kinds may be added.
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
    /// The content was unusable; a copy was kept and the cache starts empty.
    SetAside {
        /// The file of the cache.
        path: PathBuf,
        /// The location of the copy: a file beside the cache (0600), or a keystore item.
        copy: String,
        /// The fault, without any of the content.
        reason: String,
    },
    /// The key of the content is lost, for example after a restart of the machine if the key was in memory. The cache
    /// starts empty; the next write keeps a copy beside it, with the suffix `.lapsed`.
    Lapsed {
        /// The file of the cache.
        path: PathBuf,
        /// The reason why the key is lost.
        reason: String,
    },
    /// A plaintext cache, of an older release or another library, was at the path of an encrypted one. Its content
    /// was encrypted at the same path and read back, and the plaintext was overwritten.
    Encrypted {
        /// The file of the cache.
        path: PathBuf,
    },
    /// The content moved to a better protected store, because that store is available again or for the first time. It
    /// was read back there, and the old copy was overwritten.
    Moved {
        /// The file or marker file of the cache.
        path: PathBuf,
        /// The source.
        from: Info,
        /// The target.
        to: Info,
    },
    /// The first store of a configuration does not work, and the cache was opened in a fallback.
    FellBack {
        /// The chosen store.
        to: Store,
        /// The location of the cache in it, and its protection.
        info: Info,
        /// The stores that failed before it, each with its error.
        because: Arc<[Attempt]>,
        /// The store to which earlier content at this path was moved, if there was any; the content is available
        /// again with that store.
        earlier: Option<String>,
    },
    /// A state that works but is weaker or more unusual than it should be: a world-writable directory, a lock held
    /// for ten minutes.
    Warning(String),
    /// Progress, for readers of a log: a lock taken over from a dead process, a probe removed.
    Notice(String),
}

/// Formats the event as a sentence, without any of the content.
impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text::whole(&Sentence(self).to_string()))
    }
}

/// The sentence, with paths as they are.
struct Sentence<'e>(&'e Event);

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Event::SetAside { path, copy, reason } => {
                write!(f, "{} could not be used: {reason}. A copy was kept at {copy}", path.display())
            }
            Event::Lapsed { path, reason } => {
                write!(f, "The sign-ins in {} have lapsed: {reason}", path.display())
            }
            Event::Encrypted { path } => {
                write!(f, "A plaintext cache was found at {} and encrypted in its place", path.display())
            }
            Event::Moved { path, from, to } => {
                let path = path.display();
                write!(f, "The sign-ins of {path} have moved from {} to {}", from.location, to.location)
            }
            Event::FellBack { to, info, because, earlier } => {
                let causes = listed(because);
                write!(f, "The cache is kept in {to} ({:?}) because {causes}", info.location)?;
                match earlier {
                    Some(place) => write!(f, "; what was stored before is in {place} and comes back with it"),
                    None => Ok(()),
                }
            }
            Event::Warning(text) | Event::Notice(text) => f.write_str(text),
        }
    }
}

/// Passes events to the listener. It is cloned into every part that can raise one, and costs nothing without a
/// listener.
#[derive(Clone, Default)]
pub(crate) struct Events(Option<Arc<Listener>>);

type Listener = dyn Fn(&Event) + Send + Sync;

impl Events {
    pub(crate) fn to(listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    /// Raises the event that `make` builds, if there is a listener.
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
