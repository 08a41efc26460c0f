//! What is done for a write before its content is known: it helps or it does not, and nothing of it stays.

use std::fs;

use tokenkeep::{TokenCache, WriteAccess};

use crate::support::{Place, read, write};

const AT_REST: [&str; 2] = ["cache.json", "cache.json.tk-lock"];

/// The temporary files beside the cache.
fn temporary(place: &Place) -> Vec<String> {
    place.names().into_iter().filter(|name| name.ends_with(".tmp")).collect()
}

fn prepared() -> (Place, TokenCache, WriteAccess) {
    let place = Place::new();
    let cache = place.open();
    write(&cache, "old");
    let access = cache.begin_write().unwrap();
    access.preparation().make();
    (place, cache, access)
}

#[test]
fn a_commit_uses_the_file_that_was_made_ahead() {
    let (place, cache, access) = prepared();
    let ahead = temporary(&place);
    assert_eq!(ahead.len(), 1);
    let path = place.directory().join(&ahead[0]);
    assert_eq!(fs::metadata(&path).unwrap().len(), 0);
    // Linked by another name it is known again when it has got that of the cache.
    let witness = place.directory().join("witness");
    fs::hard_link(&path, &witness).unwrap();
    access.commit("new").unwrap();
    assert_eq!(fs::read(&witness).unwrap(), b"new");
    fs::remove_file(&witness).unwrap();
    assert_eq!(place.names(), AT_REST);
    assert_eq!(read(&cache).as_deref(), Some("new"));
}

#[test]
fn nothing_is_left_of_it_when_the_lock_is_given_back_without_a_write() {
    let (place, cache, access) = prepared();
    drop(access);
    assert_eq!(place.names(), AT_REST);
    assert_eq!(read(&cache).as_deref(), Some("old"));
    let (place, _, access) = prepared();
    assert!(access.delete().unwrap());
    assert_eq!(place.names(), ["cache.json.tk-lock"]);
}

#[test]
fn it_comes_too_late_once_the_write_has_begun_or_the_lock_is_given_back() {
    let place = Place::new();
    let cache = place.open();
    let ends: [fn(WriteAccess); 2] = [drop, |access| drop(access.commit("new").unwrap())];
    for end in ends {
        let access = cache.begin_write().unwrap();
        let late = access.preparation();
        end(access);
        late.make();
        assert_eq!(temporary(&place), [""; 0]);
    }
    // A second save under the same guard makes its own.
    let access = cache.begin_write().unwrap();
    access.preparation().make();
    for content in ["one", "two"] {
        cache.persistence().save(access.guard(), content.as_bytes()).unwrap();
        assert_eq!(temporary(&place), [""; 0]);
    }
    access.preparation().make();
    assert_eq!(temporary(&place), [""; 0]);
    drop(access);
    assert_eq!(read(&cache).as_deref(), Some("two"));
}

#[test]
fn a_commit_that_meets_it_under_way_waits_for_it_or_goes_without() {
    let place = Place::new();
    let cache = place.open();
    for n in 0..300 {
        let access = cache.begin_write().unwrap();
        let preparation = access.preparation();
        std::thread::scope(|scope| {
            scope.spawn(move || preparation.make());
            access.commit(format!("content {n}")).unwrap();
        });
        assert_eq!(place.names(), AT_REST);
        assert_eq!(read(&cache), Some(format!("content {n}")));
    }
}

#[test]
fn what_a_killed_writer_left_is_swept_by_the_commit() {
    let place = Place::new();
    write(&place.open(), "old");
    // The name that a temporary file of this cache has.
    let (apart, _, access) = prepared();
    let left = place.directory().join(&temporary(&apart)[0]);
    drop(access);
    fs::write(&left, "half of a").unwrap();
    // One that has not looked around yet makes nothing ahead, for it would have to sweep then.
    let cache = place.open();
    let access = cache.begin_write().unwrap();
    access.preparation().make();
    assert!(left.exists() && temporary(&place).len() == 1);
    access.commit("new").unwrap();
    assert_eq!(place.names(), AT_REST);
}

#[test]
fn what_is_done_at_the_same_time_under_the_same_lock_is_left_alone() {
    for _ in 0..100 {
        let place = Place::new();
        write(&place.open(), "damaged");
        let cache = place.open();
        let mut access = cache.begin_write().unwrap();
        let preparation = access.preparation();
        std::thread::scope(|scope| {
            scope.spawn(move || preparation.make());
            access.set_aside("a test says so").unwrap();
        });
        access.commit("new").unwrap();
        assert_eq!(temporary(&place), [""; 0]);
        assert_eq!(read(&cache).as_deref(), Some("new"));
    }
}
