//! What a write puts something else in the place of: let go of when nobody waits any more, and not later than that.

use std::fs;

use crate::support::{Place, open, read, write};

/// How many files of the place this process has open although they have lost their names.
fn kept_open(place: &Place) -> usize {
    let directory = place.directory();
    let open = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let targets = open.filter_map(|entry| fs::read_link(entry.path()).ok());
    targets.filter(|to| to.starts_with(directory) && to.to_string_lossy().ends_with(" (deleted)")).count()
}

#[test]
fn what_was_displaced_stays_open_beyond_the_lock_as_long_as_somebody_keeps_it() {
    let place = Place::new();
    let cache = place.open();
    write(&cache, "old");
    let access = cache.begin_write().unwrap();
    let displaced = access.guard().displaced();
    access.commit("new").unwrap();
    assert_eq!(kept_open(&place), 1);
    // Neither this process nor another handle waits for it.
    write(&open(&place.cache()), "newer");
    assert_eq!(read(&cache).as_deref(), Some("newer"));
    drop(displaced);
    assert_eq!(kept_open(&place), 0);
}

#[test]
fn nothing_stays_open_where_nobody_asked() {
    let place = Place::new();
    let cache = place.open();
    for n in 0..20 {
        write(&cache, &format!("content {n}"));
    }
    assert_eq!(kept_open(&place), 0);
}

#[test]
fn one_guard_keeps_what_its_last_save_displaced_and_no_more() {
    let place = Place::new();
    let cache = place.open();
    write(&cache, "old");
    let access = cache.begin_write().unwrap();
    for _ in 0..5 {
        cache.persistence().save(access.guard(), b"again").unwrap();
        assert_eq!(kept_open(&place), 1);
    }
    drop(access);
    assert_eq!(kept_open(&place), 0);
}
