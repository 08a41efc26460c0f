//! The content of an item: the cache itself, or base64 of it.
//!
//! .NET, Go and Java store base64; JavaScript and Python store the cache itself. The content shows the encoding of an
//! item, and a write keeps it, so that each library still finds its own.

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use crate::{Secret, schema};

/// The encoding of an item's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// Any bytes, unchanged.
    Opaque,
    /// A cache, plain or in base64; the form of a new item.
    Cache(Form),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Raw,
    Base64,
}

impl Payload {
    pub(crate) const RAW: Self = Self::Cache(Form::Raw);
    pub(crate) const BASE64: Self = Self::Cache(Form::Base64);

    /// Returns whether a write keeps the encoding of the stored content.
    pub(crate) fn follows(self) -> bool {
        self != Self::Opaque
    }

    /// Returns the content of an item that holds `stored`.
    pub(crate) fn read(self, stored: Secret) -> Secret {
        match self {
            Self::Opaque => stored,
            Self::Cache(_) => decode(stored.expose()).unwrap_or(stored),
        }
    }

    /// Returns the bytes to store for `content` in an item that holds `stored`, or in a new one; `None` for the
    /// content itself.
    pub(crate) fn encoded(self, content: &[u8], stored: Option<&Secret>) -> Option<Secret> {
        let form = match (self, stored.map(|stored| stored.expose().trim_ascii_start())) {
            (Self::Opaque, _) => Form::Raw,
            (Self::Cache(_), Some([b'{', ..])) => Form::Raw,
            (Self::Cache(_), Some(stored)) if decode(stored).is_some() => Form::Base64,
            // Absent content, or content that is not a cache, shows no encoding.
            (Self::Cache(form), _) => form,
        };
        match form {
            Form::Raw => None,
            Form::Base64 => Some(Secret::new(Base64::encode_string(content).into_bytes())),
        }
    }
}

/// Decodes `stored` if the result is a token cache; other text that happens to be base64 stays unchanged.
fn decode(stored: &[u8]) -> Option<Secret> {
    let text = std::str::from_utf8(stored).ok()?.trim_ascii();
    // A JSON object never begins so; all other content is returned without a second check.
    if !text.starts_with(|first: char| first.is_ascii_alphanumeric()) {
        return None;
    }
    let bytes = Zeroizing::new(Base64::decode_vec(text).ok()?);
    let cache = !bytes.is_empty() && schema::is_msal_cache(schema::without_bom(&bytes));
    cache.then(|| Secret::from(bytes.as_slice()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CACHE: &[u8] = br#"{"Account":{}}"#;
    const ENCODED: &[u8] = b"eyJBY2NvdW50Ijp7fX0=";

    fn written(payload: Payload, content: &[u8], stored: Option<&Secret>) -> Vec<u8> {
        payload.encoded(content, stored).map_or_else(|| content.to_vec(), |encoded| encoded.expose().to_vec())
    }

    #[test]
    fn a_cache_is_read_in_either_encoding_and_keeps_its_own() {
        for own in [Payload::RAW, Payload::BASE64] {
            for (stored, other) in [(CACHE, &b"{}"[..]), (ENCODED, b"e30=")] {
                assert_eq!(own.read(stored.into()).expose(), CACHE);
                assert_eq!(written(own, b"{}", Some(&stored.into())), other);
            }
        }
    }

    #[test]
    fn a_new_or_empty_item_gets_the_encoding_of_the_shape() {
        for stored in [None, Some(Secret::from("")), Some(Secret::from("damaged"))] {
            assert_eq!(written(Payload::RAW, CACHE, stored.as_ref()), CACHE);
            assert_eq!(written(Payload::BASE64, CACHE, stored.as_ref()), ENCODED);
        }
    }

    #[test]
    fn content_that_is_not_a_cache_is_never_decoded() {
        // Base64 of "not a cache"; truncated base64; text; JSON.
        for stored in ["bm90IGEgY2FjaGU=", "eyJBY2NvdW50Ijp7fX0", "{\"a\"", "plain", ""] {
            assert_eq!(Payload::BASE64.read(stored.as_bytes().into()).expose(), stored.as_bytes());
        }
        assert_eq!(Payload::Opaque.read(ENCODED.into()).expose(), ENCODED);
        assert_eq!(written(Payload::Opaque, CACHE, Some(&ENCODED.into())), CACHE);
    }
}
