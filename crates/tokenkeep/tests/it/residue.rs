//! A process that has dropped a cache has no copy of the secret in the memory that it can read.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use crate::support::Place;
use crate::support::worker::{self, Worker};

const SEED: u64 = 0x7046_6b65_6570_0001;

/// The letters of the token that `torture residue` makes; a part, because a copy may have lost its ends.
fn needle() -> Vec<u8> {
    let mut state = SEED;
    let letters = (0..64).map(|_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        b'a' + (state >> 33).to_le_bytes()[0] % 26
    });
    letters.skip(20).take(16).collect()
}

/// Returns the addresses of the letters in another process's writable memory: heap, stacks, data.
fn copies_in(pid: u32) -> Vec<String> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap_or_else(|error| {
        panic!("cannot look into a child's memory ({error}): allow ptrace to this user")
    });
    let needle = needle();
    let mut found = Vec::new();
    let mut looked_at = 0;
    for line in maps.lines() {
        let mut words = line.split_ascii_whitespace();
        let (range, rights) = (words.next().unwrap(), words.next().unwrap());
        if !rights.starts_with("rw") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let address = |text| u64::from_str_radix(text, 16).unwrap();
        let (start, end) = (address(start), address(end));
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        if memory.read_exact_at(&mut bytes, start).is_err() {
            // A guard page, or memory without pages yet.
            continue;
        }
        looked_at += bytes.len();
        found.extend(
            bytes
                .windows(needle.len())
                .enumerate()
                .filter(|(_, window)| *window == needle)
                .map(|(at, _)| format!("{line} + {at:#x}")),
        );
    }
    assert!(looked_at > 100_000, "{looked_at} bytes in {maps}");
    found
}

#[test]
fn a_process_that_has_dropped_a_cache_has_no_copy_of_it_in_memory() {
    let place = Place::new();
    let mut command = worker::command("residue", &place.cache());
    command.arg(SEED.to_string());
    let mut worker = Worker::start(command);
    assert_eq!(worker.line(), "holding");
    let held = copies_in(worker.pid());
    assert!(!held.is_empty(), "nothing is found even where something is");
    assert_eq!(worker.ask(""), "dropped");
    let left = copies_in(worker.pid());
    assert!(left.is_empty(), "{left:#?}");
    let stored = fs::read(place.cache()).unwrap();
    assert!(stored.windows(16).any(|window| window == needle()), "it was the same token");
    println!("{} copies while it was held, none after", held.len());
}
