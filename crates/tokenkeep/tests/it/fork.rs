//! A child that was forked without executing another program uses the library afresh.

use std::process::Command;

use crate::support::worker::{self, Worker};
use crate::support::{Place, scale};

#[test]
fn a_forked_child_takes_locks_works_and_sets_timers_while_its_parent_holds_waits_and_works() {
    let place = Place::in_memory();
    let count = 40 * scale();
    // Ignored, these signals keep the runtime of a Rust program from handling an overflow of the stack. That takes a mutex
    // of its own whenever a thread starts or ends, which a child forked at that moment finds locked for ever. The programs
    // that this is for, such as Python, have no such runtime.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' SEGV BUS; exec \"$0\" \"$@\""]);
    command.arg(worker::program()).arg("fork").arg(place.cache()).arg(count.to_string());
    let mut parent = Worker::start(command);
    assert!(parent.finish().success(), "the process that forks found something wrong");
    assert_eq!(parent.line(), format!("forked {count}"));
}
