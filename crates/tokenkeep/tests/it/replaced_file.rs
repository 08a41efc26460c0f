//! The file that a write replaces is closed soon after the write.

use std::fs;
use std::time::Duration;

use crate::support::{Place, write};

/// How many files of the place this process has open although they have lost their names.
fn kept_open(place: &Place) -> usize {
    let directory = place.directory();
    let open = fs::read_dir("/proc/self/fd").unwrap().flatten();
    let targets = open.filter_map(|entry| fs::read_link(entry.path()).ok());
    targets.filter(|to| to.starts_with(directory) && to.to_string_lossy().ends_with(" (deleted)")).count()
}

/// Another thread closes them.
fn wait_until_none_is_open(place: &Place) {
    for _ in 0..1_000 {
        if kept_open(place) == 0 {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{} replaced files are still open", kept_open(place));
}

#[test]
fn no_replaced_file_stays_open_after_a_commit() {
    let place = Place::new();
    let cache = place.open();
    for n in 0..20 {
        write(&cache, &format!("content {n}"));
    }
    wait_until_none_is_open(&place);
}

#[test]
fn no_replaced_file_stays_open_between_saves_under_one_guard() {
    let place = Place::new();
    let cache = place.open();
    write(&cache, "old");
    let access = cache.begin_write().unwrap();
    for _ in 0..5 {
        cache.persistence().save(access.guard(), b"again").unwrap();
        wait_until_none_is_open(&place);
    }
    drop(access);
}
