//! Sealed records: their bytes, their refusals, and the look through a cache before it becomes one.
#![allow(clippy::disallowed_methods, reason = "a test arranges files by path")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod survey;
mod vectors;

use std::slice::from_ref;
use std::time::{Duration, SystemTime};

use tokenkeep::key_source::Key;
use tokenkeep::record::{Header, Partition, Times, open, seal};
use tokenkeep::{ErrorKind, Result};

const CACHE: &[u8] = br#"{"Account":{"a":{"home_account_id":"ada.tenant"}}}"#;
const PREFIX: &str = "tk:shop";

fn ada() -> Partition {
    Partition::user(PREFIX, "ada.tenant").unwrap()
}

fn times() -> Times {
    let written = SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_123);
    Times { written, expires: written + Duration::from_secs(90 * 24 * 3600) }
}

fn kind<T: std::fmt::Debug>(outcome: Result<T>) -> ErrorKind {
    outcome.unwrap_err().kind()
}

#[test]
fn a_record_is_at_most_76_bytes_longer_than_its_content_and_shows_nothing_of_it() {
    let key = Key::random().unwrap();
    let record = seal(&ada(), &key, CACHE, times()).unwrap();
    assert_eq!(record.len(), CACHE.len() + 76);
    let shows = |text: &[u8]| record.windows(text.len()).any(|window| window == text);
    assert!(!shows(b"ada") && !shows(b"tenant") && !shows(b"Account") && !shows(&key.expose()[..8]));
    let (header, content) = open(&ada(), &[key], &record).unwrap();
    assert_eq!((content.expose(), header.times), (CACHE, times()));
}

#[test]
fn each_write_has_a_revision_of_its_own_and_other_bytes() {
    let key = Key::random().unwrap();
    let [one, two] = [(); 2].map(|()| seal(&ada(), &key, CACHE, times()).unwrap());
    assert_ne!(Header::read(&one).unwrap().revision, Header::read(&two).unwrap().revision);
    assert_ne!(one[60..], two[60..]);
}

#[test]
fn a_record_does_not_open_in_the_place_of_another() {
    let key = Key::random().unwrap();
    let record = seal(&ada(), &key, CACHE, times()).unwrap();
    let others = [
        Partition::user(PREFIX, "bob.tenant"),
        Partition::user("tk:other", "ada.tenant"),
        Partition::on_behalf_of(PREFIX, "ada.tenant", None),
        Partition::app(PREFIX, "ada", "tenant"),
        Partition::own(PREFIX, "session", "ada.tenant"),
    ];
    for other in others {
        assert_eq!(kind(open(&other.unwrap(), from_ref(&key), &record)), ErrorKind::Damaged);
    }
    let session = Partition::own(PREFIX, "session", "1").unwrap();
    let record = seal(&session, &key, CACHE, times()).unwrap();
    let job = Partition::own(PREFIX, "job", "1").unwrap();
    assert_eq!(kind(open(&job, &[key], &record)), ErrorKind::Damaged);
}

#[test]
fn every_flipped_bit_and_every_truncation_is_refused_and_none_gives_content() {
    let key = Key::random().unwrap();
    let record = seal(&ada(), &key, CACHE, times()).unwrap();
    for bit in 0..record.len() * 8 {
        let mut bytes = record.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let kind = kind(open(&ada(), from_ref(&key), &bytes));
        let expected = match bit / 8 {
            4..=7 => [ErrorKind::UnknownFormat, ErrorKind::Damaged],
            24..=39 => [ErrorKind::MissingKey; 2],
            _ => [ErrorKind::Damaged; 2],
        };
        assert!(expected.contains(&kind), "bit {bit}: {kind:?}");
    }
    for length in 0..record.len() {
        assert_eq!(kind(open(&ada(), from_ref(&key), &record[..length])), ErrorKind::Damaged, "{length}");
    }
    let longer = [&record[..], b"more"].concat();
    assert_eq!(kind(open(&ada(), &[key], &longer)), ErrorKind::Damaged);
}

#[test]
fn a_record_of_a_newer_release_is_not_damage() {
    let key = Key::random().unwrap();
    let record = seal(&ada(), &key, CACHE, times()).unwrap();
    for (at, value) in [(4, 2), (4, 0), (5, 2), (6, 1), (6, 2), (6, 128), (7, 5), (7, 0)] {
        let mut bytes = record.clone();
        bytes[at] = value;
        assert_eq!(kind(open(&ada(), from_ref(&key), &bytes)), ErrorKind::UnknownFormat, "{at} {value}");
    }
}

#[test]
fn a_record_names_the_key_that_opens_it_among_several() {
    let keys = [(); 3].map(|()| Key::random().unwrap());
    let record = seal(&ada(), &keys[1], CACHE, times()).unwrap();
    assert!(open(&ada(), &keys, &record).is_ok());
    let error = open(&ada(), &[keys[0].clone(), keys[2].clone()], &record).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MissingKey);
    assert!(error.suggestion().unwrap().contains("Add the key"));
}

#[test]
fn names_have_one_length_and_nothing_of_a_person() {
    let long = format!("{}.tenant", "x".repeat(600));
    for text in ["ada.tenant", &long, "\u{e4}\u{1f600}.tenant"] {
        let name = Partition::user(PREFIX, text).unwrap().name();
        assert_eq!(name.len(), PREFIX.len() + 1 + 29, "{name}");
        assert!(!name.contains("ada") && name.is_ascii());
    }
    let call = Partition::on_behalf_of(PREFIX, "hash", Some("ADA.tenant")).unwrap().name();
    assert!(call.starts_with(&ada().name()), "one slot: {call}");
    assert_ne!(ada(), Partition::own(PREFIX, "customer", "ada.tenant").unwrap());
}

#[test]
fn a_partition_without_a_text_is_refused_before_anything_is_sealed() {
    let refused = [
        Partition::user(PREFIX, ""),
        Partition::user("", "ada.tenant"),
        Partition::user("tk:{a}", "ada.tenant"),
        Partition::user(PREFIX, "ada\0tenant"),
        Partition::app(PREFIX, "", "tenant"),
        Partition::app(PREFIX, "client", ""),
        Partition::on_behalf_of(PREFIX, "", None),
        Partition::on_behalf_of(PREFIX, "hash", Some("")),
        Partition::own(PREFIX, "", "text"),
        Partition::own(PREFIX, "user", "ada.tenant"),
    ];
    for refused in refused {
        assert_eq!(kind(refused), ErrorKind::InvalidInput);
    }
}
