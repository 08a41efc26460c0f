//! Entries that we do not change stay byte for byte.

use tokenkeep::schema::{Change, merge};

use crate::support::{VECTORS, merge_texts};

/// A client's cache with one new account.
const SIGN_IN: &[u8] = br#"{"Account":{"eve-e":{"home_account_id":"eve"}},"RefreshToken":{"eve-rt":{"home_account_id":"eve","secret":"s"}}}"#;

#[test]
fn merging_nothing_into_any_librarys_cache_changes_no_byte() {
    for (name, text) in VECTORS {
        let merged = merge_texts(None, b"{}", Some(text.as_bytes()), false);
        assert!(merged.unchanged, "{name}");
        assert_eq!(merged.content.expose(), text.as_bytes(), "{name}");
    }
}

#[test]
fn every_entry_of_every_library_stays_as_written_when_an_account_is_added() {
    for (name, text) in VECTORS {
        let merged = merge(&Change::additions(SIGN_IN), Some(text.as_bytes())).unwrap();
        let merged = std::str::from_utf8(merged.content.expose()).unwrap();
        let before: serde_json::Map<String, serde_json::Value> = serde_json::from_str(text).unwrap();
        let after: serde_json::Map<String, serde_json::Value> = serde_json::from_str(merged).unwrap();
        assert!(after.keys().eq(before.keys()), "{name}: the sections and their order");
        for (section, entries) in before.iter().filter_map(|(name, value)| Some((name, value.as_object()?))) {
            let merged_entries = after[section].as_object().unwrap();
            assert!(
                merged_entries.keys().take(entries.len()).eq(entries.keys()),
                "{name} {section}: the order"
            );
        }
        // Values of one depth have braces and brackets only inside strings, so their text can be cut out.
        for entry in text.split_inclusive('}').filter_map(|piece| Some(&piece[piece.rfind('{')?..])) {
            assert!(merged.contains(entry), "{name}: {entry}");
        }
        assert!(merged.contains(r#""eve-rt":{"home_account_id":"eve","secret":"s"}"#), "{name}");
    }
}

#[test]
fn spelling_and_numbers_are_kept_where_a_section_is_rewritten() {
    let theirs = br#" { "X" : [ 1.0 , 1e400, 12345678901234567890 ] , "RefreshToken" : { "a\/b" : { "n" : 0.10 , "\ud800" : "\u00e9" } } } "#;
    let merged = merge_texts(None, SIGN_IN, Some(theirs), false);
    let text = std::str::from_utf8(merged.content.expose()).unwrap();
    let expected = concat!(
        r#"{"X":[ 1.0 , 1e400, 12345678901234567890 ],"RefreshToken":{"a\/b":{ "n" : 0.10 , "\ud800" : "\u00e9" },"#,
        r#""eve-rt":{"home_account_id":"eve","secret":"s"}},"Account":{"eve-e":{"home_account_id":"eve"}}}"#
    );
    assert_eq!(text, expected);
}

#[test]
fn keys_are_the_same_however_they_are_escaped() {
    let base = br#"{"RefreshToken":{"a-\u00e9\ud83d\ude00":{"s":"\u0031"}}}"#;
    let same = "{\"RefreshToken\":{\"\\u0061-é😀\":{\"s\":\"1\"}}}".as_bytes();
    assert!(merge_texts(Some(base), same, Some(base), false).unchanged);
    let ours = "{\"RefreshToken\":{\"a-é😀\":{\"s\":\"2\"}}}".as_bytes();
    let merged = merge_texts(Some(base), ours, Some(base), false);
    assert_eq!(merged.content.expose(), ours);
    // Lone surrogates are distinct keys.
    let lone = br#"{"RefreshToken":{"\ud800":{"s":"1"},"\ud801":{"s":"1"},"\ufffd":{"s":"1"}}}"#;
    assert!(merge_texts(None, lone, Some(lone), false).unchanged);
    assert_eq!(merge_texts(None, lone, None, false).content.expose(), lone);
}

#[test]
fn numbers_differ_when_they_are_written_differently_and_objects_do_not() {
    let stored = br#"{"Account":{"a":{"x":1.0,"y":[1,2],"z":{}}}}"#;
    let same = br#"{"Account":{"a":{ "z":{ },"y":[ 1 , 2 ],"\u0078":1.0}}}"#;
    assert!(merge_texts(None, same, Some(stored), false).unchanged);
    for other in [
        &br#"{"Account":{"a":{"x":1,"y":[1,2],"z":{}}}}"#[..],
        br#"{"Account":{"a":{"x":1.0,"y":[2,1],"z":{}}}}"#,
        br#"{"Account":{"a":{"x":1.0,"y":[1,2,3],"z":{}}}}"#,
        br#"{"Account":{"a":{"x":1.0,"y":[1],"z":{}}}}"#,
        br#"{"Account":{"a":{"x":1.0,"y":[1,2],"z":[]}}}"#,
        br#"{"Account":{"a":{"x":1.0,"y":[1,2],"z":{},"w":1}}}"#,
        br#"{"Account":{"a":{"x":1.0,"y":[1,2],"q":{}}}}"#,
    ] {
        let merged = merge_texts(None, other, Some(stored), false);
        assert_eq!(merged.content.expose(), other);
    }
}

#[test]
fn the_last_of_duplicate_keys_counts_and_no_other_entry_is_lost() {
    let theirs = br#"{"Account":{"gone":{}},"X":1,"Account":{"a":{"v":1},"b":{"v":1},"a":{"v":2}},"X":2}"#;
    assert_eq!(merge_texts(None, b"{}", Some(theirs), false).content.expose(), theirs);
    let merged = merge_texts(None, br#"{"Account":{"c":{"v":1}}}"#, Some(theirs), false);
    assert_eq!(merged.content.expose(), br#"{"Account":{"a":{"v":2},"b":{"v":1},"c":{"v":1}},"X":2}"#);
    let merged = merge_texts(None, br#"{"Account":{"b":{"v":1},"b":{"v":3}}}"#, Some(theirs), false);
    assert_eq!(merged.content.expose(), br#"{"Account":{"a":{"v":2},"b":{"v":3}},"X":2}"#);
}

#[test]
fn a_byte_order_mark_is_never_written() {
    let theirs = b"\xEF\xBB\xBF{\"Account\":{}}";
    assert_eq!(merge_texts(None, b"{}", Some(theirs), false).content.expose(), b"{\"Account\":{}}");
    assert!(
        merge_texts(None, SIGN_IN, Some(theirs), false).content.expose().starts_with(b"{\"Account\":{\"eve")
    );
    assert!(merge_texts(None, theirs, None, false).content.expose().starts_with(b"{"));
}

#[test]
fn an_empty_section_written_as_null_takes_entries() {
    let theirs = br#"{"Account":null,"RefreshToken":null,"IdToken":null}"#;
    let merged = merge_texts(None, SIGN_IN, Some(theirs), false);
    let text = std::str::from_utf8(merged.content.expose()).unwrap();
    assert!(text.starts_with(r#"{"Account":{"eve-e""#) && text.ends_with(r#""IdToken":null}"#), "{text}");
}
