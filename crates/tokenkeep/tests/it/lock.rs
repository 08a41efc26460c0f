//! Waiting for the lock, in threads and processes of tokenkeep: exclusion, order, limits, cancellation, fairness.
//! `lock_files.rs` has the files.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use rustix::process::Signal;
use tokenkeep::{
    CacheLock, ErrorKind,
    options::{Cancel, WaitOptions},
};

use crate::clock::timed;
use crate::support::worker::Worker;
use crate::support::{Place, eventually, scale, worker};

/// The upper limit of "at once": far above the microseconds that it takes, far below every rule with a waiting time.
pub(crate) const AT_ONCE: Duration = Duration::from_millis(500);

pub(crate) fn lock(place: &Place) -> CacheLock {
    CacheLock::new(place.cache()).unwrap()
}

pub(crate) fn within(millis: u64) -> WaitOptions {
    WaitOptions::within(Duration::from_millis(millis))
}

#[test]
fn threads_get_the_lock_in_order_with_any_spelling_of_the_path() {
    let place = Place::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let by_link = elsewhere.path().join("link");
    symlink(place.directory(), &by_link).unwrap();
    let spellings = [
        place.cache(),
        place.directory().join(".").join("cache.json"),
        place.directory().join("..").join(place.directory().file_name().unwrap()).join("cache.json"),
        by_link.join("cache.json"),
    ];
    let held = lock(&place).acquire(&within(1000)).unwrap();
    let order = Arc::new(Mutex::new(Vec::new()));
    let threads: Vec<_> = (0..16)
        .map(|number| {
            let lock = CacheLock::new(&spellings[number % spellings.len()]).unwrap();
            let order = Arc::clone(&order);
            let (sender, comes) = mpsc::channel();
            let thread = thread::spawn(move || {
                sender.send(rustix::thread::gettid()).unwrap();
                let guard = lock.acquire(&within(20_000)).unwrap();
                order.lock().unwrap().push(number);
                drop(guard);
            });
            let stat = format!("/proc/self/task/{}/stat", comes.recv().unwrap());
            // Only its position in the queue can make it sleep.
            eventually("the thread is in the queue", || fs::read_to_string(&stat).unwrap().contains(") S "));
            thread
        })
        .collect();
    drop(held);
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(*order.lock().unwrap(), (0..16).collect::<Vec<_>>());
}

#[test]
fn two_threads_never_hold_the_lock_at_once() {
    let place = Place::in_memory();
    let inside = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let lock = lock(&place);
                for _ in 0..100 * scale() {
                    let guard = lock.acquire(&within(30_000)).unwrap();
                    assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                    thread::yield_now();
                    inside.fetch_sub(1, Ordering::SeqCst);
                    drop(guard);
                }
            });
        }
    });
    assert_eq!(place.names(), ["cache.json.tk-lock"]);
}

#[test]
fn a_lock_held_by_another_process_is_busy_and_the_error_has_its_holder_its_path_and_a_remedy() {
    let place = Place::new();
    let mut holder = Worker::serve(&place.cache());
    holder.does("acquire");
    thread::sleep(Duration::from_millis(1100));
    let (error, took) = timed(|| lock(&place).acquire(&within(300)).unwrap_err());
    assert_eq!(error.kind(), ErrorKind::Busy);
    let limit = Duration::from_millis(300);
    assert!(took.clock >= limit && took.naps < limit + AT_ONCE, "{took:?}");
    assert_eq!(error.path(), Some(&*place.cache()));
    let text = error.to_string();
    let age = text.contains("for 1 s") || text.contains("for 2 s");
    assert!(text.contains(&format!("process {} (torture)", holder.pid())) && age, "{text}");
    assert!(text.contains("Wait for process") && text.contains("cache.json"), "{text}");

    holder.does("release");
    drop(lock(&place).acquire(&within(1000)).unwrap());
    assert_eq!(place.names(), ["cache.json.tk-lock"]);
}

#[test]
fn the_error_names_this_process_if_it_holds_the_lock() {
    let place = Place::new();
    let _held = lock(&place).acquire(&within(0)).unwrap();
    let text = lock(&place).acquire(&within(20)).unwrap_err().to_string();
    assert!(text.contains("this process itself"), "{text}");
}

#[test]
fn a_command_name_cannot_forge_a_log_line() {
    let place = Place::new();
    let odd = place.directory().join("a\nFAKE");
    fs::copy(worker::program(), &odd).unwrap();
    let mut command = Command::new(&odd);
    command.arg("serve").arg(place.cache());
    let mut holder = Worker::start(command);
    assert_eq!(holder.line(), "ready");
    holder.does("acquire");
    let text = lock(&place).acquire(&within(20)).unwrap_err().to_string();
    assert!(text.contains("FAKE") && !text.contains('\n'), "{text}");
}

#[test]
fn a_stopped_holder_keeps_the_lock_until_the_waiters_limit() {
    let place = Place::new();
    let mut holder = Worker::serve(&place.cache());
    holder.does("acquire");
    holder.signal(Signal::STOP);
    let error = lock(&place).acquire(&within(3000)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.to_string().contains(&holder.pid().to_string()), "{error}");
    holder.signal(Signal::CONT);
    holder.does("release");
    drop(lock(&place).acquire(&within(1000)).unwrap());
}

