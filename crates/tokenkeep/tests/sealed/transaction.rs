//! Transactions with a key that does not fit, and with damaged content.

use std::fs;
use std::path::Path;

use tokenkeep::key_source::{KeyFile, Passphrase};
use tokenkeep::schema::Change;
use tokenkeep::{
    CacheLock, ErrorKind, Persistence, TokenCache,
    event::Event,
    options::{OnDamage, WaitOptions},
    storage::FilePersistence,
};

use crate::content::{cheap, with_header_byte};
use crate::support::{CONTENT, OTHER, Opened, Place};

/// Tries every way to write and checks that the file stays the same.
fn nothing_can_write(opened: &Opened, path: &Path, kind: ErrorKind) {
    let before = fs::read(path).unwrap();
    assert_eq!(opened.read().unwrap_err().kind(), kind);
    assert_eq!(opened.cache.begin_write().unwrap_err().kind(), kind);
    assert_eq!(opened.file.verify().unwrap_err().kind(), kind);
    let guard = CacheLock::new(path).unwrap().acquire(&WaitOptions::default()).unwrap();
    assert_eq!(opened.file.save(&guard, OTHER.as_bytes()).unwrap_err().kind(), kind);
    drop(guard);
    assert_eq!(fs::read(path).unwrap(), before, "{kind}");
    assert!(opened.events().is_empty());
}

#[test]
fn a_cache_with_a_wrong_or_missing_key_is_never_overwritten() {
    let place = Place::new();
    place.written();
    let other = Opened::new(&place.cache(), KeyFile::at(place.key("other")), "app/cache");
    nothing_can_write(&other, &place.cache(), ErrorKind::WrongKey);
    let words = Passphrase::new(b"words".as_slice()).cost(cheap());
    nothing_can_write(&Opened::new(&place.cache(), words, "app/cache"), &place.cache(), ErrorKind::WrongKey);
    let missing = Opened::new(&place.cache(), KeyFile::at(place.path().join("nowhere")), "app/cache");
    nothing_can_write(&missing, &place.cache(), ErrorKind::MissingKey);
    let unset = Opened::new(&place.cache(), KeyFile::from_environment("TOKENKEEP_TEST_UNSET"), "app/cache");
    nothing_can_write(&unset, &place.cache(), ErrorKind::MissingKey);
    assert_eq!(place.names(), ["cache.bin", "key", "other"]);
}

#[test]
fn a_cache_of_a_newer_release_is_never_overwritten() {
    let place = Place::new();
    let opened = place.written();
    let newer = with_header_byte(&fs::read(place.cache()).unwrap(), 10, 2);
    fs::write(place.cache(), newer).unwrap();
    opened.cache.forget();
    opened.events();
    nothing_can_write(&opened, &place.cache(), ErrorKind::UnknownFormat);
}

#[test]
fn a_program_without_a_key_configuration_does_not_overwrite_an_encrypted_cache_with_plaintext() {
    let place = Place::new();
    place.written();
    let before = fs::read(place.cache()).unwrap();
    let plain = FilePersistence::new(place.cache()).unwrap();
    let cache = TokenCache::new(plain.clone());
    assert_eq!(cache.read().unwrap_err().kind(), ErrorKind::MissingKey);
    assert_eq!(cache.begin_write().unwrap_err().kind(), ErrorKind::MissingKey);
    let guard = CacheLock::new(place.cache()).unwrap().acquire(&WaitOptions::default()).unwrap();
    assert_eq!(plain.save(&guard, OTHER.as_bytes()).unwrap_err().kind(), ErrorKind::MissingKey);
    assert_eq!(fs::read(place.cache()).unwrap(), before);
}

fn damage(path: &Path) -> Vec<u8> {
    let mut bytes = fs::read(path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(path, &bytes).unwrap();
    bytes
}

#[test]
fn a_reader_reports_damage_and_changes_nothing() {
    let place = Place::new();
    let opened = place.written();
    let damaged = damage(&place.cache());
    let error = opened.read().unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::Damaged, Some(place.cache().as_path())));
    assert_eq!(fs::read(place.cache()).unwrap(), damaged);
    assert_eq!(place.names(), ["cache.bin", "key"]);
    assert!(opened.events().is_empty());
}

#[test]
fn a_write_copies_damaged_content_and_starts_with_an_empty_cache() {
    let place = Place::new();
    let opened = place.written();
    let damaged = damage(&place.cache());
    let access = opened.cache.begin_write().unwrap();
    assert_eq!(access.content(), None);
    // Until a commit, the damaged file stays at its path.
    assert_eq!(fs::read(place.cache()).unwrap(), damaged);
    access.commit(OTHER).unwrap();
    assert_eq!(opened.read().unwrap().as_deref(), Some(OTHER));
    let [Event::SetAside { path, copy, reason }] = &opened.events()[..] else { panic!("one event") };
    assert_eq!((path, fs::read(copy).unwrap()), (&place.cache(), damaged));
    assert!(reason.contains("altered"), "{reason}");
    assert_eq!(place.names().len(), 3);
}

#[test]
fn a_change_is_merged_into_an_empty_cache_if_the_stored_one_is_damaged() {
    let place = Place::new();
    let opened = place.written();
    fs::write(place.cache(), b"neither encrypted nor a token cache").unwrap();
    let change = Change { base: None, ours: CONTENT.as_bytes(), disturbed: false, held: None };
    opened.cache.begin_write().unwrap().commit_change(&change).unwrap();
    assert!(opened.read().unwrap().unwrap().contains("somebody@example.org"));
    assert!(matches!(&opened.events()[..], [Event::SetAside { .. }]));
}

#[test]
fn damage_is_an_error_where_the_program_asked_for_one() {
    let place = Place::new();
    place.written();
    let damaged = damage(&place.cache());
    let key = KeyFile::at(place.path().join("key"));
    let strict = Opened::with(&place.cache(), key, "app/cache", OnDamage::Fail);
    assert_eq!(strict.cache.begin_write().unwrap_err().kind(), ErrorKind::Damaged);
    assert_eq!(fs::read(place.cache()).unwrap(), damaged);
    assert_eq!(place.names(), ["cache.bin", "key"]);
}

#[test]
fn a_half_written_file_is_not_damaged_when_it_is_read_again() {
    let place = Place::new();
    let opened = place.written();
    let whole = fs::read(place.cache()).unwrap();
    fs::write(place.cache(), &whole[..whole.len() / 2]).unwrap();
    let path = place.cache();
    // Restored while the writer, which holds the lock, waits between its two reads.
    let restorer = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::write(path, whole).unwrap();
    });
    let access = opened.cache.begin_write().unwrap();
    assert_eq!(access.content(), Some(CONTENT.as_bytes()));
    assert!(opened.events().is_empty());
    restorer.join().unwrap();
}

#[test]
fn an_empty_file_is_an_empty_cache() {
    let place = Place::new();
    let opened = Opened::new(&place.cache(), KeyFile::at(place.key("key")), "app/cache");
    opened.file.prepare().unwrap();
    assert_eq!(opened.read().unwrap().as_deref(), Some(""));
    opened.write(CONTENT);
    assert_eq!(opened.read().unwrap().as_deref(), Some(CONTENT));
}
