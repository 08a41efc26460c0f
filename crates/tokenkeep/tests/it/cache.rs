//! The transaction under load in one process, and changes by other writers, which it must always notice.

use std::fs::{self, File, FileTimes};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

use tokenkeep::TokenCache;

use crate::support::{Place, read, scale, write};

/// Appends a line to the stored content.
fn append(cache: &TokenCache, line: &str) {
    let access = cache.begin_write().unwrap();
    let old = String::from_utf8(access.content().unwrap_or_default().to_vec()).unwrap();
    access.commit(format!("{old}{line}\n")).unwrap();
}

#[test]
fn two_hundred_threads_that_write_at_once_on_one_cache_and_on_ten_lose_nothing() {
    for many in [1, 10] {
        let place = Place::in_memory();
        let caches: Vec<_> = (0..many).map(|_| place.open()).collect();
        std::thread::scope(|scope| {
            for number in 0..200 {
                let cache = &caches[number % many];
                scope.spawn(move || append(cache, &number.to_string()));
            }
        });
        let stored = read(&place.open()).unwrap();
        let mut lines: Vec<u32> = stored.lines().map(|line| line.parse().unwrap()).collect();
        lines.sort_unstable();
        assert_eq!(lines, (0..200).collect::<Vec<_>>(), "every write is there once");
    }
}

#[test]
fn reads_beside_many_writers_of_the_same_process_never_fail() {
    let place = Place::new();
    let cache = tokenkeep::TokenCache::new(tokenkeep::storage::FilePersistence::new(place.cache()).unwrap());
    write(&cache, "0");
    std::thread::scope(|scope| {
        for writer in 0..40 {
            let cache = cache.clone();
            scope.spawn(move || append(&cache, &format!("writer {writer}")));
        }
        for _ in 0..4 {
            let cache = cache.clone();
            scope.spawn(move || (0..200).for_each(|_| assert!(read(&cache).is_some())));
        }
    });
}

#[test]
fn a_change_made_at_once_after_a_read_is_always_noticed() {
    for place in [Place::new(), Place::in_memory()] {
        let (reader, writer) = (place.open(), place.open());
        for round in 0..1000 * scale() {
            let text = format!("{round:08}");
            write(&writer, &text);
            assert_eq!(read(&reader), Some(text), "round {round}");
        }
    }
}

#[test]
fn a_change_in_place_of_the_same_size_at_once_after_a_read_is_always_noticed() {
    for place in [Place::new(), Place::in_memory()] {
        let reader = place.open();
        for round in 0..1000 * scale() {
            let text = format!("{round:08}");
            // The way in which siblings write: truncate and fill.
            fs::write(place.cache(), &text).unwrap();
            assert_eq!(read(&reader), Some(text), "round {round}");
        }
    }
}

#[test]
fn another_file_of_the_same_size_and_time_in_the_same_inode_is_always_noticed() {
    // Files written in one clock tick have equal times; set them by hand for the same effect.
    let time = FileTimes::new().set_modified(SystemTime::now());
    let mut reused = 0;
    for place in [Place::new(), Place::in_memory()] {
        let reader = place.open();
        let inode = || fs::metadata(place.cache()).map(|status| status.ino()).ok();
        for round in 0..1000 * scale() {
            let text = format!("{round:08}");
            let before = inode();
            drop(fs::remove_file(place.cache()));
            let mut file = File::create(place.cache()).unwrap();
            file.write_all(text.as_bytes()).unwrap();
            file.set_times(time).unwrap();
            reused += u32::from(before == inode());
            assert_eq!(read(&reader), Some(text), "round {round}");
        }
    }
    // If the file system never reuses an inode, this test proves nothing.
    assert!(reused > 0);
}

#[test]
fn a_change_under_an_older_time_is_noticed() {
    let place = Place::new();
    let reader = place.open();
    write(&reader, "one");
    assert_eq!(read(&reader).as_deref(), Some("one"));
    // Like a file after the clock was set back, or from a backup.
    let mut file = File::create(place.cache()).unwrap();
    file.write_all(b"two").unwrap();
    let old = SystemTime::now().checked_sub(Duration::from_secs(3600)).unwrap();
    file.set_times(FileTimes::new().set_modified(old)).unwrap();
    assert_eq!(read(&reader).as_deref(), Some("two"));
}

#[test]
fn times_only_grow_even_after_a_clock_that_was_ahead() {
    let place = Place::new();
    let (reader, writer) = (place.open(), place.open());
    write(&writer, "one");
    let ahead = SystemTime::now().checked_add(Duration::from_secs(86_400)).unwrap();
    File::open(place.cache()).unwrap().set_times(FileTimes::new().set_modified(ahead)).unwrap();
    let modified = || fs::metadata(place.cache()).unwrap().modified().unwrap();
    for round in 0..20 {
        let before = modified();
        assert_eq!(read(&reader), read(&writer));
        write(&writer, &format!("{round}"));
        assert!(modified() > before);
        assert_eq!(read(&reader), Some(format!("{round}")));
    }
}

#[test]
fn a_file_deleted_or_truncated_by_others_is_noticed() {
    let place = Place::new();
    let cache = place.open();
    write(&cache, "content");
    fs::remove_file(place.cache()).unwrap();
    assert_eq!(read(&cache), None);
    write(&cache, "content");
    fs::write(place.cache(), "").unwrap();
    assert_eq!(read(&cache).as_deref(), Some(""));
}

#[test]
fn a_dropped_transaction_writes_nothing_and_a_waiting_one_sees_the_content_before_it() {
    let place = Place::new();
    let (one, two) = (place.open(), place.open());
    write(&one, "one");
    assert_eq!(read(&two).as_deref(), Some("one"));
    drop(one.begin_write().unwrap());
    assert_eq!(read(&two).as_deref(), Some("one"));
    let access = one.begin_write().unwrap();
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let access = two.begin_write().unwrap();
            access.content().unwrap().to_vec()
        });
        std::thread::sleep(Duration::from_millis(20));
        access.commit("newer").unwrap();
        assert_eq!(waiter.join().unwrap(), b"newer");
    });
}
