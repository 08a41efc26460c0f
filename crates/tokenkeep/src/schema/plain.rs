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
    let mut high = 0;
    for (n, block) in text.as_chunks().0.iter().take(SHORT).enumerate() {
        let marks = Marks::of(u8x16::new(*block));
        if marks.stops != 0 {
            return marks.end(16 * n, high);
        }
        high |= marks.high;
    }
    to_end(text, high)
}

#[inline(never)]
fn to_end(text: &[u8], mut high: u32) -> Run {
    let mut at = text.len().min(16 * SHORT) & !15;
    let mut all = u8x16::ZERO;
    for four in text[at..].as_chunks::<64>().0 {
        let &[a, b, c, d] = four.as_chunks().0 else { break };
        let (a, b, c, d) = (u8x16::new(a), u8x16::new(b), u8x16::new(c), u8x16::new(d));
        if (stops(a) | stops(b) | stops(c) | stops(d)).to_bitmask() != 0 {
            break;
        }
        all |= a | b | c | d;
        at += four.len();
    }
    high |= all.to_bitmask();
    for block in text[at..].as_chunks().0 {
        let marks = Marks::of(u8x16::new(*block));
        if marks.stops != 0 {
            return marks.end(at, high);
        }
        high |= marks.high;
        at += 16;
    }
    let mut run = Run { length: at, ascii: high == 0 };
    for &byte in &text[at..] {
        if byte < b' ' || byte == b'"' || byte == b'\\' {
            break;
        }
        run.ascii &= byte.is_ascii();
        run.length += 1;
    }
    run
}

/// One bit for each byte of a block.
struct Marks {
    stops: u32,
    high: u32,
}

impl Marks {
    #[inline(always)]
    fn of(block: u8x16) -> Self {
        Self { stops: stops(block).to_bitmask(), high: block.to_bitmask() }
    }

    /// The run that ends in this block, which begins at `start`; `high` is of the blocks before.
    #[inline(always)]
    fn end(self, start: usize, high: u32) -> Run {
        let before = self.high & (self.stops & self.stops.wrapping_neg()).wrapping_sub(1);
        Run { length: start + self.stops.trailing_zeros() as usize, ascii: high | before == 0 }
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
