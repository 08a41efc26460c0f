//! Tells the watchers of a cache what this process learns of it, in that order, and whether it wrote it itself.

use std::sync::mpsc::Sender;

use crate::watch::Signal;
use crate::{Secret, Snapshot, TokenCache};

/// Whom to tell.
#[derive(Debug, Default)]
pub(super) struct Learned {
    watchers: Vec<Sender<Signal>>,
    /// What is being written. Somebody may read it before the write is known to have succeeded, or it may have arrived
    /// although it seemed to fail.
    writing: Option<Option<Secret>>,
}

impl Learned {
    /// This process is about to store `content`, or to remove what is stored.
    pub(super) fn announce(&mut self, content: Option<&Secret>) {
        if !self.watchers.is_empty() {
            self.writing = Some(content.cloned());
        }
    }

    /// That has succeeded: the same content again is somebody else's doing.
    pub(super) fn written(&mut self) {
        self.writing = None;
    }

    /// Something else than before is known to be stored.
    pub(super) fn tell(&mut self, snapshot: &Snapshot) {
        let own = self.writing.take_if(|content| *content == snapshot.content).is_some();
        let signal = || Signal::Seen { own, snapshot: snapshot.clone() };
        self.watchers.retain(|watcher| watcher.send(signal()).is_ok());
    }
}

impl TokenCache {
    /// Tells `watcher` from now on.
    pub(crate) fn tell(&self, watcher: Sender<Signal>) {
        self.shared.held().learned.watchers.push(watcher);
    }

    /// Tells whoever listens to this cache's events.
    pub(crate) fn warn(&self, text: impl FnOnce() -> String) {
        self.shared.events.warn(text);
    }
}
