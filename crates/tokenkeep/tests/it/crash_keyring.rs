//! Kills a writer at every system call of a write to the Secret Service. The item is old or new, and the next process
//! does not wait long.
//!
//! A real gnome-keyring on its own bus. The writer has two threads, one with the lock and the marker, one for D-Bus.
//! strace counts the calls of each thread and kills at the first thread that reaches the number.

use std::collections::HashMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::clock::{Took, timed};
use crate::keyring::Keyring;
use crate::support::strace::{self, Call};
use crate::support::worker::{self, Worker};
use crate::support::{names_in, scale};

const OLD: &str = r#"{"old":"content, which is longer than the new"}"#;
const NEW: &str = r#"{"new":"content"}"#;

/// The longest delay that a kill may add to the next process's read or acquire.
const LIMIT: Duration = Duration::from_secs(1);

/// One item in one keyring.
struct Place {
    keyring: Keyring,
}

impl Place {
    fn new() -> Self {
        Self { keyring: Keyring::start() }
    }

    fn directory(&self) -> PathBuf {
        self.keyring.bus.folder().join("cache")
    }

    fn locks(&self) -> PathBuf {
        self.keyring.bus.folder().join("locks")
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = worker::command(verb, &self.directory().join("marker"));
        command.arg(self.keyring.bus.address()).arg(self.locks());
        command
    }

    fn once(&self) -> Command {
        let mut command = self.command("once-item");
        command.arg(NEW);
        command
    }

    /// Starts another process on the item.
    fn other(&self) -> Worker {
        let worker = Worker::start(self.command("serve-item"));
        assert_eq!(worker.line(), "ready");
        worker
    }

    /// Removes the item and all files.
    fn clear(&self) {
        self.other().does("delete");
        for directory in [self.directory(), self.locks()] {
            fs::remove_dir_all(directory).unwrap();
        }
    }

    fn names(&self) -> (Vec<String>, Vec<String>) {
        (names_in(&self.directory()), names_in(&self.locks()))
    }
}

/// Returns the calls at which a kill is possible: for each name and number, those of the thread that reaches it
/// first.
fn targets(calls: Vec<Call>) -> Vec<Call> {
    let mut most: HashMap<String, usize> = HashMap::new();
    calls
        .into_iter()
        .filter(|call| {
            // Another thread's call of the same name and number comes first and is a target already; strace also
            // counts the thread's calls before the transaction.
            let most = most.entry(call.name.clone()).or_insert(0);
            let first = call.nth > *most;
            *most = call.nth.max(*most);
            first
        })
        .collect()
}

/// Kills a writer at the calls that `sample` selects, and checks the result.
fn kill_at_every_call(
    place: &Place,
    prepare: &dyn Fn(),
    before: &str,
    sample: &dyn Fn(usize, &Call) -> bool,
) {
    prepare();
    let elsewhere = tempfile::tempdir().unwrap();
    let calls = strace::calls_between_marks(&place.once(), &strace::trace_file(&elsewhere));
    let all = targets(calls).len();
    prepare();
    let calls = targets(strace::calls_between_marks(&place.once(), &strace::trace_file(&elsewhere)));
    // Messages to the keyring, and the marker's time before and after: these are the whole transaction.
    assert!(all > 100 && calls.len() > 100, "{all}: {calls:?}");
    for name in ["sendmsg", "utimensat"] {
        assert!(calls.iter().any(|call| call.name == name), "no {name} among {calls:?}");
    }

    let (mut killed, mut new, mut longest) = (0, 0, Duration::ZERO);
    for (_, call) in calls.iter().enumerate().filter(|(at, call)| sample(*at, call)) {
        let Some(Seen { content, cost }) = kill_at(place, call, prepare, before) else { continue };
        assert!(cost < LIMIT, "{call:?} cost the next one {cost:?}");
        killed += 1;
        new += usize::from(content == NEW);
        longest = longest.max(cost);
    }
    assert!(new > 0 && new < killed, "{new} of {killed} kills came after the item was written");
    println!("{killed} kills, {new} after the item was written, they cost the next one {longest:?} at most");
}

/// The result of another process after a kill.
struct Seen {
    content: String,
    cost: Duration,
}

/// Kills a writer at the entry of one call; returns `None` if it ended before.
fn kill_at(place: &Place, call: &Call, prepare: &dyn Fn(), before: &str) -> Option<Seen> {
    prepare();
    let inject = format!("inject={}:signal=KILL:when={}", call.name, call.nth);
    let output = strace::run(strace::wrap(&place.once(), &["-o/dev/null", "-e", &inject]));
    // The number of waits for the keyring varies, so a run may end before its last wait.
    if output.status.success() {
        let waits = ["epoll_pwait", "recvmsg", "futex", "timerfd_settime"];
        assert!(waits.contains(&&*call.name), "{call:?}");
        return None;
    }
    assert_eq!(output.status.signal(), Some(Signal::KILL.as_raw()), "{call:?}: {output:?}");

    let mut next = place.other();
    let (content, read) = timed(|| next.does("read").replace("\\\"", "\""));
    assert!(content == before || content == NEW, "{call:?} left {content:?}");
    let (seen, began) = timed(|| next.does("begin").replace("\\\"", "\""));
    // The keyring may handle the dead writer's message after the first read.
    assert!(seen == content || seen == NEW, "{call:?}: {content:?}, then {seen:?}");
    next.does("commit next");
    // The same operations a moment later, without a kill: the keyring's daemon may be slow because the machine is busy.
    let mut undisturbed = place.other();
    let (content_then, usual_read) = timed(|| undisturbed.does("read"));
    assert_eq!(content_then, "next", "{call:?}");
    let (_, usual_begin) = timed(|| undisturbed.does("begin"));
    undisturbed.does("drop");
    let (cache, locks) = place.names();
    assert_eq!(cache, ["marker", "marker.tk-lock"], "{call:?} left something");
    assert!(locks.len() == 1 && locks[0].ends_with(".tk-lock"), "{call:?} left {locks:?}");
    let more = |took: Took, usual: Took| took.naps.saturating_sub(usual.naps);
    let cost = more(read, usual_read).max(more(began, usual_begin));
    Some(Seen { content, cost })
}

/// Selects all calls if there is time, otherwise every message to the keyring and a part of the rest.
fn some(every: usize) -> impl Fn(usize, &Call) -> bool {
    move |at, call| scale() > 1 || at % every == 0 || call.name == "sendmsg"
}

#[test]
fn a_writer_killed_at_any_call_leaves_the_old_or_the_new_item_and_delays_no_process() {
    let place = Place::new();
    let prepare = || drop(place.other().does(&format!("write {OLD}")));
    kill_at_every_call(&place, &prepare, OLD, &some(4));
}

#[test]
fn a_writer_killed_at_any_call_of_the_first_write_leaves_no_item_or_a_whole_one() {
    let place = Place::new();
    place.other().does("write something");
    kill_at_every_call(&place, &|| place.clear(), "none", &some(8));
}
