//! Tells a whole cache from a truncated one, and a token cache from other content.

use tokenkeep::schema::{is_msal_cache, is_whole, without_bom};

use crate::support::VECTORS;

#[test]
fn every_librarys_cache_is_whole_and_no_beginning_of_it_is() {
    for (name, text) in VECTORS {
        let text = text.trim_end().as_bytes();
        assert!(is_whole(text) && is_msal_cache(text), "{name}");
        for end in 1..text.len() {
            assert!(!is_whole(&text[..end]), "{name}: the first {end} bytes");
        }
        for end in (1..text.len()).step_by(17) {
            assert!(!is_msal_cache(&text[..end]), "{name}: the first {end} bytes");
        }
    }
}

#[test]
fn a_cache_written_over_a_longer_one_is_not_whole() {
    for (short_name, short) in VECTORS {
        for (long_name, long) in VECTORS.iter().filter(|(_, long)| long.len() > short.len()) {
            let written = [short.as_bytes(), &long.as_bytes()[short.len()..]].concat();
            assert!(!is_whole(&written), "{short_name} over {long_name}");
        }
    }
}

#[test]
fn zero_bytes_behind_a_cache_make_it_torn() {
    assert!(is_whole(b"{} \r\n\t"));
    assert!(!is_whole(b"{}\0"));
    assert!(!is_whole(b"{}{}"));
}

#[test]
fn content_that_is_no_json_object_counts_as_whole() {
    for content in [&b""[..], b"gAAAA", b"[1,", b"\"text", b"\0\0", b"\xFF{", b"  "] {
        assert!(is_whole(content), "{content:?}");
        assert!(!is_msal_cache(content), "{content:?}");
    }
}

#[test]
fn a_token_cache_has_a_known_section_or_is_empty() {
    for content in [
        &b"{}"[..],
        b" { } ",
        b"{\"Account\":{}}",
        b"{\"x\":1,\"AppMetadata\":null}",
        b"{\"Acc\\u006funt\":{}}",
    ] {
        assert!(is_msal_cache(content), "{}", content.escape_ascii());
    }
    for content in [
        &b"{\"counter\":1}"[..],
        b"{\"account\":{}}",
        b"{\"Account\":[]}",
        b"{\"Account\":{},\"IdToken\":\"\"}",
    ] {
        assert!(!is_msal_cache(content), "{}", content.escape_ascii());
        assert!(is_whole(content), "{}", content.escape_ascii());
    }
}

#[test]
fn a_byte_order_mark_is_accepted_and_can_be_removed() {
    assert!(is_whole(b"\xEF\xBB\xBF{}") && !is_whole(b"\xEF\xBB\xBF{"));
    assert!(is_msal_cache(b"\xEF\xBB\xBF{}"));
    assert_eq!(without_bom(b"\xEF\xBB\xBF{}"), b"{}");
    assert_eq!(without_bom(b"{}"), b"{}");
    assert!(!is_whole(b"{\xEF\xBB\xBF}"));
}
