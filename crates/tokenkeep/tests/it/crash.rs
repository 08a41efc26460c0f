//! Kills a writer at every system call of lock, write and release. The content is old or new, and the next process
//! does not wait long.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::clock::{Took, timed};
use crate::support::sibling::dead_pid;
use crate::support::strace::{self, Call};
use crate::support::worker::{self, Worker};
use crate::support::{Place, names_in, read, write};

const OLD: &str = r#"{"old":"content, which is longer than the new"}"#;
const NEW: &str = r#"{"new":"content"}"#;

fn once(cache: &Path, durability: &str) -> Command {
    let mut command = worker::command("once", cache);
    command.args([durability, NEW]);
    command
}

/// Returns the system calls of one transaction, after `prepare`.
fn calls(durability: &str, prepare: &dyn Fn(&Place)) -> Vec<Call> {
    let place = Place::new();
    prepare(&place);
    let elsewhere = tempfile::tempdir().unwrap();
    let once = once(&place.cache(), durability);
    strace::calls_between_marks(&once, &strace::trace_file(&elsewhere))
}

/// Kills a writer at the entry of every call of its transaction in turn, and checks the result each time.
fn kill_at_every_call(durability: &str, prepare: &dyn Fn(&Place), limit: Duration) {
    let calls = calls(durability, prepare);
    assert!(calls.len() > 20, "{calls:?}");
    let mut new = 0;
    let mut longest = Took::default();
    for call in &calls {
        let place = Place::new();
        prepare(&place);
        let inject = format!("inject={}:signal=KILL:when={}", call.name, call.nth);
        let output =
            strace::run(strace::wrap(&once(&place.cache(), durability), &["-o/dev/null", "-e", &inject]));
        // Whether one thread has to wait for another differs from run to run. A writer that never waited has ended well.
        let never_waited = call.name == "futex" && output.status.success();
        let killed = output.status.signal() == Some(Signal::KILL.as_raw());
        assert!(killed || never_waited, "{call:?}: {output:?}");

        // A reader without any state of the writer.
        let content = read(&place.open()).unwrap_or_default();
        assert!(content == NEW || content == OLD && killed, "{call:?} left {content:?}");
        new += usize::from(content == NEW);

        // Another process, because this one has its own queue and cached state.
        let mut next = Worker::serve(&place.cache());
        let (seen, took) = timed(|| next.does("begin"));
        assert_eq!(seen.replace("\\\"", "\""), content, "{call:?}");
        assert!(took.naps < limit, "{call:?} cost the next writer {took:?}");
        longest = longest.max(took);
        next.does("commit next");
        assert_eq!(place.names(), ["cache.json", "cache.json.tk-lock"], "{call:?} left something");
    }
    assert!(
        new > 0 && new < calls.len(),
        "{new} of {} kills came after the content was in place",
        calls.len()
    );
    println!("{} kills, {new} after the rename, the next writer waited {longest:?} at most", calls.len());
}

fn with_old_content(place: &Place) {
    write(&place.open(), OLD);
}

#[test]
fn a_writer_killed_at_any_call_leaves_the_old_or_the_new_content_and_delays_no_process() {
    kill_at_every_call("synced", &with_old_content, Duration::from_secs(1));
}

#[test]
fn a_writer_killed_at_any_call_of_the_first_write_leaves_nothing_in_the_way() {
    // No lock file has ever existed, so the private one is created as well.
    kill_at_every_call("cached", &|place| fs::write(place.cache(), OLD).unwrap(), Duration::from_secs(1));
}

#[test]
fn a_writer_killed_at_any_call_of_taking_over_a_dead_writers_lock_leaves_nothing_in_the_way() {
    let prepare = |place: &Place| {
        with_old_content(place);
        let mut holder = Worker::serve(&place.cache());
        holder.does("begin");
        holder.kill();
        // The temporary file of a writer that died while writing.
        fs::write(place.directory().join(left_over_name(place)), "half of a").unwrap();
    };
    kill_at_every_call("cached", &prepare, Duration::from_secs(1));
}

/// Returns the name of a temporary file, from a writer killed before its rename.
fn left_over_name(place: &Place) -> String {
    let apart = Place::new();
    assert_eq!(apart.cache().file_name(), place.cache().file_name());
    let inject = "inject=rename,renameat,renameat2:signal=KILL:when=1";
    strace::run(strace::wrap(&once(&apart.cache(), "cached"), &["-o/dev/null", "-e", inject]));
    names_in(apart.directory()).into_iter().find(|name| name.ends_with(".tmp")).unwrap()
}

#[test]
fn the_next_holder_removes_the_temporary_file_of_a_killed_writer_even_if_it_writes_nothing() {
    let place = Place::new();
    with_old_content(&place);
    let mut other = Worker::serve(&place.cache());
    // It has written, and so has made its one search for old files, before the other process dies.
    other.does("write one");
    let inject = "inject=rename,renameat,renameat2:signal=KILL:when=1";
    strace::run(strace::wrap(&once(&place.cache(), "cached"), &["-o/dev/null", "-e", inject]));
    assert_eq!(place.names().len(), 4, "{:?}", place.names());
    other.does("begin");
    other.does("drop");
    assert_eq!(place.names(), ["cache.json", "cache.json.tk-lock"]);
}

#[test]
fn a_dead_siblings_lock_can_be_taken_over_after_a_kill_during_the_take_over() {
    // Only the calls on the sibling's file, because the other calls are those of every transaction, and each run
    // waits two seconds until the sibling counts as dead.
    let sibling = |place: &Place| {
        with_old_content(place);
        fs::write(place.lockfile(), dead_pid().to_string()).unwrap();
    };
    let calls = calls("cached", &sibling);
    // From the last open of the sibling's file on; earlier ones only read it.
    let last = calls.iter().rposition(|call| call.name == "openat" && call.mentions(".lockfile\"")).unwrap();
    std::thread::scope(|scope| {
        for call in &calls[last + 1..] {
            scope.spawn(move || {
                let place = Place::new();
                sibling(&place);
                // The number of checks of the file varies, so the kill comes somewhere near the take-over or not at
                // all. The result must be right in each case.
                let inject = format!("inject={}:signal=KILL:when={}", call.name, call.nth);
                let command = strace::wrap(&once(&place.cache(), "cached"), &["-o/dev/null", "-e", &inject]);
                strace::run(command);
                let mut next = Worker::serve(&place.cache());
                let (_, took) = timed(|| next.does("write next"));
                assert!(took.naps < Duration::from_secs(4), "{call:?}: {took:?}");
                assert_eq!(place.names(), ["cache.json", "cache.json.tk-lock"], "{call:?}");
            });
        }
    });
}
