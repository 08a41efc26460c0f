//! Keys from a passphrase.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokenkeep::key_source::{Cost, KeySource, Passphrase};
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

/// Returns the processor time of this thread for some work.
fn work_of(work: impl FnOnce()) -> Duration {
    let now = || {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(now.tv_sec.try_into().unwrap(), now.tv_nsec.try_into().unwrap())
    };
    let before = now();
    work();
    now() - before
}

#[test]
fn a_file_asks_for_at_most_four_times_the_own_cost_unless_the_program_allows_more() {
    let place = Place::new();
    let dear = Cost::new(5 * 19 * 1024, 2).unwrap();
    Opened::new(&place.cache(), Passphrase::new("words").cost(dear), "app/cache").write(CONTENT);
    let opened = |passphrase| Opened::new(&place.cache(), passphrase, "app/cache");
    let asked = Arc::new(AtomicUsize::new(0));
    let counting = {
        let asked = Arc::clone(&asked);
        Passphrase::asking(move || {
            asked.fetch_add(1, Ordering::Relaxed);
            Ok(Secret::from("words"))
        })
    };
    let error = opened(counting.cost(cheap())).read().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownFormat);
    assert!(error.to_string().contains("Passphrase::up_to"), "{error}");
    assert_eq!(asked.load(Ordering::Relaxed), 0, "refused before any work, and before a person is asked");
    assert_eq!(opened(words("words").up_to(dear)).read().unwrap().as_deref(), Some(CONTENT));
    assert_eq!(
        opened(Passphrase::new("words")).read().unwrap().as_deref(),
        Some(CONTENT),
        "less than the default"
    );
}

#[test]
fn a_passphrase_that_failed_for_a_file_costs_nothing_at_the_next_load() {
    let cost = Cost::new(64 * 1024, 6).unwrap();
    let (parameters, id) = {
        let (key, parameters) = Passphrase::new("right").cost(cost).fresh().unwrap();
        (parameters, key.id())
    };
    let wrong = Passphrase::new("wrong").cost(cost);
    let first = work_of(|| assert_ne!(wrong.recall(&parameters, &id).unwrap().id(), id));
    let later = work_of(|| {
        for _ in 0..20 {
            assert_eq!(wrong.recall(&parameters, &id).unwrap_err().kind(), ErrorKind::WrongKey);
        }
    });
    assert!(later < first / 2, "{first:?} for the first attempt, {later:?} for 20 more");
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
    let least = 19 * 1024;
    for (memory, passes) in
        [(0, 2), (least - 1, 2), (least, 1), (512 * 1024 + 1, 2), (least, 0), (least, 65), (512 * 1024, 9)]
    {
        assert_eq!(
            Cost::new(memory, passes).unwrap_err().kind(),
            ErrorKind::InvalidInput,
            "{memory} {passes}"
        );
    }
    assert!(Cost::new(19 * 1024, 2).is_ok() && Cost::new(512 * 1024, 8).is_ok());
}
