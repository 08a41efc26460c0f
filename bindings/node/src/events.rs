//! What the core tells beside its results, on the way to JavaScript.

use std::sync::{Arc, Weak};

use tokenkeep::event::Event;

use crate::guard::{Place, quietly};
use crate::link::Link;
use crate::reply::{Reply, Told};

/// A listener for the core that passes everything on to `link` under the number `source`.
pub(crate) fn listener(link: &Arc<Link>, source: u32) -> impl Fn(&Event) + Send + Sync + Clone + use<> {
    // Weak: a cache must not keep alive the channel that its JavaScript thread has closed.
    let link = Arc::downgrade(link);
    move |event| quietly(Place::Event, || tell(&link, source, event))
}

fn tell(link: &Weak<Link>, source: u32, event: &Event) {
    let (kind, message, path, copy) = match event {
        Event::SetAside { path, copy, reason } => {
            let message =
                format!("{} could not be used: {reason}. A copy was kept at {copy}", path.display());
            ("set_aside", message, Some(path), Some(copy))
        }
        Event::Lapsed { path, reason } => {
            let message = format!("The sign-ins in {} have lapsed: {reason}", path.display());
            ("lapsed", message, Some(path), None)
        }
        Event::Encrypted { path } => {
            let message =
                format!("A plaintext cache was found at {} and encrypted in its place", path.display());
            ("encrypted", message, Some(path), None)
        }
        Event::Moved { path, from, to } => {
            let message = format!(
                "The sign-ins of {} have moved from {} to {}",
                path.display(),
                from.location,
                to.location
            );
            ("moved", message, Some(path), None)
        }
        Event::Warning(text) => ("warning", text.clone(), None, None),
        Event::Notice(text) => ("notice", text.clone(), None, None),
        // A kind that is newer than this addon: better told badly than not at all.
        other => ("notice", format!("{other:?}"), None, None),
    };
    if let Some(link) = link.upgrade() {
        let (path, copy) = (path.cloned(), copy.cloned());
        let moved = match event {
            Event::Moved { from, to, .. } => Some((from.clone(), to.clone())),
            _ => None,
        };
        link.tell(Reply::Event(Told { source, kind, message, path, copy, moved }));
    }
}
