//! The content of an item: the cache as it is, or in base64.
//!
//! .NET, Go and Java store base64, JavaScript and Python what they were given. Which of the two an item has is told from
//! what is in it, so that each goes on finding the form it knows.

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

use crate::{Secret, schema};

/// How the content of an item is written and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Payload {
    /// Byte for byte, whatever it is.
    Opaque,
    /// A cache, as it is or in base64; this is how a new item begins.
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

    /// Whether the form of what is there decides the form of what is written.
    pub(crate) fn follows(self) -> bool {
        self != Self::Opaque
    }

    /// What an item that holds `stored` says.
    pub(crate) fn read(self, stored: Secret) -> Secret {
        match self {
            Self::Opaque => stored,
            Self::Cache(_) => decode(stored.expose()).unwrap_or(stored),
        }
    }

    /// What is to be stored for `content` in an item that holds `stored`, or is new; `None`: the content as it is.
    pub(crate) fn encoded(self, content: &[u8], stored: Option<&Secret>) -> Option<Secret> {
        let form = match (self, stored.map(|stored| stored.expose().trim_ascii_start())) {
            (Self::Opaque, _) => Form::Raw,
            (Self::Cache(_), Some([b'{', ..])) => Form::Raw,
            (Self::Cache(_), Some(stored)) if decode(stored).is_some() => Form::Base64,
            // Nothing, or nothing that is a cache, says nothing about the form of one.
            (Self::Cache(form), _) => form,
        };
        match form {
            Form::Raw => None,
            Form::Base64 => Some(Secret::new(Base64::encode_string(content).into_bytes())),
        }
    }
}

/// What `stored` encodes, if that is a token cache: text that only happens to be base64 is left alone.
fn decode(stored: &[u8]) -> Option<Secret> {
    let text = std::str::from_utf8(stored).ok()?.trim_ascii();
    // No JSON object begins so, and no other content has to be looked at twice.
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
    fn a_cache_is_read_in_either_form_and_written_in_the_form_it_has() {
        for own in [Payload::RAW, Payload::BASE64] {
            for (stored, other) in [(CACHE, &b"{}"[..]), (ENCODED, b"e30=")] {
                assert_eq!(own.read(stored.into()).expose(), CACHE);
                assert_eq!(written(own, b"{}", Some(&stored.into())), other);
            }
        }
    }

    #[test]
    fn a_new_or_an_empty_item_gets_the_shapes_own_form() {
        for stored in [None, Some(Secret::from("")), Some(Secret::from("damaged"))] {
            assert_eq!(written(Payload::RAW, CACHE, stored.as_ref()), CACHE);
            assert_eq!(written(Payload::BASE64, CACHE, stored.as_ref()), ENCODED);
        }
    }

    #[test]
    fn what_is_no_cache_is_never_taken_apart() {
        // "not a cache", encoded; base64 cut short; text; JSON.
        for stored in ["bm90IGEgY2FjaGU=", "eyJBY2NvdW50Ijp7fX0", "{\"a\"", "plain", ""] {
            assert_eq!(Payload::BASE64.read(stored.as_bytes().into()).expose(), stored.as_bytes());
        }
        assert_eq!(Payload::Opaque.read(ENCODED.into()).expose(), ENCODED);
        assert_eq!(written(Payload::Opaque, CACHE, Some(&ENCODED.into())), CACHE);
    }
}
