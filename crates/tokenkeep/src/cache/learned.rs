//! Reports to the watchers of a cache, in order, each content that this process sees, and whether it wrote that
//! content.

use std::sync::mpsc::Sender;

use crate::watch::Signal;
use crate::{Secret, Snapshot, TokenCache};

/// The watchers.
#[derive(Debug, Default)]
pub(super) struct Learned {
    watchers: Vec<Sender<Signal>>,
    /// The content of a write in progress. A read may return it before the write succeeds, or although the write
    /// seems to fail.
    writing: Option<Option<Secret>>,
}

impl Learned {
    /// Announces that this process is about to store `content`, or to remove the stored content.
    pub(super) fn announce(&mut self, content: Option<&Secret>) {
        if !self.watchers.is_empty() {
            self.writing = Some(content.cloned());
        }
    }

    /// Reports that the write succeeded: if the same content is stored again later, another process did it.
    pub(super) fn written(&mut self) {
        self.writing = None;
    }

    /// Reports content that differs from the last.
    pub(super) fn tell(&mut self, snapshot: &Snapshot) {
        let own = self.writing.take_if(|content| *content == snapshot.content).is_some();
        let signal = || Signal::Seen { own, snapshot: snapshot.clone() };
        self.watchers.retain(|watcher| watcher.send(signal()).is_ok());
    }
}

impl TokenCache {
    /// Adds a watcher.
    pub(crate) fn tell(&self, watcher: Sender<Signal>) {
        self.shared.cached().learned.watchers.push(watcher);
    }

    /// Sends a warning to the watchers.
    pub(crate) fn warn(&self, text: impl FnOnce() -> String) {
        self.shared.events.warn(text);
    }
}
