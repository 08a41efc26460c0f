//! The promises of every backend.

use std::time::Duration;

use tokenkeep::{ErrorKind, Protection, TokenCache};

use crate::backends::{self, Place};
use crate::clock::timed;

/// A token cache in the form of msal-node, with a secret that must not be readable in a file.
pub(crate) const CONTENT: &str = r#"{"Account":{"uid.utid-login.example-utid":{"username":"jemand@exämple.org"}},"RefreshToken":{"r":{"secret":"SECRET-0.AXoA-令牌"}}}"#;
const SECRET: &[u8] = b"SECRET-0.AXoA";

fn open(place: &dyn Place) -> TokenCache {
    TokenCache::new(place.persistence())
}

fn read(cache: &TokenCache) -> Option<Vec<u8>> {
    cache.read().unwrap().map(|content| content.expose().to_vec())
}

fn write(cache: &TokenCache, content: &[u8]) {
    cache.begin_write().unwrap().commit(content).unwrap();
}

/// Returns whether nothing has been written: no content, or the prepared empty file.
fn is_nothing(content: Option<Vec<u8>>) -> bool {
    content.is_none_or(|content| content.is_empty())
}

fn nothing_stored_is_not_an_error(place: &dyn Place) {
    assert!(is_nothing(read(&open(place))));
}

