//! Keys as text: base64 or hexadecimal, which every tool can store and create.

use base64ct::{Base64, Base64Unpadded, Base64UrlUnpadded, Encoding};
use zeroize::Zeroizing;

use super::Key;

/// Encodes as standard base64 with padding, 44 characters.
pub(super) fn encode(key: &Key) -> Zeroizing<String> {
    Zeroizing::new(Base64::encode_string(key.expose()))
}

/// Decodes `text`, ignoring white space around it: hexadecimal if possible, else base64 of either alphabet, with or
/// without padding. `None` if it is neither.
pub(super) fn decode(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let text = std::str::from_utf8(text).ok()?.trim();
    if text.is_empty() {
        return None;
    }
    if text.bytes().all(|byte| byte.is_ascii_hexdigit()) && text.len().is_multiple_of(2) {
        return Some(hex(text));
    }
    let bare = text.trim_end_matches('=');
    let url = bare.contains(['-', '_']);
    let bytes = if url { Base64UrlUnpadded::decode_vec(bare) } else { Base64Unpadded::decode_vec(bare) };
    bytes.ok().map(Zeroizing::new)
}

fn hex(text: &str) -> Zeroizing<Vec<u8>> {
    let value =
        |byte: u8| (byte as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or(0);
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() / 2));
    bytes.extend(text.as_bytes().chunks_exact(2).map(|pair| value(pair[0]) << 4 | value(pair[1])));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_usual_notation_of_the_same_bytes_is_read() {
        let bytes: Vec<u8> = (224..=255).collect();
        let key = Key::from_slice(&bytes).unwrap();
        let padded = encode(&key);
        assert_eq!(padded.len(), 44);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        let url = padded.replace('+', "-").replace('/', "_");
        for text in [
            padded.to_string(),
            padded.trim_end_matches('=').to_owned(),
            url.clone(),
            url.trim_end_matches('=').to_owned(),
            hex.to_lowercase(),
            format!(" {hex}\r\n"),
        ] {
            assert_eq!(decode(text.as_bytes()).unwrap()[..], bytes[..], "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", " \n", "not base64!", "AAA\u{e4}", "A", "AA==BB", "{\"a\":1}"] {
            assert!(decode(text.as_bytes()).is_none(), "{text}");
        }
        assert!(decode(b"\xff\xfe").is_none());
    }
}
