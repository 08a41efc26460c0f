//! Properties of every cache and every change, tested with random ones.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::{Value, json};
use tokenkeep::schema::{Change, Merged, Section, is_msal_cache, is_whole, merge, remove_account};

use crate::support::{Cache, VECTORS, merge_texts};

/// An entry's key: the section, the owner, and a number.
type Key = (usize, u8, u8);

/// The model of a cache: its entries and their versions.
type Model = BTreeMap<Key, u8>;

const ACCOUNT: usize = Section::Account as usize;
const APP_METADATA: usize = Section::AppMetadata as usize;
const PEOPLE: [&str; 3] = ["ada", "bob", "eve"];

fn text(model: &Model) -> Vec<u8> {
    let cache = model.iter().fold(Cache::new(), |cache, (&(section, who, slot), &version)| {
        let who = PEOPLE[usize::from(who)];
        let section = Section::ALL[section];
        let entry = json!({
            "home_account_id": if section == Section::AppMetadata { Value::Null } else { json!(who) },
            "credential_type": section.name(),
            "secret": format!("secret {version}"),
            "cached_at": version.to_string(),
        });
        cache.with(section, &format!("{who}-{slot}"), entry)
    });
    cache.text()
}

fn model(text: &[u8]) -> Model {
    let root: Value = serde_json::from_slice(text).unwrap();
    let entries = Section::ALL.into_iter().flat_map(|section| {
        let entries = root[section.name()].as_object().cloned().unwrap_or_default();
        entries.into_iter().map(move |(key, entry)| {
            let (who, slot) = key.split_once('-').unwrap();
            let who = PEOPLE.iter().position(|person| *person == who).unwrap();
            let version = entry["cached_at"].as_str().unwrap().parse().unwrap();
            ((section as usize, u8::try_from(who).unwrap(), slot.parse().unwrap()), version)
        })
    });
    entries.collect()
}

fn caches() -> impl Strategy<Value = Model> {
    btree_map((0..5_usize, 0..3_u8, 0..2_u8), 0..3_u8, 0..20)
}

/// A client's change to its cache.
#[derive(Clone, Debug)]
enum Act {
    Put(Key, u8),
    Remove(Key),
    SignOut(u8),
}

fn acts(people: std::ops::Range<u8>) -> impl Strategy<Value = Vec<Act>> {
    let key = move || (0..5_usize, people.clone(), 0..2_u8);
    let act = prop_oneof![
        6 => (key(), 0..4_u8).prop_map(|(key, version)| Act::Put(key, version)),
        // Clients do not remove accounts without their tokens, nor application metadata.
        2 => key().prop_filter("tokens", |key| key.0 != ACCOUNT && key.0 != APP_METADATA).prop_map(Act::Remove),
        1 => key().prop_map(|key| Act::SignOut(key.1)),
    ];
    vec(act, 0..8)
}

fn after(before: &Model, acts: &[Act]) -> Model {
    let mut model = before.clone();
    for act in acts {
        match *act {
            Act::Put(key, version) => _ = model.insert(key, version),
            Act::Remove(key) => _ = model.remove(&key),
            Act::SignOut(who) => model.retain(|key, _| key.1 != who || key.0 == APP_METADATA),
        }
    }
    model
}

fn accounts(model: &Model) -> BTreeSet<u8> {
    model.keys().filter(|key| key.0 == ACCOUNT).map(|key| key.1).collect()
}

