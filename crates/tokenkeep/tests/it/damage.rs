//! A client commits its change to content that is not a token cache. tokenkeep keeps a copy, notifies the listener
//! and continues, or returns an error if the program asked for it. Readers change nothing. The tests of the encrypted
//! file cover damage that a key detects, and the wrong key, which is not damage.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::{Arc, Mutex};

use tokenkeep::schema::Change;
use tokenkeep::{
    ErrorKind, Persistence, TokenCache,
    event::Event,
    options::{OnDamage, WaitOptions},
    storage::FilePersistence,
};

use crate::support::{Place, names_in, write};

/// One account, before and after a second one signs in.
const BASE: &str = r#"{"Account":{"a":{"home_account_id":"a","username":"ada"}}}"#;
const OURS: &str = r#"{"Account":{"a":{"home_account_id":"a","username":"ada"},"b":{"home_account_id":"b","username":"bob"}}}"#;

/// Every kind of damage that a plaintext file can have.
const DAMAGED: [&[u8]; 6] = [
    b"{\"Account\":{\"half",
    b"\0\0\0\0\0\0\0\0",
    b"\xff\xfe{\0}\0",
    b"<html>404</html>",
    b"[\"JSON, but no cache\"]",
    b"{}{}",
];

struct Opened {
    cache: TokenCache,
    events: Arc<Mutex<Vec<Event>>>,
}

fn open(place: &Place, rule: OnDamage) -> Opened {
    let events: Arc<Mutex<Vec<Event>>> = Arc::default();
    let heard = Arc::clone(&events);
    let listen = move |event: &Event| heard.lock().unwrap().push(event.clone());
    let persistence = Arc::new(FilePersistence::new(place.cache()).unwrap());
    Opened { cache: TokenCache::with_options(persistence, WaitOptions::default(), rule, listen), events }
}