#[test]
fn the_limit_is_kept_and_one_attempt_is_always_made() {
    let place = Place::new();
    drop(lock(&place).acquire(&within(0)).unwrap());
    let mut holder = Worker::serve(&place.cache());
    holder.does("acquire");
    let (error, took) = timed(|| lock(&place).acquire(&within(0)).unwrap_err());
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(took.naps < AT_ONCE, "{took:?}");
    // In the queue behind a thread of this process, and waiting for another process.
    thread::scope(|scope| {
        for limit in [200, 300, 400] {
            scope.spawn({
                let lock = lock(&place);
                move || {
                    let (error, took) = timed(|| lock.acquire(&within(limit)).unwrap_err());
                    assert_eq!(error.kind(), ErrorKind::Busy);
                    let limit = Duration::from_millis(limit);
                    assert!(took.clock >= limit && took.naps < limit + AT_ONCE, "{took:?} for {limit:?}");
                }
            });
        }
    });
}

/// Starts a wait, cancels it, and returns how long the wait took to end.
fn cancel_a_wait(place: &Place) -> Duration {
    let cancel = Cancel::new();
    let wait = WaitOptions { cancel: Some(cancel.clone()), ..WaitOptions::default() };
    thread::scope(|scope| {
        let waiter = scope.spawn(move || lock(place).acquire(&wait).unwrap_err());
        thread::sleep(Duration::from_millis(50));
        let (error, took) = timed(|| {
            cancel.cancel();
            waiter.join().unwrap()
        });
        assert_eq!(error.kind(), ErrorKind::Cancelled, "{error}");
        took.naps
    })
}

#[test]
fn a_wait_in_the_queue_can_be_cancelled_and_the_queue_continues() {
    let place = Place::new();
    let held = lock(&place).acquire(&within(0)).unwrap();
    assert!(cancel_a_wait(&place) < AT_ONCE);
    drop(held);
    drop(lock(&place).acquire(&within(0)).unwrap());
}

#[test]
fn a_wait_for_another_process_can_be_cancelled_and_the_next_waiter_takes_it_over() {
    let place = Place::new();
    let mut holder = Worker::serve(&place.cache());
    holder.does("acquire");
    assert!(cancel_a_wait(&place) < AT_ONCE);
    assert!(cancel_a_wait(&place) < AT_ONCE);
    assert_eq!(waiting_for(&place.private()), 1, "one waits in the kernel, however many gave up");
    let lock = lock(&place);
    thread::scope(|scope| {
        let next = scope.spawn(|| lock.acquire(&within(10_000)).unwrap());
        thread::sleep(Duration::from_millis(50));
        let (_, took) = timed(|| {
            holder.does("release");
            next.join().unwrap()
        });
        assert!(took.naps < AT_ONCE, "{took:?}");
    });
}

#[test]
fn a_free_lock_is_acquired_without_a_wait_although_an_abandoned_wait_has_just_got_it() {
    let place = Place::in_memory();
    let mut holder = Worker::serve(&place.cache());
    let lock = lock(&place);
    for round in 0..200 * scale() {
        holder.does("acquire");
        // Leaves a thread that waits in the kernel and gets the lock at the holder's release.
        assert_eq!(lock.acquire(&within(1)).unwrap_err().kind(), ErrorKind::Busy);
        holder.does("release");
        drop(lock.acquire(&within(0)).unwrap_or_else(|error| panic!("round {round}: {error}")));
    }
}

/// Returns the number of threads that wait for the flock of a file, from the kernel's list: `7: -> FLOCK  ADVISORY
/// WRITE pid dev:inode`.
fn waiting_for(path: &Path) -> usize {
    let inode = format!(":{} ", fs::metadata(path).unwrap().ino());
    let locks = fs::read_to_string("/proc/locks").unwrap();
    locks.lines().filter(|line| line.contains("-> FLOCK") && line.contains(&inode)).count()
}

#[test]
fn a_wait_for_a_sibling_can_be_cancelled_and_the_next_waiter_continues_it() {
    let place = Place::new();
    fs::write(place.lockfile(), std::process::id().to_string()).unwrap();
    assert!(cancel_a_wait(&place) < AT_ONCE);
    let lock = lock(&place);
    thread::scope(|scope| {
        let next = scope.spawn(|| lock.acquire(&within(10_000)).unwrap());
        thread::sleep(Duration::from_millis(50));
        let (_, took) = timed(|| {
            fs::remove_file(place.lockfile()).unwrap();
            next.join().unwrap()
        });
        assert!(took.naps < AT_ONCE, "{took:?}");
    });
}

#[test]
fn a_cancel_before_the_wait_ends_it_before_any_file_is_created() {
    let place = Place::new();
    let cancel = Cancel::new();
    cancel.cancel();
    let wait = WaitOptions { cancel: Some(cancel), ..WaitOptions::default() };
    assert_eq!(lock(&place).acquire(&wait).unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn eight_processes_get_the_lock_equally_often() {
    let place = Place::in_memory();
    let workers: Vec<_> = (0..8)
        .map(|name| {
            let mut command = worker::command("count", &place.cache());
            command.args([&name.to_string(), "1000000", "cached"]);
            Worker::start(command)
        })
        .collect();
    // Count from the time at which all of them work. Other load on the machine disturbs the count of a second, and the
    // less the count of many; neither makes it even.
    for worker in &workers {
        worker.line();
    }
    for worker in &workers {
        worker.drain();
    }
    let is_even = |counts: &[usize]| counts.iter().max().unwrap() * 10 <= counts.iter().min().unwrap() * 13;
    let mut sums = vec![0; workers.len()];
    for _ in 0..40 {
        thread::sleep(Duration::from_secs(1));
        let counts: Vec<_> = workers.iter().map(Worker::drain).collect();
        sums.iter_mut().zip(&counts).for_each(|(sum, count)| *sum += count);
        if is_even(&counts) || is_even(&sums) {
            return;
        }
    }
    panic!("never within 1.3: {sums:?} in all");
}
