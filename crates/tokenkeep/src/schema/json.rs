//! Walks over JSON text without building a tree.
//!
//! This file owns the grammar (RFC 8259); the meaning of a text is `meaning.rs`. Why not a parser into values: a walker keeps
//! unchanged entries byte for byte; it accepts all that `JSON.parse` accepts (lone surrogates, `1e999`); and it does not
//! recurse, so that memory and not the stack bounds the nesting.

/// The text is not JSON from this byte on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed {
    pub(super) at: usize,
}

type Walk<T> = Result<T, Malformed>;

/// A position in JSON text. Every step moves past one well-formed token or fails.
pub(super) struct Walker<'a> {
    text: &'a [u8],
    at: usize,
    /// The containers around the current value; kept to reuse its memory.
    nesting: Vec<Container>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Container {
    Object,
    Array,
}

impl<'a> Walker<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0, nesting: Vec::new() }
    }

    /// Enters a container that begins with `brace`; returns `false` without a step at another value.
    pub(super) fn enter(&mut self, brace: u8) -> bool {
        let found = self.peek() == Some(brace);
        self.at += usize::from(found);
        found
    }

    /// Returns the name (with quotes) of the next member of the entered object, or `None` at its end. `first` says
    /// that no part of the object has been read yet. Afterwards the walker is at the member's value.
    pub(super) fn next_name(&mut self, first: bool) -> Walk<Option<&'a [u8]>> {
        if self.next_or_closing(first, b'}')? { self.name().map(Some) } else { Ok(None) }
    }

    /// Returns the next element of the entered array, or `None` at its end.
    pub(super) fn next_element(&mut self, first: bool) -> Walk<Option<&'a [u8]>> {
        if self.next_or_closing(first, b']')? { self.value().map(Some) } else { Ok(None) }
    }

    /// Moves past one value of any kind and returns its text.
    pub(super) fn value(&mut self) -> Walk<&'a [u8]> {
        self.skip_space();
        let start = self.at;
        let depth = self.nesting.len();
        loop {
            if self.value_or_opening()? {
                continue;
            }
            loop {
                if self.nesting.len() == depth {
                    return Ok(&self.text[start..self.at]);
                }
                if self.separator_or_closing()? {
                    break;
                }
            }
        }
    }

    /// Checks that only white space is left.
    pub(super) fn end(&mut self) -> Walk<()> {
        if self.peek().is_none() { Ok(()) } else { self.fail() }
    }

    /// Returns the position of the walker.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Returns the text from `start` to the walker.
    pub(super) fn since(&self, start: usize) -> &'a [u8] {
        &self.text[start..self.at]
    }

    /// Returns the first byte of the next token.
    pub(super) fn peek(&mut self) -> Option<u8> {
        self.skip_space();
        self.text.get(self.at).copied()
    }

    /// Returns `true` if the token opened a container with a first element, `false` if a value is complete.
    fn value_or_opening(&mut self) -> Walk<bool> {
        match self.peek() {
            Some(b'"') => self.string()?,
            Some(b'{') => {
                self.at += 1;
                if self.peek() != Some(b'}') {
                    self.name()?;
                    self.nesting.push(Container::Object);
                    return Ok(true);
                }
                self.at += 1;
            }
            Some(b'[') => {
                self.at += 1;
                if self.peek() != Some(b']') {
                    self.nesting.push(Container::Array);
                    return Ok(true);
                }
                self.at += 1;
            }
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.literal(b"true")?,
            Some(b'f') => self.literal(b"false")?,
            Some(b'n') => self.literal(b"null")?,
            _ => return self.fail(),
        }
        Ok(false)
    }

    /// After a value inside a container: returns `true` if another value follows, `false` if the container was
    /// closed.
    fn separator_or_closing(&mut self) -> Walk<bool> {
        let token = self.peek();
        match (self.nesting.last(), token) {
            (Some(Container::Object), Some(b',')) => {
                self.at += 1;
                self.name()?;
                Ok(true)
            }
            (Some(Container::Array), Some(b',')) => {
                self.at += 1;
                Ok(true)
            }
            (Some(Container::Object), Some(b'}')) | (Some(Container::Array), Some(b']')) => {
                self.at += 1;
                self.nesting.pop();
                Ok(false)
            }
            _ => self.fail(),
        }
    }

    fn next_or_closing(&mut self, first: bool, brace: u8) -> Walk<bool> {
        match self.peek() {
            Some(token) if token == brace => {
                self.at += 1;
                Ok(false)
            }
            Some(_) if first => Ok(true),
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            _ => self.fail(),
        }
    }

    /// Reads a member's name and the colon after it.
    fn name(&mut self) -> Walk<&'a [u8]> {
        if self.peek() != Some(b'"') {
            return self.fail();
        }
        let start = self.at;
        self.string()?;
        let name = &self.text[start..self.at];
        if self.peek() != Some(b':') {
            return self.fail();
        }
        self.at += 1;
        Ok(name)
    }

    fn string(&mut self) -> Walk<()> {
        self.at += 1;
        let start = self.at;
        loop {
            self.at += plain_length(&self.text[self.at..]);
            match self.text.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                _ => return self.fail(),
            }
        }
        // Outside strings the grammar allows ASCII only, so this is the whole check for UTF-8.
        if let Err(invalid) = std::str::from_utf8(&self.text[start..self.at]) {
            return Err(Malformed { at: start + invalid.valid_up_to() });
        }
        self.at += 1;
        Ok(())
    }

    fn escape(&mut self) -> Walk<()> {
        self.at += 1;
        match self.text.get(self.at) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.text.get(self.at).is_some_and(u8::is_ascii_hexdigit) {
                        return self.fail();
                    }
                    self.at += 1;
                }
            }
            _ => return self.fail(),
        }
        Ok(())
    }

    fn number(&mut self) -> Walk<()> {
        if self.text[self.at] == b'-' {
            self.at += 1;
        }
        // A leading zero stands alone.
        if self.text.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.text.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.text.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Walk<()> {
        let start = self.at;
        while self.text.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == start { self.fail() } else { Ok(()) }
    }

    fn literal(&mut self, word: &[u8]) -> Walk<()> {
        if !self.text[self.at..].starts_with(word) {
            return self.fail();
        }
        self.at += word.len();
        Ok(())
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.text.get(self.at) {
            self.at += 1;
        }
    }

    fn fail<T>(&self) -> Walk<T> {
        Err(Malformed { at: self.at })
    }
}

