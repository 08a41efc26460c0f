//! The caches of a merge: any bytes, and caches whose entries meet each other often.
#![no_main]

use std::fmt::Write as _;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use tokenkeep::schema::{Change, Section, is_msal_cache, is_whole, merge};

#[derive(Arbitrary, Debug)]
enum Text {
    Raw(Vec<u8>),
    Built { sections: Vec<(Name, Vec<Entry>)>, spaced: bool },
}

#[derive(Arbitrary, Debug)]
enum Name {
    Known(u8),
    Unknown(u8),
}

#[derive(Arbitrary, Debug)]
struct Entry {
    key: u8,
    account: u8,
    kind: u8,
    version: u8,
    escaped: bool,
}

#[derive(Arbitrary, Debug)]
struct Input {
    held: Option<Text>,
    base: Option<Text>,
    ours: Text,
    theirs: Option<Text>,
    disturbed: bool,
}

impl Text {
    fn bytes(&self) -> Vec<u8> {
        let (sections, space) = match self {
            Self::Raw(bytes) => return bytes.clone(),
            Self::Built { sections, spaced } => (sections, if *spaced { " " } else { "" }),
        };
        let sections = sections.iter().map(|(name, entries)| {
            let entries: Vec<_> = entries.iter().map(|entry| entry.text(space)).collect();
            format!("{}:{space}{{{}}}", name.text(), entries.join(","))
        });
        format!("{{{}}}", sections.collect::<Vec<_>>().join(",")).into_bytes()
    }
}

impl Name {
    fn text(&self) -> String {
        match self {
            Self::Known(section) => {
                format!("\"{}\"", Section::ALL[usize::from(*section) % Section::ALL.len()])
            }
            Self::Unknown(name) => format!("\"Future{}\"", name % 2),
        }
    }
}

impl Entry {
    fn text(&self, space: &str) -> String {
        let key = if self.escaped { r"\u006b" } else { "k" };
        let mut text = format!("\"{key}{}\":{space}{{", self.key % 4);
        if self.account % 4 < 3 {
            let _ =
                write!(text, "\"home_account_id\":\"{}\",", ["a", "A", "b"][usize::from(self.account % 4)]);
        }
        let kind = ["AccessToken", "RefreshToken", "IdToken", "ATExt"][usize::from(self.kind % 4)];
        let _ =
            write!(text, "\"credential_type\":\"{kind}\",\"cached_at\":{space}\"{}\"}}", self.version % 4);
        text
    }
}

fuzz_target!(|input: Input| {
    let [held, base, theirs] =
        [&input.held, &input.base, &input.theirs].map(|text| text.as_ref().map(Text::bytes));
    let ours = input.ours.bytes();
    let change =
        Change { held: held.as_deref(), base: base.as_deref(), ours: &ours, disturbed: input.disturbed };
    let Ok(merged) = merge(&change, theirs.as_deref()) else {
        assert!(!is_msal_cache(&ours) || theirs.as_deref().is_some_and(|theirs| !is_msal_cache(theirs)));
        return;
    };
    let result = merged.content.expose();
    assert!(is_whole(result), "the result is torn");
    let again = merge(&change, Some(result)).expect("the result is a cache");
    assert!(again.unchanged && again.content == merged.content, "merging again changes something");
    check_that_nothing_is_lost(theirs.as_deref().unwrap_or(b"{}"), base.as_deref(), result);
});

/// Compares keys only: a stored entry stays if the client did not know it and signed no account out.
fn check_that_nothing_is_lost(theirs: &[u8], base: Option<&[u8]>, result: &[u8]) {
    // What serde cannot read (lone surrogates, numbers out of range) is left to the other checks.
    let (Ok(theirs), Ok(result)) =
        (serde_json::from_slice::<Value>(theirs), serde_json::from_slice::<Value>(result))
    else {
        return;
    };
    let base: Value = base.and_then(|base| serde_json::from_slice(base).ok()).unwrap_or_default();
    for (section, entries) in theirs.as_object().into_iter().flatten() {
        assert!(result.get(section).is_some(), "{section} is lost");
        for (key, entry) in entries.as_object().into_iter().flatten() {
            let known = !base[section][key].is_null() || !base["Account"].is_null();
            assert!(known || !result[section][key].is_null() || entry.is_null(), "{section}/{key} is lost");
        }
    }
}
