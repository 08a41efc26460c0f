//! Many writes at once in one process take few threads.

use std::process::Command;

use crate::support::Place;
use crate::support::worker::{self, Worker};

/// Eight of the pool, the timer, the main thread, and one to spare.
const FEW: usize = 11;

fn numbers(mut command: Command) -> Vec<(String, usize)> {
    command.arg("500");
    let mut worker = Worker::start(command);
    assert!(worker.finish().success());
    let lines = worker.remaining_lines();
    let number = |line: &String| {
        let (name, number) = line.split_once(' ').unwrap();
        (name.to_owned(), number.parse().unwrap())
    };
    lines.iter().map(number).collect()
}

#[test]
fn five_hundred_writers_waiting_for_one_lock_take_few_threads_and_all_write() {
    let place = Place::in_memory();
    let [threads, written, length] = &numbers(worker::command("crowd", &place.cache()))[..] else { panic!() };
    assert!(threads.1 <= FEW, "{threads:?}");
    assert_eq!((written.1, length.1), (500, 500));
}

#[test]
fn five_hundred_caches_written_at_once_take_few_threads() {
    let place = Place::in_memory();
    let [threads, written] = &numbers(worker::command("crowds", place.directory()))[..] else { panic!() };
    assert!(threads.1 <= FEW, "{threads:?}");
    assert_eq!(written.1, 500);
}
