//! Items of the libraries of other languages: found, read, and updated in place; new ones are equal to theirs.

use std::collections::HashMap;

use tokenkeep::ErrorKind;
use tokenkeep::preset::{Names, Preset, known_caches};
use tokenkeep::storage::{ItemShape, Keystore, SecretServiceItem};

use crate::assert_kind;
use crate::keyring::{Keyring, SCHEMA};

const LOGIN: &str = "/org/freedesktop/secrets/collection/login";
const CACHE: &[u8] = br#"{"Account":{"who":"ada"}}"#;
const OTHER: &[u8] = br#"{"Account":{"who":"bob"}}"#;
// The output of `base64` for them.
const CACHE_ENCODED: &[u8] = b"eyJBY2NvdW50Ijp7IndobyI6ImFkYSJ9fQ==";
const OTHER_ENCODED: &[u8] = b"eyJBY2NvdW50Ijp7IndobyI6ImJvYiJ9fQ==";

fn item(keyring: &Keyring, shape: &ItemShape) -> SecretServiceItem {
    SecretServiceItem::shaped(shape.clone()).unwrap().on_bus(keyring.bus.address())
}

/// Returns the attributes, label and stored content of every item with the first of `sought`.
fn all_with(keyring: &Keyring, sought: &[(&str, &str)]) -> Vec<(HashMap<String, String>, String, Vec<u8>)> {
    keyring.by_hand(async |hand| {
        let mut all = Vec::new();
        for path in hand.search(sought).await {
            all.push((hand.attributes(&path).await, hand.label(&path).await, hand.secret(&path).await));
        }
        all
    })
}