/// The number of bytes before the first quote, backslash or control character.
///
/// Eight bytes at a time, which reads a cache three times as fast as byte by byte: tokens are long strings.
fn plain_length(text: &[u8]) -> usize {
    let (words, _) = text.as_chunks::<8>();
    let whole = 8 * words.iter().take_while(|word| is_plain(u64::from_ne_bytes(**word))).count();
    let rest = text[whole..].iter().take_while(|byte| !matches!(byte, 0..b' ' | b'"' | b'\\'));
    whole + rest.count()
}

/// Whether none of the eight bytes of `word` is a quote, a backslash or a control character.
fn is_plain(word: u64) -> bool {
    /// One in each byte.
    const ONES: u64 = u64::MAX / 255;
    // The highest bit of a byte stays zero unless some byte is less than `limit`; see "Bit Twiddling Hacks", hasless.
    let less = |word: u64, limit: u8| word.wrapping_sub(ONES * u64::from(limit)) & !word & (ONES << 7);
    let equal = |byte: u8| less(word ^ (ONES * u64::from(byte)), 1);
    less(word, b' ') | equal(b'"') | equal(b'\\') == 0
}

#[cfg(test)]
mod tests {
    use super::plain_length;

    #[test]
    fn a_plain_run_ends_at_the_first_byte_that_the_grammar_stops_at() {
        for byte in 0..=u8::MAX {
            for at in 0..40 {
                let mut text = [b'x'; 41];
                text[at] = byte;
                // A byte behind the end must not count.
                text[at + 1] = b'"';
                let stops = matches!(byte, 0..b' ' | b'"' | b'\\');
                assert_eq!(plain_length(&text), at + usize::from(!stops), "{byte:#04x} at {at}");
            }
        }
        assert_eq!(plain_length(&[0xE9; 17]), 17);
    }
}
