//! The meaning of well-formed JSON text: the characters of a string, the equality of two values.

use std::borrow::Cow;
use std::collections::HashMap;

use super::json::{Malformed, Walker};

/// Deeper values are compared by their text alone. An entry of a token cache has depth 2; each further level costs
/// another pass over its content.
const COMPARED_DEPTH: usize = 8;

/// A JSON value, borrowed from the text it was found in and known to be well formed.
#[derive(Clone, Copy)]
pub(super) struct Value<'a>(pub(super) &'a [u8]);

impl<'a> Value<'a> {
    /// Returns whether both are the same JSON value. White space, the order of members and escapes do not matter.
    /// Numbers are the same only if written the same, because readers round them differently.
    pub(super) fn is_same(self, other: Value<'_>) -> bool {
        same(self.0, other.0, 0)
    }

    pub(super) fn is_object(self) -> bool {
        self.0.starts_with(b"{")
    }

    /// Returns the members of an object, in order, with duplicates; none for any other value.
    pub(super) fn members(self) -> Members<'a> {
        let mut walker = Walker::new(self.0);
        let open = walker.enter(b'{');
        Members { walker, open, first: true }
    }

    /// Like [`Value::members`], with each name as written, with quotes.
    pub(super) fn written_members(self) -> impl Iterator<Item = (&'a [u8], Value<'a>)> {
        let mut walker = Walker::new(self.0);
        let mut open = walker.enter(b'{');
        let mut first = true;
        std::iter::from_fn(move || {
            let name = if open { walker.next_name(std::mem::take(&mut first)).ok().flatten() } else { None };
            open = name.is_some();
            Some((name?, Value(walker.value().ok()?)))
        })
    }

    /// Returns the value of the member `name`; of several, the last, as in `JSON.parse`.
    pub(super) fn member(self, name: &str) -> Option<Value<'a>> {
        self.members().filter(|(key, _)| key.is(name)).last().map(|(_, value)| value)
    }

    /// Returns the characters of a string, unescaped; `None` for any other value.
    pub(super) fn text(self) -> Option<Cow<'a, [u8]>> {
        Text::of(self.0).map(Text::unescaped)
    }

    /// Returns a time in seconds, from a number or, as all libraries write it, from a string.
    pub(super) fn seconds(self) -> Option<f64> {
        let written = self.text().unwrap_or(Cow::Borrowed(self.0));
        decimal(written.trim_ascii())
    }
}

/// Reads a decimal number, to the nearest millionth of a second for every time of our century. The standard library's
/// reader is exact to the last bit, with tables of 20 KB, which is a hundredth of the addon.
fn decimal(text: &[u8]) -> Option<f64> {
    let (negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let at = text.iter().position(|byte| matches!(byte, b'e' | b'E'));
    let (mantissa, exponent) = at.map_or((text, None), |at| (&text[..at], Some(&text[at + 1..])));
    let mut exponent = match exponent {
        // Larger ones are no times.
        Some(digits) => std::str::from_utf8(digits).ok()?.parse::<i16>().ok()?.into(),
        None => 0_i32,
    };
    let (mut number, mut digits, mut point) = (0_f64, 0, false);
    for byte in mantissa {
        match byte {
            b'0'..=b'9' => {
                number = number * 10.0 + f64::from(byte - b'0');
                digits += 1;
                exponent -= i32::from(point);
            }
            b'.' if !point => point = true,
            _ => return None,
        }
    }
    let scale = 10_f64.powi(exponent.abs());
    let number = if exponent < 0 { number / scale } else { number * scale };
    (digits > 0 && number.is_finite()).then_some(if negative { -number } else { number })
}

/// The members of an object.
pub(super) struct Members<'a> {
    walker: Walker<'a>,
    open: bool,
    first: bool,
}

impl<'a> Iterator for Members<'a> {
    type Item = (Text<'a>, Value<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if !self.open {
            return None;
        }
        let member = next_member(&mut self.walker, std::mem::take(&mut self.first));
        // The text is known to be well formed, so only the closing brace ends it.
        let member = member.ok().flatten();
        self.open = member.is_some();
        member
    }
}

fn next_member<'a>(walker: &mut Walker<'a>, first: bool) -> Result<Option<(Text<'a>, Value<'a>)>, Malformed> {
    match walker.next_name(first)? {
        Some(name) => Ok(Some((Text(inner(name)), Value(walker.value()?)))),
        None => Ok(None),
    }
}

/// The inside of a JSON string, still escaped.
#[derive(Clone, Copy)]
pub(super) struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    /// Returns the inside of a string with its quotes; `None` for any other value.
    pub(super) fn of(value: &'a [u8]) -> Option<Self> {
        value.starts_with(b"\"").then(|| Self(inner(value)))
    }

    fn is_plain(self) -> bool {
        !self.0.contains(&b'\\')
    }

    pub(super) fn is(self, name: &str) -> bool {
        self.0 == name.as_bytes() || (!self.is_plain() && self.bytes().eq(name.bytes()))
    }

    /// Returns the characters in UTF-8. A lone surrogate, which `JSON.parse` accepts and UTF-8 cannot express,
    /// becomes its three bytes of WTF-8, so that different texts stay different.
    pub(super) fn unescaped(self) -> Cow<'a, [u8]> {
        if self.is_plain() { Cow::Borrowed(self.0) } else { Cow::Owned(self.bytes().collect()) }
    }

    fn bytes(self) -> impl Iterator<Item = u8> + 'a {
        Unescape { escaped: self.0, ready: [0; 4], length: 0, given: 0 }
    }
}