fn map(attributes: &[(&str, &str)]) -> HashMap<String, String> {
    attributes.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Returns the result of `all_with` without the schema that gnome-keyring adds. It marks an item without a schema as
/// a generic one when it writes its file, at any later time.
fn all_given(
    keyring: &Keyring,
    sought: &[(&str, &str)],
    attributes: &[(&str, &str)],
) -> Vec<(HashMap<String, String>, String, Vec<u8>)> {
    let mut all = all_with(keyring, sought);
    if attributes.iter().all(|(name, _)| *name != "xdg:schema") {
        for (found, ..) in &mut all {
            let schema = found.remove("xdg:schema");
            assert!(schema.is_none() || schema.as_deref() == Some(SCHEMA), "{schema:?}");
        }
    }
    all
}

/// A shape, the attributes of its items, and the stored form of a new one.
struct Case {
    shape: ItemShape,
    attributes: &'static [(&'static str, &'static str)],
    label: &'static str,
    stored: &'static [u8],
}

/// The items of the libraries according to their sources; the interop tests use the libraries themselves.
fn cases() -> Vec<Case> {
    vec![
        Case {
            shape: ItemShape::js("svc", "acc"),
            attributes: &[("xdg:schema", SCHEMA), ("service", "svc"), ("account", "acc")],
            label: "svc/acc",
            stored: CACHE,
        },
        Case {
            // printf %s '~/.app/cache.bin' | sha256sum
            shape: ItemShape::python("~/.app/cache.bin"),
            attributes: &[("xdg:schema", "1320e999a2c6167c1930c8fbbf861f5eb727f341497ca37967d89761c03dca44")],
            label: "",
            stored: CACHE,
        },
        Case {
            shape: ItemShape::python_given("my schema", &[("one", "1")]),
            attributes: &[("xdg:schema", "my schema"), ("one", "1")],
            label: "",
            stored: CACHE,
        },
        Case {
            shape: ItemShape::dotnet("com.contoso", "the cache", ("Version", "1"), ("Product", "apps")),
            attributes: &[("xdg:schema", "com.contoso"), ("Version", "1"), ("Product", "apps")],
            label: "the cache",
            stored: CACHE_ENCODED,
        },
        Case {
            shape: ItemShape::java("msal.cache", "java's", &[("MsalClientID", "x")]),
            attributes: &[("xdg:schema", "msal.cache"), ("MsalClientID", "x")],
            label: "java's",
            stored: CACHE_ENCODED,
        },
        Case {
            shape: ItemShape::go("accessor", &[]),
            attributes: &[("xdg:schema", "accessor")],
            label: "MSALCache",
            stored: CACHE_ENCODED,
        },
        Case {
            shape: ItemShape::keyring_rs("svc", "user"),
            attributes: &[("service", "svc"), ("username", "user")],
            label: "keyring:user@svc",
            stored: CACHE,
        },
    ]
}

#[test]
fn a_new_item_has_the_attributes_the_label_and_the_form_of_its_shape() {
    let keyring = Keyring::start();
    for case in cases() {
        let item = item(&keyring, &case.shape);
        assert_eq!(item.load().unwrap(), None, "{}", case.shape);
        item.save(&CACHE.into()).unwrap();
        assert_eq!(item.load().unwrap().unwrap().expose(), CACHE);
        let found = all_given(&keyring, case.attributes, case.attributes);
        assert_eq!(found, [(map(case.attributes), case.label.to_owned(), case.stored.to_vec())]);
        assert!(item.delete().unwrap());
        assert_eq!(item.load().unwrap(), None);
    }
}

#[test]
fn an_item_with_more_attributes_is_updated_in_place_in_the_form_it_has() {
    for case in cases() {
        for (stored, expected) in [(CACHE, OTHER), (CACHE_ENCODED, OTHER_ENCODED)] {
            let keyring = Keyring::start();
            let richer = [case.attributes, &[("extra", "kept")]].concat();
            keyring.by_hand(async |hand| hand.create(LOGIN, &richer, stored).await);
            let item = item(&keyring, &case.shape);
            assert_eq!(item.load().unwrap().unwrap().expose(), CACHE, "{}", case.shape);
            item.save(&OTHER.into()).unwrap();
            assert_eq!(item.load().unwrap().unwrap().expose(), OTHER);
            let found = all_given(&keyring, &[("extra", "kept")], &richer);
            assert_eq!(found, [(map(&richer), "by hand".to_owned(), expected.to_vec())]);
        }
    }
}

#[test]
fn an_item_of_dotnet_is_found_with_any_schema() {
    let keyring = Keyring::start();
    let attributes = [("xdg:schema", "another"), ("Version", "1"), ("Product", "apps")];
    keyring.by_hand(async |hand| hand.create(LOGIN, &attributes, CACHE_ENCODED).await);
    let shape = ItemShape::dotnet("com.contoso", "", ("Version", "1"), ("Product", "apps"));
    let item = item(&keyring, &shape);
    assert_eq!(item.load().unwrap().unwrap().expose(), CACHE);
    item.save(&OTHER.into()).unwrap();
    assert_eq!(all_with(&keyring, &attributes[1..]).len(), 1);
}

#[test]
fn an_item_of_java_shared_with_dotnet_keeps_the_attributes_that_dotnet_searches() {
    let keyring = Keyring::start();
    let of = |name: &str| {
        let preset: Preset = name.parse().unwrap();
        let tokenkeep::preset::PlaceKind::Item(shape) = preset.place(&Names::default()).unwrap().kind else {
            panic!("an item");
        };
        item(&keyring, &shape)
    };
    let (dotnet, java) = (of("azure-identity-dotnet"), of("azure-identity-java"));
    dotnet.save(&CACHE.into()).unwrap();
    assert_eq!(java.load().unwrap().unwrap().expose(), CACHE);
    java.save(&OTHER.into()).unwrap();
    assert_eq!(dotnet.load().unwrap().unwrap().expose(), OTHER);
}

#[test]
fn several_matching_items_are_listed_by_their_labels() {
    let keyring = Keyring::start();
    let (one, two) = (
        [("xdg:schema", "msal.cache"), ("id", "x")],
        [("xdg:schema", "msal.cache"), ("id", "x"), ("version", "1.0.0.0")],
    );
    let paths = keyring.by_hand(async |hand| {
        [hand.create(LOGIN, &one, CACHE_ENCODED).await, hand.create(LOGIN, &two, OTHER_ENCODED).await]
    });
    let item = item(&keyring, &ItemShape::java("msal.cache", "", &[("id", "x")]));
    for error in [item.load().unwrap_err(), item.save(&CACHE.into()).unwrap_err(), item.delete().unwrap_err()]
    {
        assert_kind(&error, ErrorKind::Ambiguous, "2 items match and differ");
        let candidates = error.candidates();
        assert_eq!(candidates.len(), 2, "{candidates:?}");
        for (path, attribute) in paths.iter().zip(["id=\"x\"", "version=\"1.0.0.0\""]) {
            let named = |text: &&String| text.contains(path.as_str()) && text.contains(attribute);
            assert!(candidates.iter().any(|text| named(&text)), "{path} {candidates:?}");
        }
        assert!(candidates.iter().all(|text| text.contains("\"by hand\"")), "{candidates:?}");
        assert!(!format!("{error:?}{candidates:?}").contains("ada"));
    }
    assert_eq!(all_with(&keyring, &one).len(), 2, "both are still there");
}

#[test]
fn an_item_without_a_searchable_name_is_refused() {
    let nul = ItemShape::python_given("a\0", &[]);
    let many = [
        ItemShape::python_given("", &[]),
        ItemShape::go("", &[("", "x")]),
        ItemShape::keyring_rs("s", "\0"),
        nul,
    ];
    for shape in many {
        let error = SecretServiceItem::shaped(shape).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn content_that_is_not_a_cache_is_kept_byte_for_byte() {
    let keyring = Keyring::start();
    let item = item(&keyring, &ItemShape::js("svc", "acc"));
    for content in [&b"bm90IGEgY2FjaGU="[..], b"text", b"\xff\0"] {
        item.save(&content.into()).unwrap();
        assert_eq!(item.load().unwrap().unwrap().expose(), content);
    }
}

#[test]
fn every_preset_has_the_location_of_its_cache() {
    let names = Names::default().path("/p").service("s").account("a").schema("x");
    let names = names.attribute("one", "1").attribute("two", "2");
    for preset in Preset::ALL {
        assert_eq!(preset.name().parse::<Preset>().unwrap(), *preset);
        let place = preset.place(&names).unwrap();
        assert!(place.config().create(false).verify(false).open().is_ok());
    }
    let error = "pyhton".parse::<Preset>().unwrap_err();
    assert_kind(&error, ErrorKind::InvalidInput, "azure-identity-js-cae");
    let error = "dotnet".parse::<Preset>().unwrap().place(&Names::default().path("/p")).unwrap_err();
    assert_kind(&error, ErrorKind::InvalidInput, "exactly two attributes");
    let known = known_caches();
    assert!(known.len() >= 10, "{known:?}");
}
