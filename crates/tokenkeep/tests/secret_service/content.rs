//! Stored content is read back unchanged, and other programs see it as keytar would have stored it.

use std::time::{Duration, Instant};

use tokenkeep::storage::Keystore;

use crate::keyring::Keyring;
use crate::{ATTRIBUTES, item};

#[test]
fn content_of_every_size_is_read_back_whole() {
    let keyring = Keyring::start();
    let (mut writer, mut reader) = (item(&keyring.bus), item(&keyring.bus));
    assert_eq!(reader.load().unwrap(), None);
    let mut before = Duration::ZERO;
    for size in [0, 1, 15, 16, 17, 4096, 1 << 20, 5 << 20] {
        // Unoptimised, the encryption on both sides and the bus take half a second of processor time for 5 MiB, and a
        // busy machine takes longer than the usual deadline. The time for a fifth of that size shows how busy it is.
        let deadline = (20 * before).max(Duration::from_secs(5));
        (writer, reader) = (writer.deadline(deadline), reader.deadline(deadline));
        let content: Vec<u8> = b"{\"a\": 1}\n".iter().copied().cycle().take(size).collect();
        let began = Instant::now();
        writer.save(&content.clone().into()).unwrap();
        let read = reader.load().unwrap().expect("the item");
        before = began.elapsed();
        assert!(read.expose() == content, "{size} bytes came back as {}", read.len());
    }
    assert!(writer.delete().unwrap());
    assert_eq!(reader.load().unwrap(), None);
    assert!(!writer.delete().unwrap());
}

#[test]
fn empty_content_is_not_an_absent_item() {
    let keyring = Keyring::start();
    let item = item(&keyring.bus);
    item.save(&b"".into()).unwrap();
    assert_eq!(item.load().unwrap().map(|content| content.len()), Some(0));
}

#[test]
fn bytes_that_are_not_text_are_kept_whole() {
    let keyring = Keyring::start();
    let item = item(&keyring.bus);
    let content = b"before\0after \xff\xfe";
    item.save(&content.into()).unwrap();
    assert_eq!(item.load().unwrap().unwrap().expose(), content);
}

#[test]
fn a_new_item_equals_one_that_keytar_made() {
    let keyring = Keyring::start();
    item(&keyring.bus).save(&b"{}".into()).unwrap();
    let (attributes, label) = keyring.by_hand(async |hand| {
        let found = hand.search(&ATTRIBUTES).await;
        assert_eq!(found.len(), 1);
        (hand.attributes(&found[0]).await, hand.label(&found[0]).await)
    });
    let expected = ATTRIBUTES.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(attributes, expected.into());
    assert_eq!(label, "Some Service/an account");
}

#[test]
fn secret_tool_prints_the_stored_content() {
    let keyring = Keyring::start();
    item(&keyring.bus).save(&"{\"text\": \"été\"}".into()).unwrap();
    let output = keyring.secret_tool(&["lookup", "service", "Some Service", "account", "an account"], "");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "{\"text\": \"été\"}");
}

#[test]
fn an_item_of_secret_tool_is_read_and_updated_in_place() {
    let schema = ["xdg:schema", "org.freedesktop.Secret.Generic"];
    // secret-tool stores a schema only if asked.
    for schema in [&schema[..], &[]] {
        let keyring = Keyring::start();
        let attributes = ["service", "Some Service", "account", "an account", "extra", "kept"];
        let arguments = [&["store", "--label=theirs"], schema, &attributes].concat();
        assert!(keyring.secret_tool(&arguments, "theirs").status.success());
        let item = item(&keyring.bus);
        assert_eq!(item.load().unwrap().unwrap().expose(), b"theirs");

        item.save(&b"ours".into()).unwrap();
        let output = keyring.secret_tool(&["lookup", "extra", "kept"], "");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "ours");
        keyring.by_hand(async |hand| {
            let found = hand.search(&ATTRIBUTES[1..]).await;
            assert_eq!(found.len(), 1);
            assert_eq!(hand.attributes(&found[0]).await["extra"], "kept");
            assert_eq!(hand.label(&found[0]).await, "theirs");
        });
        assert!(item.delete().unwrap());
    }
}

#[test]
fn an_item_with_another_schema_is_not_ours() {
    let keyring = Keyring::start();
    let attributes = [("xdg:schema", "com.example.Other"), ATTRIBUTES[1], ATTRIBUTES[2]];
    let theirs = keyring.by_hand(async |hand| {
        hand.create("/org/freedesktop/secrets/collection/login", &attributes, b"theirs").await
    });
    let item = item(&keyring.bus);
    assert_eq!(item.load().unwrap(), None);
    item.save(&b"ours".into()).unwrap();
    assert_eq!(keyring.by_hand(async |hand| hand.search(&attributes).await), [theirs]);
    assert!(item.delete().unwrap());
    assert!(!item.delete().unwrap());
}

#[test]
fn an_item_in_another_collection_is_found_and_stays_in_it() {
    let keyring = Keyring::start();
    let theirs = keyring.by_hand(async |hand| {
        hand.create("/org/freedesktop/secrets/collection/session", &ATTRIBUTES, b"elsewhere").await
    });
    let item = item(&keyring.bus);
    assert_eq!(item.load().unwrap().unwrap().expose(), b"elsewhere");
    item.save(&b"still elsewhere".into()).unwrap();
    assert_eq!(keyring.by_hand(async |hand| hand.search(&ATTRIBUTES).await), [theirs]);
    assert!(!item.survives_reboot());
}

#[test]
fn items_of_other_accounts_and_services_do_not_change() {
    let keyring = Keyring::start();
    let item = item(&keyring.bus);
    let other = |service: &str, account: &str| {
        tokenkeep::storage::SecretServiceItem::new(service, account).unwrap().on_bus(keyring.bus.address())
    };
    let (neighbour, stranger) = (other("Some Service", "another"), other("Other", "an account"));
    neighbour.save(&b"neighbour".into()).unwrap();
    stranger.save(&b"stranger".into()).unwrap();
    assert_eq!(item.load().unwrap(), None);
    item.save(&b"ours".into()).unwrap();
    assert!(item.delete().unwrap());
    assert_eq!(neighbour.load().unwrap().unwrap().expose(), b"neighbour");
    assert_eq!(stranger.load().unwrap().unwrap().expose(), b"stranger");
}

#[test]
fn names_that_cannot_be_attributes_are_refused() {
    for (service, account) in [("", "a"), ("s", ""), ("s\0", "a"), ("s", "\0")] {
        let error = tokenkeep::storage::SecretServiceItem::new(service, account).unwrap_err();
        assert_eq!(error.kind(), tokenkeep::ErrorKind::InvalidInput);
    }
}

#[test]
fn names_with_spaces_quotes_and_other_scripts_work() {
    let keyring = Keyring::start();
    let item = tokenkeep::storage::SecretServiceItem::new("a 'b' \"c\" \n", "été/日本語").unwrap();
    let item = item.on_bus(keyring.bus.address());
    item.save(&b"x".into()).unwrap();
    assert_eq!(item.load().unwrap().unwrap().expose(), b"x");
    assert!(item.delete().unwrap());
}