fn what_is_written_is_read_byte_for_byte(place: &dyn Place) {
    let large = format!(r#"{{"Account":{{"a":"{}"}}}}"#, "0123456789abcdef".repeat(20_000));
    for content in [CONTENT, "{}", large.as_str(), " {\n\t\"unknown\": [1, 2.50, null] }\r\n", CONTENT] {
        write(&open(place), content.as_bytes());
        assert_eq!(read(&open(place)).as_deref(), Some(content.as_bytes()));
    }
}

fn nothing_can_be_written_and_read(place: &dyn Place) {
    let cache = open(place);
    write(&cache, CONTENT.as_bytes());
    write(&cache, b"");
    assert!(is_nothing(read(&open(place))));
}

fn others_notice_every_change_and_an_unchanged_store_keeps_its_number(place: &dyn Place) {
    let (ours, theirs) = (open(place), open(place));
    for round in 0..20 {
        let content = format!(r#"{{"Account":{{"round":"{round}"}}}}"#);
        write(&ours, content.as_bytes());
        let seen = theirs.snapshot().unwrap();
        assert_eq!(seen.content.as_ref().map(|content| content.expose()), Some(content.as_bytes()));
        assert_eq!(theirs.snapshot().unwrap().generation, seen.generation);
    }
}

fn a_writer_builds_on_what_others_wrote(place: &dyn Place) {
    let caches = [open(place), open(place), open(place)];
    for round in 0..12_u8 {
        let access = caches[usize::from(round) % caches.len()].begin_write().unwrap();
        let mut content = access.content().unwrap_or_default().to_vec();
        assert_eq!(content.len(), usize::from(round));
        content.push(b'a' + round);
        access.commit(content).unwrap();
    }
}

fn threads_at_once_lose_nothing(place: &dyn Place) {
    let caches: Vec<_> = (0..4).map(|_| open(place)).collect();
    std::thread::scope(|scope| {
        for (name, cache) in caches.iter().enumerate() {
            scope.spawn(move || {
                for turn in 0..10 {
                    let access = cache.begin_write().unwrap();
                    let old = String::from_utf8(access.content().unwrap_or_default().to_vec()).unwrap();
                    access.commit(format!("{old}{name}.{turn} ")).unwrap();
                }
            });
        }
    });
    let stored = String::from_utf8(read(&open(place)).unwrap()).unwrap();
    let mut turns: Vec<&str> = stored.split_whitespace().collect();
    turns.sort_unstable();
    turns.dedup();
    assert_eq!(turns.len(), 40, "{stored}");
}

fn a_write_that_is_not_committed_writes_nothing(place: &dyn Place) {
    let cache = open(place);
    write(&cache, CONTENT.as_bytes());
    drop(cache.begin_write().unwrap());
    assert_eq!(read(&open(place)).as_deref(), Some(CONTENT.as_bytes()));
}

fn what_is_removed_is_gone_for_everybody(place: &dyn Place) {
    let (ours, theirs) = (open(place), open(place));
    write(&ours, CONTENT.as_bytes());
    assert!(read(&theirs).is_some());
    assert!(ours.begin_write().unwrap().delete().unwrap());
    assert!(is_nothing(read(&theirs)));
    assert!(!theirs.begin_write().unwrap().delete().unwrap(), "a second removal removes nothing");
}

fn verifying_leaves_the_content_as_it_was_and_no_file_behind(place: &dyn Place) {
    let names = || {
        let mut names: Vec<_> = std::fs::read_dir(place.persistence().path().parent().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        names
    };
    place.persistence().verify().unwrap();
    write(&open(place), CONTENT.as_bytes());
    let before = names();
    place.persistence().verify().unwrap();
    assert_eq!(names(), before);
    assert_eq!(read(&open(place)).as_deref(), Some(CONTENT.as_bytes()));
}

fn it_tells_what_it_is(place: &dyn Place) {
    let info = place.persistence().info();
    assert_eq!((info.backend, info.protection), place.kind());
    assert!(!info.location.is_empty() && info.survives_reboot && info.crash_safe, "{info:?}");
}

fn a_guard_of_another_cache_is_refused(place: &dyn Place) {
    let (ours, other) = (place.persistence(), TokenCache::new(place.elsewhere()));
    let access = other.begin_write().unwrap();
    assert_eq!(ours.save(access.guard(), b"{}").unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(ours.delete(access.guard()).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(ours.load(Some(access.guard())).unwrap_err().kind(), ErrorKind::InvalidInput);
}

fn what_is_protected_cannot_be_read_from_the_disk_nor_printed(place: &dyn Place) {
    let holds = |bytes: &[u8]| bytes.windows(SECRET.len()).any(|window| window == SECRET);
    let cache = open(place);
    write(&cache, CONTENT.as_bytes());
    let plain = place.kind().1 == Protection::Plaintext;
    assert_eq!(place.stored().is_some_and(|bytes| holds(&bytes)), plain);
    let printed = format!("{cache:?} {:?}", cache.snapshot().unwrap());
    assert!(!holds(printed.as_bytes()), "{printed}");
}

fn a_copy_of_what_is_of_no_use_can_be_kept(place: &dyn Place) {
    let cache = open(place);
    write(&cache, CONTENT.as_bytes());
    let mut access = cache.begin_write().unwrap();
    access.set_aside("a test says so").unwrap();
    assert!(access.content().is_none());
    access.commit(b"{}").unwrap();
    assert_eq!(read(&open(place)).as_deref(), Some(&b"{}"[..]));
}

fn a_waiting_writer_goes_on_as_soon_as_the_lock_is_free(place: &dyn Place) {
    let (ours, theirs) = (open(place), open(place));
    let access = ours.begin_write().unwrap();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| write(&theirs, b"{}"));
        std::thread::sleep(Duration::from_millis(100));
        let ((), took) = timed(|| {
            drop(access);
            waiting.join().unwrap();
        });
        assert!(took.naps < Duration::from_secs(1), "{took:?}");
    });
}

fn it_stays_in_its_directory(place: &dyn Place) {
    write(&open(place), CONTENT.as_bytes());
    assert!(place.persistence().path().starts_with(place.directory()));
}

macro_rules! each {
    ($place:expr; $($behaviour:ident,)*) => { $(
        #[test]
        fn $behaviour() {
            super::$behaviour(&$place);
        }
    )* };
}

macro_rules! conformance {
    ($($(#[$attribute:meta])* $backend:ident = $place:expr;)*) => { $(
        $(#[$attribute])*
        mod $backend {
            use super::*;
            each! { $place;
                nothing_stored_is_not_an_error,
                what_is_written_is_read_byte_for_byte,
                nothing_can_be_written_and_read,
                others_notice_every_change_and_an_unchanged_store_keeps_its_number,
                a_writer_builds_on_what_others_wrote,
                threads_at_once_lose_nothing,
                a_write_that_is_not_committed_writes_nothing,
                what_is_removed_is_gone_for_everybody,
                verifying_leaves_the_content_as_it_was_and_no_file_behind,
                it_tells_what_it_is,
                a_guard_of_another_cache_is_refused,
                what_is_protected_cannot_be_read_from_the_disk_nor_printed,
                a_copy_of_what_is_of_no_use_can_be_kept,
                a_waiting_writer_goes_on_as_soon_as_the_lock_is_free,
                it_stays_in_its_directory,
            }
        }
    )* };
}

conformance! {
    plain_file = backends::PlainFile::fresh();
    sealed_file = backends::SealedFile::fresh();
    keychain = backends::Keychain::fresh();
    #[cfg(target_os = "linux")]
    secret_service = backends::SecretService::fresh();
    #[cfg(windows)]
    data_protection = backends::DataProtectionFile::fresh();
}