/// Returns unescaped text in UTF-16: where it is WTF-8, with its lone surrogates.
pub(super) fn utf16(unescaped: &[u8]) -> Vec<u16> {
    let mut units = Vec::with_capacity(unescaped.len());
    let mut rest = unescaped;
    loop {
        let valid = match std::str::from_utf8(rest) {
            Ok(text) => text,
            Err(error) => std::str::from_utf8(&rest[..error.valid_up_to()]).unwrap_or_default(),
        };
        units.extend(valid.encode_utf16());
        // A surrogate in the form of UTF-8 is ED, then A0 to BF, then 80 to BF.
        let [_, second, third, after @ ..] = &rest[valid.len()..] else { return units };
        units.push(0xd000 | u16::from(second & 0x3f) << 6 | u16::from(third & 0x3f));
        rest = after;
    }
}

fn inner(string: &[u8]) -> &[u8] {
    &string[1..string.len() - 1]
}

/// Unescapes without building a copy: the string may be a secret.
struct Unescape<'a> {
    escaped: &'a [u8],
    ready: [u8; 4],
    length: usize,
    given: usize,
}

impl Iterator for Unescape<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if self.given == self.length {
            self.refill()?;
        }
        self.given += 1;
        Some(self.ready[self.given - 1])
    }
}

impl Unescape<'_> {
    fn refill(&mut self) -> Option<()> {
        let (&byte, rest) = self.escaped.split_first()?;
        self.escaped = rest;
        self.given = 0;
        self.length = 1;
        self.ready[0] = byte;
        if byte == b'\\' {
            let (&kind, rest) = self.escaped.split_first()?;
            self.escaped = rest;
            self.ready[0] = match kind {
                b'b' => 0x08,
                b'f' => 0x0C,
                b'n' => b'\n',
                b'r' => b'\r',
                b't' => b'\t',
                b'u' => return self.code_point(),
                itself => itself,
            };
        }
        Some(())
    }

    /// Decodes the escape after `\u`, with the second half of a surrogate pair if one follows.
    fn code_point(&mut self) -> Option<()> {
        let mut code = hexadecimal(self.escaped)?;
        self.escaped = &self.escaped[4..];
        if let 0xD800..=0xDBFF = code
            && let Some(second) = self.escaped.strip_prefix(br"\u")
            && let Some(low @ 0xDC00..=0xDFFF) = hexadecimal(second)
        {
            code = 0x1_0000 + ((code - 0xD800) << 10) + (low - 0xDC00);
            self.escaped = &second[4..];
        }
        match char::from_u32(code) {
            Some(character) => self.length = character.encode_utf8(&mut self.ready).len(),
            None => {
                let [_, _, high, low] = code.to_be_bytes();
                self.ready = [0xED, 0x80 | (high & 0x0F) << 2 | low >> 6, 0x80 | low & 0x3F, 0];
                self.length = 3;
            }
        }
        Some(())
    }
}

fn hexadecimal(text: &[u8]) -> Option<u32> {
    let digits = text.get(..4)?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn same(one: &[u8], other: &[u8], depth: usize) -> bool {
    if one == other {
        return true;
    }
    // Values are never empty; the first byte shows their type.
    match (one[0], other[0]) {
        _ if depth == COMPARED_DEPTH => false,
        (b'"', b'"') => same_text(Text(inner(one)), Text(inner(other))),
        (b'{', b'{') => same_members(Value(one), Value(other), depth),
        (b'[', b'[') => same_elements(one, other, depth),
        _ => false,
    }
}

fn same_text(one: Text<'_>, other: Text<'_>) -> bool {
    // Different texts without escapes are different; only the others need the slow comparison.
    one.0 == other.0 || !(one.is_plain() && other.is_plain()) && one.bytes().eq(other.bytes())
}

fn same_members(one: Value<'_>, other: Value<'_>, depth: usize) -> bool {
    let (mut members, mut others) = (one.members(), other.members());
    // In the same order, which is nearly always the case. (A duplicate name then counts twice.)
    loop {
        match (members.next(), others.next()) {
            (Some((name, value)), Some((other_name, other))) if same_text(name, other_name) => {
                if !same(value.0, other.0, depth + 1) {
                    return false;
                }
            }
            (None, None) => return true,
            _ => break,
        }
    }
    let (one, other) = (by_name(one), by_name(other));
    one.len() == other.len()
        && one
            .iter()
            .all(|(name, value)| other.get(name).is_some_and(|twin| same(value.0, twin.0, depth + 1)))
}

/// Of several members with one name, the last is kept.
fn by_name(object: Value<'_>) -> HashMap<Cow<'_, [u8]>, Value<'_>> {
    object.members().map(|(name, value)| (name.unescaped(), value)).collect()
}

fn same_elements(one: &[u8], other: &[u8], depth: usize) -> bool {
    let (mut one, mut other) = (Walker::new(one), Walker::new(other));
    let mut first = one.enter(b'[') && other.enter(b'[');
    loop {
        match (one.next_element(first), other.next_element(first)) {
            (Ok(Some(a)), Ok(Some(b))) if same(a, b, depth + 1) => first = false,
            (Ok(None), Ok(None)) => return true,
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn a_time_is_read_as_the_standard_library_reads_it_and_no_other_text_is_one() {
        for text in
            ["0", "1700000000", "-1", "+1.5", "1700000000.123456", "1.7e9", "17E8", ".5", "5.", "1e-3"]
        {
            let exact: f64 = text.parse().unwrap();
            let read = decimal(text.as_bytes()).unwrap();
            assert!((read - exact).abs() <= 1e-6, "{text}: {read}");
        }
        for text in ["", "-", ".", "e5", "1e", "1e99999", "inf", "nan", "1.2.3", "0x10", "1_0", "1 0"] {
            assert_eq!(decimal(text.as_bytes()), None, "{text}");
        }
        assert_eq!(decimal("9".repeat(400).as_bytes()), None);
    }
}
