//! The file that a write replaces is closed before the write is answered, and never gathers.

use std::fs;

use crate::support::{Place, write};

/// How many files of the place this process has open although they have lost their names.
fn kept_open(place: &Place) -> usize {
    let directory = place.directory();
    let open = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let targets = open.filter_map(|entry| fs::read_link(entry.path()).ok());
    targets.filter(|to| to.starts_with(directory) && to.to_string_lossy().ends_with(" (deleted)")).count()
}

#[test]
fn no_replaced_file_stays_open_after_a_commit() {
    let place = Place::new();
    let cache = place.open();
    for n in 0..20 {
        write(&cache, &format!("content {n}"));
    }
    assert_eq!(kept_open(&place), 0);
}

#[test]
fn no_replaced_file_stays_open_between_saves_under_one_guard() {
    let place = Place::new();
    let cache = place.open();
    write(&cache, "old");
    let access = cache.begin_write().unwrap();
    for _ in 0..5 {
        cache.persistence().save(access.guard(), b"again").unwrap();
        assert_eq!(kept_open(&place), 0);
    }
    drop(access);
    assert_eq!(kept_open(&place), 0);
}