fn merged(base: &Model, ours: &Model, theirs: &Model) -> (Merged, Model) {
    let merged = merge_texts(Some(&text(base)), &text(ours), Some(&text(theirs)), false);
    let result = model(merged.content.expose());
    (merged, result)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_change_of_the_stored_content_results_in_ours(base in caches(), acts in acts(0..3)) {
        let ours = after(&base, &acts);
        // A sign-out does not remove tokens that never had an account.
        let signed_out: BTreeSet<_> = accounts(&base).difference(&accounts(&ours)).copied().collect();
        let expected: Model = ours
            .iter()
            .filter(|(key, _)| key.0 == APP_METADATA || !signed_out.contains(&key.1))
            .map(|(key, version)| (*key, *version))
            .collect();
        let (merged, result) = merged(&base, &ours, &base);
        prop_assert_eq!(&result, &expected);
        prop_assert_eq!(merged.unchanged, expected == base);
        prop_assert_eq!((merged.dropped, merged.undeleted), (0, 0));
    }

    #[test]
    fn no_entry_disappears_that_we_did_not_delete(base in caches(), ours in acts(0..3), theirs in acts(0..3)) {
        let (ours, theirs) = (after(&base, &ours), after(&base, &theirs));
        let (_, result) = merged(&base, &ours, &theirs);
        let signed_out: BTreeSet<_> = accounts(&base).difference(&accounts(&ours)).copied().collect();
        for key in theirs.keys() {
            let deleted = base.contains_key(key) && !ours.contains_key(key);
            let signed_out = key.0 != APP_METADATA && signed_out.contains(&key.1);
            prop_assert!(result.contains_key(key) || deleted || signed_out, "{:?} is lost", key);
        }
    }

    #[test]
    fn no_new_entry_of_ours_disappears_unless_its_account_does(base in caches(), ours in acts(0..3), theirs in acts(0..3)) {
        let (ours, theirs) = (after(&base, &ours), after(&base, &theirs));
        let (merged, result) = merged(&base, &ours, &theirs);
        let gone = |model: &Model, who: u8| accounts(&base).contains(&who) && !accounts(model).contains(&who);
        let signed_in = |who: u8| {
            let mut accounts = ours.iter().filter(|(key, _)| key.0 == ACCOUNT && key.1 == who);
            accounts.any(|(key, version)| base.get(key) != Some(version))
        };
        let mut dropped = 0;
        for (key, version) in ours.iter().filter(|(key, version)| base.get(key) != Some(version)) {
            if key.0 != APP_METADATA && gone(&ours, key.1) {
                prop_assert!(!result.contains_key(key), "{:?} outlives its account", key);
            } else if result.get(key) != Some(version) {
                let later = key.0 == Section::AccessToken as usize && result.get(key) > Some(version);
                // Signed out by others, and not signed in again by us.
                let signed_out = gone(&theirs, key.1) && !signed_in(key.1);
                prop_assert!(later || signed_out, "{:?} is lost", key);
                dropped += usize::from(signed_out);
            }
        }
        prop_assert!(merged.dropped >= dropped && (merged.dropped > 0) == merged.conflict().is_some());
    }

    #[test]
    fn no_deleted_entry_returns(base in caches(), ours in acts(0..3), theirs in acts(0..3)) {
        let (ours, theirs) = (after(&base, &ours), after(&base, &theirs));
        let (_, result) = merged(&base, &ours, &theirs);
        let signed_in_anew: BTreeSet<_> =
            ours.iter().filter(|(key, version)| key.0 == ACCOUNT && base.get(key) != Some(version)).map(|(key, _)| key.1).collect();
        for (key, version) in &result {
            let news = ours.get(key) == Some(version) && base.get(key) != Some(version);
            prop_assert!(
                theirs.get(key) == Some(version) || news || (ours.contains_key(key) && signed_in_anew.contains(&key.1)),
                "{:?} is neither theirs nor new", key
            );
        }
        for who in accounts(&base).difference(&accounts(&ours)) {
            prop_assert!(!result.keys().any(|key| key.1 == *who && key.0 != APP_METADATA), "{} is not signed out", who);
        }
    }

    #[test]
    fn merging_the_same_change_again_changes_nothing(base in caches(), ours in acts(0..3), theirs in acts(0..3), disturbed: bool) {
        let (base, ours, theirs) = (text(&base), text(&after(&base, &ours)), text(&after(&base, &theirs)));
        let once = merge_texts(Some(&base), &ours, Some(&theirs), disturbed);
        let twice = merge_texts(Some(&base), &ours, Some(once.content.expose()), disturbed);
        prop_assert!(twice.unchanged);
        prop_assert_eq!(twice.content, once.content);
    }

    #[test]
    fn the_order_of_changes_to_different_accounts_does_not_matter(base in caches(), ada in acts(0..1), rest in acts(1..3)) {
        let (ada, rest) = (after(&base, &ada), after(&base, &rest));
        let (_, ada_last) = merged(&base, &ada, &merged(&base, &rest, &base).1);
        let (_, ada_first) = merged(&base, &rest, &merged(&base, &ada, &base).1);
        prop_assert_eq!(&ada_last, &ada_first);
        let of = |model: &Model, ada: bool| -> Model {
            model.iter().filter(|(key, _)| (key.1 == 0) == ada).map(|(key, version)| (*key, *version)).collect()
        };
        prop_assert_eq!(of(&ada_last, true), of(&merged(&base, &ada, &base).1, true));
        prop_assert_eq!(of(&ada_last, false), of(&merged(&base, &rest, &base).1, false));
    }

    #[test]
    fn the_loaded_content_makes_no_difference_if_the_client_writes_what_it_reads(
        base in caches(), ours in acts(0..3), theirs in acts(0..3), disturbed: bool
    ) {
        let (base, ours, theirs) = (text(&base), text(&after(&base, &ours)), text(&after(&base, &theirs)));
        let spaced = serde_json::to_string_pretty(&serde_json::from_slice::<Value>(&base).unwrap()).unwrap();
        let with = |held| merge(&Change { held, base: Some(&base), ours: &ours, disturbed }, Some(&theirs)).unwrap().content;
        prop_assert_eq!(with(None), with(Some(&base)));
        prop_assert_eq!(with(None), with(Some(spaced.as_bytes())));
    }

    #[test]
    fn remove_account_equals_a_sign_out_by_a_client(cache in caches(), who in 0..3_u8) {
        let removal = remove_account(&text(&cache), PEOPLE[usize::from(who)]).unwrap();
        prop_assert_eq!(model(removal.content.expose()), after(&cache, &[Act::SignOut(who)]));
    }

    #[test]
    fn no_beginning_of_a_cache_is_whole(cache in caches(), length: prop::sample::Index) {
        let text = text(&cache);
        let part = &text[..length.index(text.len())];
        prop_assert!(part.is_empty() || !is_whole(part));
        prop_assert!(is_whole(&text));
    }

    #[test]
    fn a_damaged_vector_is_json_to_us_exactly_if_it_is_to_serde(
        vector in 0..VECTORS.len(),
        edits in vec((any::<prop::sample::Index>(), 0..3_u8, prop::sample::select(&br#"{}[],:"\/bu09eE+-.truefalsn x"#[..])), 1..4),
    ) {
        let mut text = VECTORS[vector].1.as_bytes().to_vec();
        for (at, edit, byte) in edits {
            let at = at.index(text.len());
            match edit {
                0 => text[at] = byte,
                1 => text.insert(at, byte),
                _ => _ = text.remove(at),
            }
        }
        // serde does not check the encoding of values that it ignores.
        let json = std::str::from_utf8(&text).is_ok_and(|text| serde_json::from_str::<IgnoredAny>(text).is_ok());
        prop_assert_eq!(is_whole(&text), json || !text.trim_ascii_start().starts_with(b"{"));
    }

    #[test]
    fn equal_values_are_equal_in_any_spelling(value in json_values()) {
        let value = json!({ "Account": { "a": value } });
        let (stored, ours) = (value.to_string(), respelt(&value));
        prop_assert_eq!(&serde_json::from_str::<Value>(&ours).unwrap(), &value);
        prop_assert!(merge_texts(None, ours.as_bytes(), Some(stored.as_bytes()), false).unchanged, "{}", ours);
    }

    #[test]
    fn different_values_are_different(one in json_values(), other in json_values()) {
        let stored = json!({ "Account": { "a": &one } }).to_string();
        let ours = json!({ "Account": { "a": &other } }).to_string();
        let merged = merge_texts(None, ours.as_bytes(), Some(stored.as_bytes()), false);
        prop_assert_eq!(merged.unchanged, one == other);
    }

    #[test]
    fn no_bytes_make_it_panic(texts in vec(soup(), 4), disturbed: bool) {
        let [theirs, held, base, ours] = &texts[..] else { unreachable!() };
        for text in &texts {
            let whole = is_whole(text);
            prop_assert!(whole || !is_msal_cache(text));
            let removed = remove_account(text, "a");
            prop_assert_eq!(removed.is_ok() || !is_msal_cache(text), true);
        }
        let change = Change { held: Some(held), base: Some(base), ours, disturbed };
        if let Ok(merged) = merge(&change, Some(theirs)) {
            prop_assert!(is_whole(merged.content.expose()));
        }
    }
}

fn json_values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0..3_i64).prop_map(Value::from),
        "[a-c\"\\\\\u{1}é😀/]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(Value::from),
            vec(("[ab]", inner), 0..3).prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Writes the value in an unusual form: members backwards, everything escaped, white space everywhere.
fn respelt(value: &Value) -> String {
    match value {
        Value::Object(members) => {
            let members = members
                .iter()
                .rev()
                .map(|(name, value)| format!("{} :\t{}", respelt_text(name), respelt(value)));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(" , "))
        }
        Value::Array(elements) => {
            format!("[\n{} ]", elements.iter().map(respelt).collect::<Vec<_>>().join("\r\n,"))
        }
        Value::String(text) => respelt_text(text),
        other => other.to_string(),
    }
}

fn respelt_text(text: &str) -> String {
    format!("\"{}\"", text.encode_utf16().map(|unit| format!("\\u{unit:04X}")).collect::<String>())
}

/// Random bytes, often close to a cache.
fn soup() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(vec![
            "{", "}", "[", "]", ":", ",", "\"", "null", "true", "-1.5e3", " ", "{}", "\"Account\":", "\"RefreshToken\":{", "\"a\":",
            "\"home_account_id\":\"a\"", "\"cached_at\":\"1\"", "\"\\ud83d\\ude00\\udead\"", "\\", "\\u00", "\u{feff}", "é",
        ]).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..3),
    ];
    let pieces = vec(piece, 0..16).prop_map(|pieces| pieces.concat());
    let cache = (caches(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(cache, at, byte)| {
        let mut text = text(&cache);
        let at = at.index(text.len());
        text[at] = byte;
        text
    });
    prop_oneof![pieces, cache, caches().prop_map(|cache| text(&cache))]
}
