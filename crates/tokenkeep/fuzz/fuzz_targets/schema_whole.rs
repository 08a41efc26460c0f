//! Any bytes, as what a reader may find in a store.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use tokenkeep::schema::{Change, is_msal_cache, is_whole, merge, remove_account, without_bom};

fuzz_target!(|content: &[u8]| {
    let whole = is_whole(content);
    let text = without_bom(content);
    if text.trim_ascii_start().starts_with(b"{") {
        check_against_serde(text, whole);
        if whole {
            // All but the white space behind it is needed.
            let text = text.trim_ascii_end();
            assert!(
                !is_whole(&text[..text.len() - 1]) && !is_whole(&text[..text.len() / 2 + 1])
                    || text.len() <= 2
            );
        }
    } else if !text.first().is_some_and(u8::is_ascii_whitespace) {
        assert!(whole, "what is no JSON object is opaque");
    }
    let cache = is_msal_cache(content);
    assert!(whole || !cache);
    if let Ok(removal) = remove_account(content, "ada") {
        assert!(is_whole(removal.content.expose()));
        assert_eq!(remove_account(removal.content.expose(), "ADA").expect("a cache").removed, 0);
    }
    if cache {
        let merged = merge(&Change::additions(b"{}"), Some(content)).expect("a cache");
        assert!(merged.unchanged && merged.content.expose() == text);
        let merged = merge(&Change::additions(content), Some(content)).expect("a cache");
        assert!(merged.unchanged && merged.content.expose() == text);
        let merged = merge(&Change::additions(content), None).expect("a cache");
        assert!(is_msal_cache(merged.content.expose()));
    }
});

/// serde_json refuses nothing that is JSON but deep nesting.
fn check_against_serde(text: &[u8], whole: bool) {
    let Ok(text) = std::str::from_utf8(text) else {
        assert!(!whole, "not UTF-8");
        return;
    };
    match serde_json::from_str::<IgnoredAny>(text) {
        Ok(_) => assert!(whole, "JSON refused"),
        Err(error) if error.to_string().contains("recursion limit") => {}
        Err(error) => assert!(!whole, "not JSON: {error}"),
    }
}
