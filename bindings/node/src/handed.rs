//! A long text on its way in, handed over in pieces.
//!
//! For a text in one go Node-API counts its bytes, twice, before it copies them: with a megabyte six times as long as the
//! copying takes, on JavaScript's thread. A piece is copied by JavaScript, which knows that each character takes one
//! byte, into memory that it uses over and over, and from there by us.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokenkeep::Secret;

use crate::failure::Failure;

/// The text of one JavaScript thread that is being handed over; the call that it belongs to comes right after it.
#[derive(Default)]
pub(crate) struct Handed(Mutex<Pieces>);

/// What has arrived: Latin-1, wiped when nobody takes it.
#[derive(Default)]
struct Pieces(Vec<u8>);

impl Handed {
    /// Takes the piece that begins `at` so many bytes, of a text of `total`. The first one begins a text anew.
    pub(crate) fn add(&self, at: usize, total: usize, piece: &[u8]) -> Result<(), Failure> {
        let mut pieces = self.pieces();
        if at == 0 {
            *pieces = Pieces(Secret::room(total));
        }
        // More than was announced would move the text, and leave what nobody wipes.
        if at != pieces.0.len() || piece.len() > pieces.0.capacity() - at {
            return Err(Failure::new("invalid_input", "A piece of a text does not follow the one before it"));
        }
        pieces.0.extend_from_slice(piece);
        Ok(())
    }

    /// The whole text, to be used up.
    pub(crate) fn take(&self) -> Latin1 {
        Latin1(std::mem::take(&mut *self.pieces()).into_secret())
    }

    fn pieces(&self) -> MutexGuard<'_, Pieces> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pieces {
    fn into_secret(mut self) -> Secret {
        Secret::new(std::mem::take(&mut self.0))
    }
}

impl Drop for Pieces {
    fn drop(&mut self) {
        drop(Secret::new(std::mem::take(&mut self.0)));
    }
}

/// A text with one byte for each character.
pub(crate) struct Latin1(Secret);

impl Latin1 {
    /// The text in UTF-8, which it nearly always is already. Its length costs time: not for JavaScript's thread.
    fn into_utf8(self) -> Secret {
        let text = self.0.expose();
        if text.is_ascii() {
            return self.0;
        }
        // Exactly the room that it takes: growing would leave a copy that nobody wipes.
        let mut bytes = Vec::with_capacity(text.len() + text.iter().filter(|byte| !byte.is_ascii()).count());
        for byte in text {
            bytes.extend_from_slice(char::from(*byte).encode_utf8(&mut [0; 2]).as_bytes());
        }
        Secret::new(bytes)
    }
}

/// A text as it came over the border.
pub(crate) enum Content {
    Whole(Secret),
    Handed(Latin1),
}

impl Content {
    /// In UTF-8.
    pub(crate) fn into_secret(self) -> Secret {
        match self {
            Self::Whole(content) => content,
            Self::Handed(text) => text.into_utf8(),
        }
    }
}
