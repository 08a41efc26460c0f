//! Lock files of the sibling libraries: that of a dead holder is taken over, that of a living one is respected.

use std::fs::{self, File};
use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use tokenkeep::{
    CacheLock, ErrorKind, TokenCache,
    event::Event,
    options::{OnDamage, WaitOptions},
    storage::FilePersistence,
};

use crate::clock::{Took, timed};
use crate::support::sibling::{FORMATS, Sleeper, dead_pid, make_old};
use crate::support::worker::{self, Worker};
use crate::support::{Place, beside, read, scale, strace, user, write};

const PATIENT: Duration = Duration::from_secs(30);

/// Returns how long taking over a lock file with this text takes.
fn wait_behind(text: &str) -> Took {
    let place = Place::new();
    fs::write(place.lockfile(), text).unwrap();
    take_over(&place)
}

fn take_over(place: &Place) -> Took {
    let lock = CacheLock::new(place.cache()).unwrap();
    let (guard, took) = timed(|| lock.acquire(&WaitOptions::within(PATIENT)).unwrap());
    // Taken over in place, so it still exists for siblings that only check its existence.
    assert!(place.lockfile().exists());
    drop(guard);
    assert_eq!(place.names(), ["cache.json.tk-lock"], "the lock file of the dead is gone");
    took
}

fn assert_within(what: &str, took: Took, least: f64, most: f64) {
    let is_within = took.clock.as_secs_f64() >= least && took.naps.as_secs_f64() <= most;
    assert!(is_within, "{what}: taken over after {took:?}, not {least} to {most} s");
}

#[test]
fn the_lock_of_a_dead_sibling_is_taken_over_after_two_seconds_in_every_format() {
    thread::scope(|scope| {
        for (library, format) in FORMATS {
            scope.spawn(move || assert_within(library, wait_behind(&format(dead_pid())), 1.9, 4.0));
        }
    });
}

#[test]
fn the_lock_of_a_zombie_is_taken_over_after_two_seconds() {
    let zombie = Sleeper::new().into_zombie();
    assert_within("zombie", wait_behind(&zombie.pid().to_string()), 1.9, 4.0);
}

#[test]
fn a_reused_pid_does_not_keep_a_dead_siblings_lock() {
    let place = Place::new();
    let later = Sleeper::new();
    fs::write(place.lockfile(), later.pid().to_string()).unwrap();
    make_old(&place.lockfile(), Duration::from_secs(60));
    assert_within("reused pid", take_over(&place), 1.9, 4.0);
}

/// In a new pid namespace the first process has pid 1 again, as in a container that is started again.
#[test]
fn the_lock_of_a_sibling_with_our_own_pid_before_the_restart_of_a_container_is_taken_over() {
    let place = Place::new();
    write(&place.open(), "old");
    for pid in ["1", "1 /usr/bin/az"] {
        fs::write(place.lockfile(), pid).unwrap();
        // The shortest restart, far below the two seconds that were once needed.
        thread::sleep(Duration::from_millis(60));
        let mut command = user::as_root("unshare");
        command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]).arg(worker::program());
        command.arg("serve").arg(place.cache());
        let mut inside = Worker::start(command);
        assert_eq!(inside.line(), "ready");
        let (_, took) = timed(|| inside.does("write new"));
        assert!(took.naps < Duration::from_secs(4), "{pid}: {took:?}");
    }
}

/// The claim on a dead process's lock file has a longer name than the lock file.
#[test]
fn the_longest_name_of_a_cache_is_usable_without_flock_after_a_sibling_died() {
    let place = Place::new();
    let path = place.directory().join("n".repeat(246));
    let lock_file = path.with_file_name(format!("{}.lockfile", "n".repeat(246)));
    fs::write(&lock_file, dead_pid().to_string()).unwrap();
    let options = ["-o/dev/null", "-e", "inject=flock:error=ENOLCK"];
    let mut worker = Worker::start(strace::wrap(&worker::command("serve", &path), &options));
    assert_eq!(worker.line(), "ready");
    worker.does("limit 20000");
    worker.does("write content");
    assert!(!lock_file.exists());
}

#[test]
fn a_lock_file_without_a_pid_is_taken_over_after_ten_seconds() {
    thread::scope(|scope| {
        for text in ["", "garbage", "-1", "0", "99999999999999999999", "\0\0\0\0"] {
            scope.spawn(move || assert_within(text, wait_behind(text), 9.5, 13.0));
        }
    });
}

#[test]
fn a_huge_lock_file_is_taken_over_like_any_other() {
    let place = Place::new();
    fs::write(place.lockfile(), format!("{} {}", dead_pid(), "x".repeat(8 << 20))).unwrap();
    assert_within("huge", take_over(&place), 1.9, 4.0);
}

