//! A file system that other machines share: a free flock proves nothing there. Linux identifies such a file system by
//! a number from statfs; here strace answers with NFS's number.

use std::fs;
use std::process::Command;
use std::time::Duration;

use crate::clock::timed;
use crate::support::sibling::{dead_pid, make_old};
use crate::support::strace;
use crate::support::worker::{self, Worker};
use crate::support::{Place, scale};

/// NFS_SUPER_MAGIC, 0x6969, in the first eight bytes of the answer.
const NFS: &str = "inject=statfs,fstatfs:poke_exit=@arg2=6969000000000000";

fn on_nfs(command: &Command) -> Command {
    strace::wrap(command, &["-o/dev/null", "-e", "trace=statfs,fstatfs", "-e", NFS, "-e", "signal=none"])
}

fn serve(place: &Place) -> Worker {
    let worker = Worker::start(on_nfs(&worker::command("serve", &place.cache())));
    assert_eq!(worker.line(), "ready");
    worker
}

/// Creates the lock of a dead tokenkeep process, of this machine or, by its record, of another one.
fn left_by_the_dead(place: &Place, elsewhere: bool) {
    let mut holder = serve(place);
    holder.does("acquire");
    holder.kill_traced();
    if elsewhere {
        let record = fs::read_to_string(place.lockfile()).unwrap();
        let here = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        assert!(record.contains(here.trim()), "{record:?}");
        let there = "00000000-0000-4000-8000-00000000c11e";
        // Written in place, because both names are of one file.
        fs::write(place.lockfile(), record.replace(here.trim(), there)).unwrap();
    }
}

#[test]
fn processes_of_one_machine_exclude_each_other_on_a_shared_file_system_and_lose_no_write() {
    let place = Place::in_memory();
    let rounds = (40 * scale()).to_string();
    let workers = ["a", "b", "c"].map(|name| {
        let mut command = worker::command("count", &place.cache());
        command.args([name, &rounds, "cached"]);
        Worker::start(on_nfs(&command))
    });
    for mut worker in workers {
        assert!(worker.finish().success());
    }
    let content = fs::read_to_string(place.cache()).unwrap();
    for name in ["a", "b", "c"] {
        assert!(content.contains(&format!("\"{name}\":{rounds},")), "{content}");
    }
}

#[test]
fn the_lock_of_a_dead_process_of_this_machine_is_taken_over_at_once() {
    let place = Place::new();
    left_by_the_dead(&place, false);
    let mut next = serve(&place);
    let (_, took) = timed(|| next.does("write next"));
    assert!(took.naps < Duration::from_secs(2), "{took:?}");
    assert_eq!(place.names(), ["cache.json", "cache.json.tk-lock"]);
}

#[test]
fn a_process_of_another_machine_keeps_its_lock_although_the_flock_is_free_until_the_lock_is_old() {
    let place = Place::new();
    left_by_the_dead(&place, true);
    let mut next = serve(&place);
    next.does("limit 3000");
    let answer = next.ask("write next");
    assert!(answer.starts_with("err busy"), "{answer}");
    // On a local file system a free flock is enough.
    make_old(&place.lockfile(), Duration::from_secs(11 * 60));
    next.does("limit 20000");
    next.does("write next");
    assert_eq!(place.names(), ["cache.json", "cache.json.tk-lock"]);
}

#[test]
fn the_same_lock_on_a_file_system_of_this_machine_is_taken_over_at_once() {
    let place = Place::new();
    left_by_the_dead(&place, true);
    let (_, took) = timed(|| place.open().begin_write().unwrap().commit("next").unwrap());
    assert!(took.naps < Duration::from_secs(2), "{took:?}");
}

#[test]
fn a_sibling_with_an_unknown_pid_may_run_on_another_machine_and_gets_more_time() {
    let place = Place::new();
    fs::write(place.lockfile(), dead_pid().to_string()).unwrap();
    let mut next = serve(&place);
    // Two seconds are enough on a local file system.
    next.does("limit 6000");
    let answer = next.ask("write next");
    assert!(answer.starts_with("err busy"), "{answer}");
    next.does("limit 40000");
    next.does("write next");
}
