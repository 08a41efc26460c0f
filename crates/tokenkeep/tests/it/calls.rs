//! How many system calls an access makes: their number is its price on a local file system.

use std::fs;
use std::path::Path;

use crate::support::strace::{self, Call};
use crate::support::worker::{self, Worker};
use crate::support::{Place, user};

/// Returns the calls of a worker that writes once and reads `reads` times.
fn calls_of_reads(reads: usize) -> Vec<Call> {
    let place = Place::in_memory();
    let elsewhere = tempfile::tempdir().unwrap();
    let trace = strace::trace_file(&elsewhere);
    let options = ["-o", trace.to_str().unwrap(), "-e", "trace=%file,%desc"];
    let mut worker = Worker::start(strace::wrap(&worker::command("serve", &place.cache()), &options));
    assert_eq!(worker.line(), "ready");
    worker.does("write content");
    for _ in 0..reads {
        assert_eq!(worker.does("read"), "content");
    }
    assert!(worker.finish().success());
    let own = |call: &Call| !["read", "write", "poll", "close", "mmap"].contains(&call.name.as_str());
    strace::parse(&fs::read_to_string(&trace).unwrap()).into_iter().filter(own).collect()
}

#[test]
fn a_read_of_an_unchanged_file_is_one_look_at_it() {
    let (few, many) = (calls_of_reads(2), calls_of_reads(12));
    assert_eq!(many.len() - few.len(), 10, "{:#?}", &many[many.len() - 12..]);
}

/// Returns how many files and directories root looks at or opens in one write in `directory`.
fn calls_of_a_write(directory: &Path) -> usize {
    fs::create_dir_all(directory).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let mut once = user::as_root(worker::program());
    once.arg("once").arg(directory.join("cache.json")).args(["cached", "content"]);
    // The first write also makes the lock file and looks for the files of killed writers.
    for _ in 0..2 {
        assert!(once.output().unwrap().status.success());
    }
    let looks = ["openat", "openat2", "stat", "fstat", "newfstatat", "statx"];
    let calls = strace::calls_between_marks(&once, &strace::trace_file(&elsewhere));
    calls.iter().filter(|call| looks.contains(&call.name.as_str())).count()
}

#[test]
fn a_write_of_root_judges_each_directory_on_the_way_with_one_call() {
    let place = Place::in_memory();
    let near = place.directory().join("a");
    let (short, long) = (calls_of_a_write(&near), calls_of_a_write(&near.join("b/c/d/e/f/g/h/i/j/k")));
    assert_eq!(long - short, 10, "{short} calls in one directory, {long} in ten directories below it");
}
