//! What the core tells beside its results, on the way to JavaScript.

use std::sync::{Arc, Weak};

use tokenkeep::event::Event;

use crate::guard::{Place, quietly};
use crate::link::Link;
use crate::reply::{Reply, Told};

/// A listener for the core that passes everything on to `link` under the number `source`.
pub(crate) fn listener(link: &Arc<Link>, source: u32) -> impl Fn(&Event) + Send + Sync + use<> {
    // Weak: a cache must not keep alive the channel that its JavaScript thread has closed.
    let link = Arc::downgrade(link);
    move |event| quietly(Place::Event, || tell(&link, source, event))
}

fn tell(link: &Weak<Link>, source: u32, event: &Event) {
    let (mut copied, mut moved) = (None, None);
    let (kind, path) = match event {
        Event::SetAside { path, copy, .. } => {
            copied = Some(copy.clone());
            ("set_aside", Some(path))
        }
        Event::Lapsed { path, .. } => ("lapsed", Some(path)),
        Event::Encrypted { path } => ("encrypted", Some(path)),
        Event::Moved { path, from, to } => {
            moved = Some((from.clone(), to.clone()));
            ("moved", Some(path))
        }
        // The answer of `open` says it.
        Event::FellBack { .. } => return,
        Event::Warning(_) => ("warning", None),
        // A kind that is newer than this addon.
        _ => ("notice", None),
    };
    if let Some(link) = link.upgrade() {
        let (message, path) = (event.to_string(), path.cloned());
        link.tell(Reply::Event(Told { source, kind, message, path, copy: copied, moved }));
    }
}
