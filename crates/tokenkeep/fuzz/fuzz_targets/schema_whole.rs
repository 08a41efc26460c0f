//! Any bytes, as what a reader may find in a store.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use tokenkeep::schema::{Change, is_msal_cache, is_whole, merge, remove_account, without_bom};

fuzz_target!(|content: &[u8]| {
    let whole = is_whole(content);
    let text = without_bom(content);
    let object = trimmed(text);
    if object.starts_with(b"{") {
        check_against_serde(text, whole);
        for end in [1, object.len() / 2, object.len() - 1] {
            let part = end > 0 && end < object.len();
            assert!(!(whole && part && is_whole(&object[..end])), "a beginning passes for all of it");
        }
    } else {
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

/// Without what JSON calls white space around it.
fn trimmed(text: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| b" \t\r\n".contains(byte);
    let start = text.iter().take_while(|byte| is_space(byte)).count();
    let end = text.len() - text[start..].iter().rev().take_while(|byte| is_space(byte)).count();
    &text[start..end]
}

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
