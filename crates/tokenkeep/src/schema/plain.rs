//! How far the inside of a string goes on without anything that needs a look.
//!
//! This file owns the vector instructions; the grammar is in `json.rs`. They are written out, sixteen bytes at a time, since
//! no loop becomes vector instructions in a build that is optimised for size, which the addon is. What is inlined is so by
//! command for the same reason.

use wide::u8x16;

/// The beginning of a string, up to a quote, a backslash, a control character, or the end of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) length: usize,
    pub(super) ascii: bool,
}

/// Most strings of a cache end within so many blocks; what is longer is a token, looked at four blocks at a time.
const SHORT: usize = 4;

#[inline(always)]
pub(super) fn run(text: &[u8]) -> Run {
    let mut so_far = Run { length: 0, ascii: true };
    for _ in 0..SHORT {
        if so_far.extend_by_block(text) {
            return so_far;
        }
    }
    so_far.to_end(text)
}

impl Run {
    /// `true` when this block holds the end.
    #[inline(always)]
    fn extend_by_block(&mut self, text: &[u8]) -> bool {
        let Some(block) = text[self.length..].first_chunk() else {
            self.extend_by_bytes(text);
            return true;
        };
        let block = u8x16::new(*block);
        let stops = stops(block).to_bitmask();
        let before = stops.trailing_zeros().min(16);
        let seen = (1_u32 << before) - 1;
        self.ascii &= block.to_bitmask() & seen == 0;
        self.length += before as usize;
        stops != 0
    }

    #[inline(never)]
    fn to_end(mut self, text: &[u8]) -> Self {
        let mut all = u8x16::ZERO;
        for four in text[self.length..].as_chunks::<64>().0 {
            let &[a, b, c, d] = four.as_chunks().0 else { break };
            let (a, b, c, d) = (u8x16::new(a), u8x16::new(b), u8x16::new(c), u8x16::new(d));
            if (stops(a) | stops(b) | stops(c) | stops(d)).to_bitmask() != 0 {
                break;
            }
            all |= a | b | c | d;
            self.length += four.len();
        }
        self.ascii &= all.to_bitmask() == 0;
        while !self.extend_by_block(text) {}
        self
    }

    /// The last few bytes of a text, which fill no block.
    #[cold]
    #[inline(never)]
    fn extend_by_bytes(&mut self, text: &[u8]) {
        for &byte in &text[self.length..] {
            if byte < b' ' || byte == b'"' || byte == b'\\' {
                break;
            }
            self.ascii &= byte.is_ascii();
            self.length += 1;
        }
    }
}

/// All bits of each byte that ends a run.
#[inline(always)]
fn stops(block: u8x16) -> u8x16 {
    const QUOTE: u8x16 = u8x16::new([b'"'; 16]);
    const BACKSLASH: u8x16 = u8x16::new([b'\\'; 16]);
    const LAST_CONTROL: u8x16 = u8x16::new([b' ' - 1; 16]);
    block.simd_eq(block.min(LAST_CONTROL)) | block.simd_eq(QUOTE) | block.simd_eq(BACKSLASH)
}

#[cfg(test)]
mod tests {
    use super::{Run, run};

    fn byte_by_byte(text: &[u8]) -> Run {
        let length = text.iter().position(|byte| matches!(byte, 0..b' ' | b'"' | b'\\'));
        let length = length.unwrap_or(text.len());
        Run { length, ascii: text[..length].is_ascii() }
    }

    #[test]
    fn every_byte_at_every_place_ends_a_run_or_does_not_as_the_grammar_says() {
        for byte in 0..=u8::MAX {
            for place in [0, 1, 7, 15, 16, 17, 31, 32, 48, 63, 64, 65, 79, 127, 128, 129, 143, 191, 192, 225]
            {
                let mut text = [b'x'; 240];
                text[place] = byte;
                assert_eq!(run(&text), byte_by_byte(&text), "{byte:#04x} at {place}");
                // What comes behind the end must not count, whatever it is.
                text[place + 1] = 0xFF;
                assert_eq!(run(&text), byte_by_byte(&text), "{byte:#04x} at {place}, 0xFF behind it");
            }
        }
    }

    #[test]
    fn a_text_of_every_length_is_looked_at_to_its_last_byte() {
        for length in 0..=210 {
            let mut text = vec![b'x'; length];
            assert_eq!(run(&text), Run { length, ascii: true });
            if let Some(last) = text.last_mut() {
                *last = 0xE9;
                assert_eq!(run(&text), Run { length, ascii: false });
                text[length - 1] = b'"';
                assert_eq!(run(&text), Run { length: length - 1, ascii: true });
            }
        }
    }
}
