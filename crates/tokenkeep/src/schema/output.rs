//! Joins a cache from pieces of its source texts.

use super::document::Entry;
use crate::Secret;

/// The pieces of the output. They are joined once, so that no growing buffer leaves a copy of a token in memory.
#[derive(Default)]
pub(super) struct Output<'a> {
    pieces: Vec<&'a [u8]>,
    /// Whether the next member is not the first of its object.
    comma: bool,
}

impl<'a> Output<'a> {
    pub(super) fn open(&mut self) {
        self.pieces.push(b"{");
        self.comma = false;
    }

    pub(super) fn close(&mut self) {
        self.pieces.push(b"}");
        self.comma = true;
    }

    /// Adds the name of a member, as written, with its quotes.
    pub(super) fn name(&mut self, name: &'a [u8]) {
        if self.comma {
            self.pieces.push(b",");
        }
        self.pieces.push(name);
        self.pieces.push(b":");
        self.comma = true;
    }

    pub(super) fn entry(&mut self, entry: &Entry<'a>) {
        self.member(entry.name, entry.value.0);
    }

    /// Adds a member: its name with quotes and the text of its value.
    pub(super) fn member(&mut self, name: &'a [u8], value: &'a [u8]) {
        self.name(name);
        self.pieces.push(value);
    }

    /// Returns a position for [`Output::rewind`].
    pub(super) fn mark(&self) -> Mark {
        Mark { pieces: self.pieces.len(), comma: self.comma }
    }

    /// Removes everything after `mark`.
    pub(super) fn rewind(&mut self, mark: Mark) {
        self.pieces.truncate(mark.pieces);
        self.comma = mark.comma;
    }

    pub(super) fn into_secret(self) -> Secret {
        let length = self.pieces.iter().map(|piece| piece.len()).sum();
        let mut text = Vec::with_capacity(length);
        for piece in self.pieces {
            text.extend_from_slice(piece);
        }
        Secret::new(text)
    }
}

/// A position in an [`Output`].
pub(super) struct Mark {
    pieces: usize,
    comma: bool,
}