fn change(base: Option<&'static str>) -> Change<'static> {
    let base = base.map(str::as_bytes);
    Change { held: base, base, ours: OURS.as_bytes(), disturbed: false }
}

#[test]
fn a_commit_on_a_damaged_cache_keeps_a_copy_notifies_and_saves_all_that_the_client_has() {
    for damaged in DAMAGED {
        for base in [None, Some(BASE)] {
            let place = Place::new();
            fs::write(place.cache(), damaged).unwrap();
            let Opened { cache, events } = open(&place, OnDamage::SetAside);
            let saved = cache.begin_write().unwrap().commit_change(&change(base)).unwrap();
            let text = String::from_utf8(saved.content.unwrap().expose().to_vec()).unwrap();
            // By now only the client's memory has the earlier account.
            assert!(text.contains("ada") && text.contains("bob"), "{text}");
            assert_eq!(fs::read_to_string(place.cache()).unwrap(), text);

            let events = events.lock().unwrap();
            let [Event::SetAside { path, copy, .. }] = &events[..] else { panic!("{events:?}") };
            assert_eq!(*path, place.cache());
            assert_eq!(fs::read(copy).unwrap(), damaged);
            assert_eq!(fs::metadata(copy).unwrap().mode() & 0o7777, 0o600);
            assert!(copy.contains("cache.json.corrupt-"), "{copy}");
            assert_eq!(place.names().len(), 3, "{:?}", place.names());
        }
    }
}

#[test]
fn the_same_damage_found_twice_is_copied_once() {
    let place = Place::new();
    let Opened { cache, events } = open(&place, OnDamage::SetAside);
    for _ in 0..2 {
        fs::write(place.cache(), DAMAGED[0]).unwrap();
        cache.begin_write().unwrap().commit_change(&change(None)).unwrap();
    }
    assert_eq!(events.lock().unwrap().len(), 2);
    assert_eq!(place.names().len(), 3, "{:?}", place.names());
}

#[test]
fn damage_found_at_a_commit_is_an_error_where_the_program_asked_for_one() {
    for damaged in DAMAGED {
        let place = Place::new();
        fs::write(place.cache(), damaged).unwrap();
        let Opened { cache, events } = open(&place, OnDamage::Fail);
        let error = cache.begin_write().unwrap().commit_change(&change(Some(BASE))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
        assert_eq!(error.path(), Some(&*place.cache()));
        assert!(error.to_string().contains("Restore the cache"), "{error}");
        assert_eq!(fs::read(place.cache()).unwrap(), damaged);
        assert_eq!(place.names(), ["cache.json", "cache.json.tk-lock"]);
        assert!(events.lock().unwrap().is_empty());
        // The rule belongs to the handle: another handle of the same cache continues.
        cache.on_damage(OnDamage::SetAside).begin_write().unwrap().commit_change(&change(None)).unwrap();
        assert_eq!(events.lock().unwrap().len(), 1);
    }
}

#[test]
fn damaged_content_that_cannot_be_copied_is_not_overwritten() {
    // A successful copy gives the name to block.
    let name = {
        let place = Place::new();
        fs::write(place.cache(), DAMAGED[0]).unwrap();
        open(&place, OnDamage::SetAside).cache.begin_write().unwrap().commit_change(&change(None)).unwrap();
        names_in(place.directory()).into_iter().find(|name| name.contains(".corrupt-")).unwrap()
    };
    let place = Place::new();
    fs::write(place.cache(), DAMAGED[0]).unwrap();
    fs::create_dir(place.directory().join(name)).unwrap();
    let Opened { cache, events } = open(&place, OnDamage::SetAside);
    let error = cache.begin_write().unwrap().commit_change(&change(None)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged, "{error}");
    assert_eq!(fs::read(place.cache()).unwrap(), DAMAGED[0]);
    assert!(events.lock().unwrap().is_empty());
}

#[test]
fn a_half_written_file_is_not_damaged_when_it_is_read_again() {
    let place = Place::new();
    fs::write(place.cache(), DAMAGED[0]).unwrap();
    let Opened { cache, events } = open(&place, OnDamage::SetAside);
    let access = cache.begin_write().unwrap();
    fs::write(place.cache(), BASE).unwrap();
    let saved = access.commit_change(&change(None)).unwrap();
    let text = String::from_utf8(saved.content.unwrap().expose().to_vec()).unwrap();
    assert!(text.contains("ada") && text.contains("bob"), "{text}");
    assert!(events.lock().unwrap().is_empty());
    assert_eq!(place.names(), ["cache.json", "cache.json.tk-lock"]);
}

#[test]
fn reads_return_the_content_and_move_nothing_aside() {
    for damaged in DAMAGED {
        let place = Place::new();
        fs::write(place.cache(), damaged).unwrap();
        let Opened { cache, events } = open(&place, OnDamage::SetAside);
        assert_eq!(cache.read().unwrap().unwrap().expose(), damaged);
        let direct = FilePersistence::new(place.cache()).unwrap();
        assert_eq!(direct.load(None).unwrap().content.unwrap().expose(), damaged);
        // Nor does a writer that need not parse the content.
        assert_eq!(cache.begin_write().unwrap().content(), Some(damaged));
        assert_eq!(fs::read(place.cache()).unwrap(), damaged);
        assert!(events.lock().unwrap().is_empty());
        assert!(place.names().iter().all(|name| !name.contains("corrupt")), "{:?}", place.names());
        write(&cache, BASE);
    }
}

#[test]
fn at_most_three_copies_of_damaged_content_are_kept_and_the_newest_are() {
    let place = Place::new();
    for round in 0..6 {
        fs::write(place.cache(), format!("{{\"torn {round}")).unwrap();
        fs::set_permissions(place.cache(), fs::Permissions::from_mode(0o600)).unwrap();
        let cache = open(&place, OnDamage::SetAside).cache;
        cache.begin_write().unwrap().commit_change(&change(None)).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let copies: Vec<_> = place.names().into_iter().filter(|name| name.contains(".corrupt-")).collect();
    let mut kept: Vec<_> =
        copies.iter().map(|name| fs::read_to_string(place.directory().join(name)).unwrap()).collect();
    kept.sort();
    assert_eq!(kept, ["{\"torn 3", "{\"torn 4", "{\"torn 5"]);
}

#[test]
fn copies_of_earlier_content_are_overwritten_on_request_and_a_second_name_of_one_is_told() {
    let place = Place::new();
    fs::write(place.cache(), "{\"torn").unwrap();
    let cache = open(&place, OnDamage::SetAside).cache;
    cache.begin_write().unwrap().commit_change(&change(None)).unwrap();
    let beside = |name: &str| place.directory().join(name);
    for (name, content) in [
        ("cache.json.lapsed", "lapsed"),
        ("cache.json.tk-old", "old"),
        ("other.json.corrupt-1", "of another"),
    ] {
        fs::write(beside(name), content).unwrap();
        fs::set_permissions(beside(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let copy = place.names().into_iter().find(|name| name.starts_with("cache.json.corrupt-")).unwrap();
    let open_copies =
        [&*copy, "cache.json.lapsed", "cache.json.tk-old"].map(|name| fs::File::open(beside(name)).unwrap());
    let wait = WaitOptions::default();
    fs::hard_link(beside(&copy), beside("backup")).unwrap();
    let error = cache.wipe_copies(&wait).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnsafeFile, "{error}");
    assert_eq!(fs::read_to_string(beside("backup")).unwrap(), "{\"torn", "a backup is not destroyed");
    fs::remove_file(beside("backup")).unwrap();
    assert!(cache.wipe_copies(&wait).unwrap() >= 2);
    assert_eq!(place.names(), ["cache.json", "cache.json.tk-lock", "other.json.corrupt-1"]);
    for mut file in open_copies {
        let mut left = Vec::new();
        std::io::Read::read_to_end(&mut file, &mut left).unwrap();
        assert!(left.iter().all(|byte| *byte == 0), "{left:?}");
    }
    assert_eq!(cache.wipe_copies(&wait).unwrap(), 0);
    assert!(cache.read().unwrap().is_some(), "the cache itself stays");
}
