//! Keys from a passphrase.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokenkeep::key_source::{Cost, Passphrase};
use tokenkeep::{Error, ErrorKind, Protection, Secret};

use crate::content::cheap;
use crate::support::{CONTENT, OTHER, Opened, Place, example, fail, succeed};

fn words(text: &str) -> Passphrase {
    Passphrase::new(text.as_bytes()).cost(cheap())
}

#[test]
fn a_passphrase_opens_its_file_and_another_one_does_not() {
    let place = Place::new();
    let opened = Opened::new(&place.cache(), words("correct horse"), "app/cache");
    opened.write(CONTENT);
    assert_eq!(opened.cache.info().protection, Protection::Passphrase);
    let again = Opened::new(&place.cache(), words("correct horse"), "app/cache");
    assert_eq!(again.read().unwrap().as_deref(), Some(CONTENT));
    for other in ["correct horse ", "Correct horse", "x"] {
        let error = Opened::new(&place.cache(), words(other), "app/cache").read().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WrongKey, "{other}");
    }
}

#[test]
fn a_key_is_derived_once_for_all_caches_writes_and_other_processes_of_a_file() {
    let place = Place::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = |asked: &Arc<AtomicUsize>| {
        let asked = Arc::clone(asked);
        Passphrase::asking(move || {
            asked.fetch_add(1, Ordering::Relaxed);
            Ok(Secret::from(b"words".as_slice()))
        })
        .cost(cheap())
    };
    let opened = Opened::new(&place.cache(), counting(&asked), "app/cache");
    for _ in 0..5 {
        opened.write(CONTENT);
        opened.write(OTHER);
    }
    let fresh = asked.swap(0, Ordering::Relaxed);
    assert_eq!(fresh, 1);
    // Another process also derives it once. Its writes keep the salt, so the first process need not derive it again.
    let second = Opened::new(&place.cache(), counting(&asked), "app/cache");
    second.write(CONTENT);
    second.write(OTHER);
    assert_eq!(asked.swap(0, Ordering::Relaxed), 1);
    opened.write(CONTENT);
    assert_eq!(opened.read().unwrap().as_deref(), Some(CONTENT));
    assert_eq!(asked.load(Ordering::Relaxed), 0);
}

#[test]
fn a_wrong_passphrase_causes_another_request() {
    let place = Place::new();
    Opened::new(&place.cache(), words("right"), "app/cache").write(CONTENT);
    let tries = AtomicUsize::new(0);
    let asking = Passphrase::asking(move || {
        let text = if tries.fetch_add(1, Ordering::Relaxed) == 0 { "wrong" } else { "right" };
        Ok(Secret::from(text.as_bytes()))
    });
    let opened = Opened::new(&place.cache(), asking, "app/cache");
    assert_eq!(opened.read().unwrap_err().kind(), ErrorKind::WrongKey);
    assert_eq!(opened.read().unwrap().as_deref(), Some(CONTENT));
}

#[test]
fn a_missing_an_empty_and_a_refused_passphrase_are_errors() {
    let place = Place::new();
    Opened::new(&place.cache(), words("words"), "app/cache").write(CONTENT);
    let unset = Passphrase::from_environment("TOKENKEEP_TEST_UNSET");
    let error = Opened::new(&place.cache(), unset, "app/cache").read().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::MissingKey);
    assert!(error.to_string().contains("TOKENKEEP_TEST_UNSET"), "{error}");
    assert_eq!(
        Opened::new(&place.cache(), words(""), "app/cache").read().unwrap_err().kind(),
        ErrorKind::MissingKey
    );
    let refused = Passphrase::asking(|| Err(Error::new(ErrorKind::Cancelled, "Nobody wanted to type it")));
    let error = Opened::new(&place.cache(), refused, "app/cache").cache.begin_write().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
}

#[test]
fn a_passphrase_comes_from_the_environment() {
    let place = Place::new();
    let cache = place.cache();
    let words = [cache.to_str().unwrap(), "app/cache", "passphrase:WORDS", "write"];
    succeed(example(&words).env("WORDS", "correct horse"), CONTENT.as_bytes());
    let words = [words[0], words[1], words[2], "read"];
    assert_eq!(succeed(example(&words).env("WORDS", "correct horse"), b""), CONTENT);
    let said = fail(example(&words).env("WORDS", "battery staple"), b"");
    assert!(said.starts_with("wrong_key") && !said.contains("staple"), "{said}");
}

#[test]
fn the_default_cost_takes_a_moment() {
    let place = Place::new();
    let began = Instant::now();
    Opened::new(&place.cache(), Passphrase::new(b"words".as_slice()), "app/cache").write(CONTENT);
    let took = began.elapsed();
    println!("deriving a key at the default cost and writing: {took:?}");
    assert!(took.as_millis() >= 20, "{took:?}");
}

#[test]
fn a_cost_out_of_bounds_is_refused() {
    for (memory, passes) in [(0, 1), (7, 1), (512 * 1024 + 1, 1), (64, 0), (64, 65), (512 * 1024, 9)] {
        assert_eq!(
            Cost::new(memory, passes).unwrap_err().kind(),
            ErrorKind::InvalidInput,
            "{memory} {passes}"
        );
    }
    assert!(Cost::new(19 * 1024, 2).is_ok() && Cost::new(512 * 1024, 8).is_ok());
}
