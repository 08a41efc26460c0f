//! Content designed to break a parser.

use tokenkeep::schema::{Change, is_msal_cache, is_whole, merge, remove_account};

use crate::support::merge_texts;

const SIGN_IN: &[u8] = br#"{"Account":{"eve":{"home_account_id":"eve"}}}"#;

#[test]
fn nesting_a_hundred_thousand_deep_is_only_text() {
    let depth = 100_000;
    let nested =
        |value: String| format!(r#"{{"Deep":{value},"Account":{{"a":{{"x":{value}}}}}}}"#).into_bytes();
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let inner = if open == "[" { "" } else { "1" };
        let text = nested(open.repeat(depth) + inner + &close.repeat(depth));
        let other = nested(open.repeat(depth) + "2" + &close.repeat(depth));
        assert!(is_whole(&text) && is_msal_cache(&text));
        assert!(!is_whole(&text[..text.len() / 2]));
        let merged =
            merge(&Change { held: None, base: Some(&text), ours: &other, disturbed: false }, Some(&text))
                .unwrap();
        assert_eq!(merged.content.expose(), other);
        assert_eq!(remove_account(&text, "eve").unwrap().removed, 0);
    }
}

#[test]
fn sixty_four_megabytes_are_merged() {
    let token = "x".repeat(64 * 1024);
    let entries: Vec<_> = (0..1024).map(|n| format!(r#""{n}":{{"secret":"{token}"}}"#)).collect();
    let theirs = format!(r#"{{"RefreshToken":{{{}}}}}"#, entries.join(",")).into_bytes();
    assert!(theirs.len() > 64 << 20);
    let merged = merge(
        &Change { held: Some(&theirs), base: Some(&theirs), ours: SIGN_IN, disturbed: true },
        Some(&theirs),
    )
    .unwrap();
    assert_eq!(merged.undeleted, 1024);
    assert_eq!(merged.content.len(), theirs.len() + r#","Account":{"eve":{"home_account_id":"eve"}}"#.len());
    // No time limit: a merge that grew with the square of the size would not end before its stage is stopped.
}

#[test]
fn text_that_is_not_valid_json_is_refused() {
    for broken in [
        "{\"a\":01}",
        "{\"a\":+1}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":1e}",
        "{\"a\":-}",
        "{\"a\":0x1}",
        "{\"a\":NaN}",
        "{\"a\":tru}",
        "{\"a\":nulll}",
        "{\"a\":'b'}",
        "{a:1}",
        "{\"a\":1,}",
        "{\"a\":[1,]}",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12G4\"}",
        "{\"a\":\"\\u123\"}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\t\"}",
        "{\"a\":[}",
        "{\"a\":{]}}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1/**/}",
        "{\"a\":1}x",
        "{\u{a0}\"a\":1}",
        "{\"a\":\"\u{0}\"}",
    ] {
        assert!(!is_whole(broken.as_bytes()), "{broken}");
        assert!(serde_json::from_str::<serde_json::Value>(broken).is_err(), "{broken}");
        let with_section = format!("{{\"Account\":{{}},\"x\":{broken}}}");
        assert!(!is_msal_cache(with_section.as_bytes()), "{with_section}");
        assert!(merge(&Change::additions(SIGN_IN), Some(with_section.as_bytes())).is_err(), "{with_section}");
    }
    for invalid in [
        &b"\xFF"[..],
        b"\xC3",
        b"\xED\xA0\x80",
        b"\xC0\x80",
        b"\xF4\x90\x80\x80",
        b"aaaaaaaaaaaaaaaaaaaa\xE2\x82",
    ] {
        let text = [&b"{\"a\":\""[..], invalid, b"\"}"].concat();
        assert!(!is_whole(&text), "{}", text.escape_ascii());
    }
}

#[test]
fn text_that_json_parse_accepts_is_accepted() {
    for fine in [
        r#"{"a":"\ud800"}"#,
        r#"{"a":1e999}"#,
        r#"{"a":-0.0e-0}"#,
        r#"{"":""}"#,
        r#"{"a":[[],{},""]}"#,
        "{\"a\":\"\u{7f}é😀\"}",
        r#"{"a":"\"\\\/\b\f\n\r\t\u0000"}"#,
        "\t\r\n {\"a\" : null }",
        r#"{"__proto__":{},"__proto__":1}"#,
    ] {
        assert!(is_whole(fine.as_bytes()), "{fine}");
        let theirs = format!("{{\"Account\":{{\"k\":{fine}}}}}");
        assert!(merge_texts(None, theirs.as_bytes(), Some(theirs.as_bytes()), false).unchanged, "{theirs}");
    }
}

#[test]
fn entries_that_are_not_objects_are_kept() {
    let theirs = br#"{"Account":{"a":null,"b":7,"c":[],"d":""},"AccessToken":{"e":true}}"#;
    let merged = merge_texts(Some(theirs), SIGN_IN, Some(theirs), true);
    assert!(merged.content.expose().starts_with(br#"{"Account":{"a":null,"b":7,"c":[],"d":"","eve":"#));
    assert_eq!(remove_account(theirs, "a").unwrap().removed, 0);
}

#[test]
fn errors_and_debug_output_contain_nothing_of_the_cache() {
    let theirs = br#"{"RefreshToken":{"k":{"secret":"hush-hush"}"#;
    let change = Change::additions(br#"{"RefreshToken":{"k":{"secret":"hush-hush"}}}"#);
    let error = merge(&change, Some(theirs)).unwrap_err();
    let merged = merge(&change, None).unwrap();
    let removal = remove_account(change.ours, "x").unwrap();
    for said in [format!("{error}"), format!("{error:?}"), format!("{change:?} {merged:?} {removal:?}")] {
        assert!(!said.contains("hush"), "{said}");
    }
}