#[test]
fn the_lock_of_a_living_sibling_is_respected_and_acquired_promptly_after_its_release() {
    thread::scope(|scope| {
        for (library, format) in FORMATS {
            scope.spawn(move || {
                let place = Place::new();
                let holder = Sleeper::new();
                fs::write(place.lockfile(), format(holder.pid())).unwrap();
                let lock = CacheLock::new(place.cache()).unwrap();
                let error = lock.acquire(&WaitOptions::within(Duration::from_secs(3))).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Busy, "{library}");
                assert!(error.to_string().contains(&format!("process {} (sleep)", holder.pid())), "{error}");
                thread::scope(|scope| {
                    let waiter = scope.spawn(|| lock.acquire(&WaitOptions::within(PATIENT)).unwrap());
                    thread::sleep(Duration::from_millis(100));
                    let (_, took) = timed(|| {
                        fs::remove_file(place.lockfile()).unwrap();
                        waiter.join().unwrap()
                    });
                    assert!(took.naps < Duration::from_millis(300), "{library}: {took:?}");
                });
            });
        }
    });
}

#[test]
fn a_flocked_lock_file_is_respected_with_any_content() {
    let place = Place::new();
    // With a flock, like Go and .NET. A dead pid may only mean that it belongs to another container.
    fs::write(place.lockfile(), dead_pid().to_string()).unwrap();
    let file = File::open(place.lockfile()).unwrap();
    file.lock().unwrap();
    let lock = CacheLock::new(place.cache()).unwrap();
    let error = lock.acquire(&WaitOptions::within(Duration::from_secs(4))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
}

#[test]
fn the_forgotten_lock_of_a_living_process_is_taken_over_with_a_warning() {
    let place = Place::new();
    let cache = place.cache();
    // Process 1 is alive. If it started after the file's time, it counts as another process and there is no warning.
    fs::write(place.lockfile(), "1").unwrap();
    make_old(&place.lockfile(), Duration::from_secs(601));
    let (sender, events) = std::sync::mpsc::channel();
    let persistence = std::sync::Arc::new(FilePersistence::new(&cache).unwrap());
    let sender = std::sync::Mutex::new(sender);
    let listen = move |event: &Event| sender.lock().unwrap().send(event.clone()).unwrap();
    let cache = TokenCache::with_options(persistence, WaitOptions::default(), OnDamage::default(), listen);
    let (_, took) = timed(|| cache.begin_write().unwrap());
    assert_within("forgotten", took, 1.9, 4.0);
    let uptime = fs::read_to_string("/proc/uptime").unwrap();
    let uptime: f64 = uptime.split('.').next().unwrap().parse().unwrap();
    let warned =
        events.try_iter().any(|event| matches!(event, Event::Warning(text) if text.contains("10 min")));
    assert_eq!(warned, uptime > 605.0, "the machine runs for {uptime} s");
}

#[test]
fn a_dead_siblings_lock_is_recognised_by_several_short_waits_too() {
    let place = Place::new();
    fs::write(place.lockfile(), dead_pid().to_string()).unwrap();
    let lock = CacheLock::new(place.cache()).unwrap();
    let wait = WaitOptions::within(Duration::from_millis(500));
    // A reader waits at most a second, so it would never get past a dead lock if each wait started again.
    let attempt = || lock.acquire(&wait).map_err(|error| assert_eq!(error.kind(), ErrorKind::Busy)).ok();
    let (guard, took) = timed(|| (0..60).find_map(|_| attempt()).expect("a lock that is taken over"));
    assert_within("in pieces", took, 1.9, 4.0);
    drop(guard);
}

#[test]
fn siblings_that_only_check_the_files_existence_stay_out_while_tokenkeep_holds_the_lock() {
    let place = Place::new();
    let lock = CacheLock::new(place.cache()).unwrap();
    let create = || File::options().write(true).create_new(true).open(place.lockfile());
    for leftover in [None, Some(dead_pid())] {
        if let Some(pid) = leftover {
            fs::write(place.lockfile(), pid.to_string()).unwrap();
        }
        let guard = lock.acquire(&WaitOptions::within(PATIENT)).unwrap();
        assert!(create().is_err(), "O_EXCL");
        assert!(File::open(place.lockfile()).unwrap().try_lock().is_err(), "flock");
        let text = fs::read_to_string(place.lockfile()).unwrap();
        let pid: String = text.chars().take_while(char::is_ascii_digit).collect();
        assert_eq!(pid, std::process::id().to_string(), "the pid stands first");
        drop(guard);
        drop(create().unwrap());
        fs::remove_file(place.lockfile()).unwrap();
    }
}

const WHOLE: &str = r#"{"Account":{}}"#;

/// Returns the result of `look` while a sibling whose lock was removed has truncated or half filled the file. A
/// sibling that takes longer than tokenkeep waits, because the machine is busy, proves nothing.
fn while_rewritten_in_place<T>(first: &str, look: impl Fn(&TokenCache) -> T) -> T {
    for _ in 0..100 {
        let place = Place::new();
        let cache = place.open();
        fs::write(place.cache(), first).unwrap();
        let began = Instant::now();
        let sibling = thread::spawn({
            let path = place.cache();
            move || {
                thread::sleep(Duration::from_millis(25));
                fs::write(path, WHOLE).unwrap();
                began.elapsed()
            }
        });
        let found = look(&cache);
        if sibling.join().unwrap() < Duration::from_millis(150) {
            return found;
        }
    }
    panic!("this machine is too busy for anything");
}

#[test]
fn a_read_waits_for_content_that_a_sibling_without_its_lock_is_writing() {
    for first in ["", "{\"Account\":{\"cut"] {
        assert_eq!(while_rewritten_in_place(first, read).as_deref(), Some(WHOLE), "{first:?}, read");
        let built_on = while_rewritten_in_place(first, |cache| {
            let access = cache.begin_write().unwrap();
            String::from_utf8(access.content().unwrap().to_vec()).unwrap()
        });
        assert_eq!(built_on, WHOLE, "{first:?}, to be written");
    }
}

#[test]
fn a_read_waits_for_a_sibling_stopped_between_truncating_and_filling_while_proc_shows_it() {
    for (first, rest) in [WHOLE.split_at(0), WHOLE.split_at(8)] {
        let place = Place::new();
        fs::write(place.cache(), WHOLE).unwrap();
        let mut sibling = File::create(place.cache()).unwrap();
        sibling.write_all(first.as_bytes()).unwrap();
        // Longer than incomplete content without a visible writer is waited for.
        thread::sleep(Duration::from_millis(300));
        let cache = place.open();
        let found = thread::scope(|scope| {
            let reader = scope.spawn(|| read(&cache));
            thread::sleep(Duration::from_millis(100));
            sibling.write_all(rest.as_bytes()).unwrap();
            drop(sibling);
            reader.join().unwrap()
        });
        assert_eq!(found.as_deref(), Some(WHOLE), "{first:?}");
    }
}

#[test]
fn an_empty_file_that_a_sibling_keeps_open_is_busy_at_first_and_then_empty() {
    let place = Place::new();
    let sibling = File::create(place.cache()).unwrap();
    let cache = place.open();
    for outcome in [cache.read().map(drop), cache.begin_write().map(drop)] {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    }
    make_old(&place.cache(), Duration::from_secs(11));
    assert_eq!(read(&cache).as_deref(), Some(""));
    drop(sibling);
}

#[test]
fn a_file_during_its_truncation_is_never_read_as_empty_although_its_time_is_old() {
    for place in [Place::new(), Place::in_memory()] {
        // More than a page, so that the truncation has blocks to free.
        let whole = format!(r#"{{"Account":{{}},"filler":"{}"}}"#, "x".repeat(8 << 10));
        let write = || {
            fs::write(place.cache(), &whole).unwrap();
            make_old(&place.cache(), Duration::from_secs(60));
        };
        write();
        let began = Instant::now();
        beside(write, || {
            while began.elapsed() < Duration::from_secs(scale()) {
                // A reader without cached state. Beside a writer without pauses it may be busy.
                match place.open().read() {
                    Ok(content) => assert!(content.is_some_and(|found| found.expose() == whole.as_bytes())),
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Busy),
                }
            }
        });
    }
}

#[test]
fn content_that_is_never_whole_and_never_stable_is_busy_and_never_empty() {
    let place = Place::new();
    let cache = place.open();
    let scribble = || {
        fs::write(place.cache(), "").unwrap();
        thread::sleep(Duration::from_millis(1));
    };
    scribble();
    // A writer without processor time for a while leaves the file unchanged for a while.
    let error = beside(scribble, || (0..20).find_map(|_| cache.read().err()).unwrap());
    assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
    assert_eq!(error.path(), Some(&*place.cache()));
}

#[test]
fn an_old_empty_file_is_an_empty_cache_at_once() {
    // Also a file that was just prepared, because no sibling is going to fill it.
    let prepare = |place: &Place| FilePersistence::new(place.cache()).unwrap().prepare().unwrap();
    let leave = |place: &Place| {
        fs::write(place.cache(), "").unwrap();
        make_old(&place.cache(), Duration::from_secs(1));
    };
    for make in [&prepare as &dyn Fn(&Place), &leave] {
        let shortest = (0..20).map(|_| {
            let place = Place::new();
            make(&place);
            let (content, took) = timed(|| read(&place.open()));
            assert_eq!(content.as_deref(), Some(""));
            took.naps
        });
        let shortest = shortest.min().unwrap();
        assert!(shortest < Duration::from_millis(100), "{shortest:?}");
    }
}
