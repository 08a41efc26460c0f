//! The two lock files: after crashes, changes by others, permissions, and other file types at their paths.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokenkeep::{CacheLock, ErrorKind};

use crate::clock::{Took, timed};
use crate::lock::{AT_ONCE, lock, within};
use crate::support::worker::Worker;
use crate::support::{Place, beside, scale, user, worker};

#[test]
fn a_killed_holder_delays_the_next_one_by_less_than_a_second() {
    let place = Place::new();
    let mut longest = Took::default();
    for round in 0..20 * scale() {
        let mut holder = Worker::serve(&place.cache());
        holder.does("acquire");
        let waiting = round % 2 == 0;
        let lock = lock(&place);
        let (_, took) = if waiting {
            // The holder dies while these wait.
            thread::scope(|scope| {
                let waiter = scope.spawn(|| lock.acquire(&within(20_000)).unwrap());
                thread::sleep(Duration::from_millis(5));
                holder.kill();
                timed(|| waiter.join().unwrap())
            })
        } else {
            holder.kill();
            timed(|| lock.acquire(&within(20_000)).unwrap())
        };
        longest = longest.max(took);
    }
    assert!(longest.naps < Duration::from_secs(1), "{longest:?}");
    assert_eq!(place.names(), ["cache.json.tk-lock"]);
}

#[test]
fn lock_files_after_any_crash_are_taken_over_at_once() {
    let ours = |place: &Place| {
        // A real record of a process that died with the lock.
        let mut holder = Worker::serve(&place.cache());
        holder.does("acquire");
        holder.kill();
    };
    let private_only = |place: &Place| {
        ours(place);
        fs::remove_file(place.lockfile()).unwrap();
    };
    let adopted = |place: &Place| {
        ours(place);
        let record = fs::read(place.lockfile()).unwrap();
        fs::remove_file(place.lockfile()).unwrap();
        fs::write(place.lockfile(), record).unwrap();
    };
    let link_to_a_removed_private_file = |place: &Place| {
        ours(place);
        fs::remove_file(place.private()).unwrap();
    };
    let cut_short = |place: &Place| {
        ours(place);
        fs::write(place.private(), "").unwrap();
    };
    let nothing = |_: &Place| {};
    type Leave<'a> = &'a dyn Fn(&Place);
    let cases: [(&str, Leave<'_>); 6] = [
        ("nothing", &nothing),
        ("the private file alone", &private_only),
        ("the lock file, a link to the private file", &ours),
        ("the lock file, adopted", &adopted),
        ("the lock file, whose private file was removed by hand", &link_to_a_removed_private_file),
        ("the lock file, empty but a link to the private file", &cut_short),
    ];
    for (name, leave) in cases {
        let place = Place::new();
        leave(&place);
        let (guard, took) = timed(|| lock(&place).acquire(&within(20_000)));
        drop(guard.unwrap_or_else(|error| panic!("{name}: {error}")));
        assert!(took.naps < AT_ONCE, "{name}: {took:?}");
        assert_eq!(place.names(), ["cache.json.tk-lock"], "{name}");
    }
}

#[test]
fn the_lock_file_is_locked_from_the_instant_it_appears() {
    let place = Place::in_memory();
    let seen = AtomicU32::new(0);
    let probe = || {
        let Ok(file) = File::options().read(true).write(true).open(place.lockfile()) else { return };
        seen.fetch_add(1, Ordering::Relaxed);
        if file.try_lock().is_ok() {
            // Allowed only on a file that is no longer the lock file. While we have its flock, no process can make it
            // the lock file again.
            let there = fs::symlink_metadata(place.lockfile()).map(|status| status.ino()).ok();
            assert_ne!(there, Some(file.metadata().unwrap().ino()), "the lock file stood there unlocked");
            file.unlock().unwrap();
        }
    };
    beside(probe, || {
        let lock = lock(&place);
        for _ in 0..3000 * scale() {
            drop(lock.acquire(&within(10_000)).unwrap());
        }
    });
    assert!(seen.into_inner() > 100, "the prober never saw the lock file");
}

#[test]
fn a_lock_file_that_another_process_replaced_is_not_removed() {
    let place = Place::new();
    let held = lock(&place).acquire(&within(0)).unwrap();
    fs::remove_file(place.lockfile()).unwrap();
    fs::write(place.lockfile(), "4711 somebody else").unwrap();
    drop(held);
    assert_eq!(fs::read_to_string(place.lockfile()).unwrap(), "4711 somebody else");
}

#[test]
fn tokenkeep_processes_exclude_each_other_while_a_sibling_keeps_removing_the_lock_file() {
    let place = Place::in_memory();
    let stray_unlink = || drop(fs::remove_file(place.lockfile()));
    let ends = beside(stray_unlink, || {
        let rounds = (400 * scale()).to_string();
        let workers = ["a", "b", "c"].map(|name| {
            let mut command = worker::command("count", &place.cache());
            command.args([name, &rounds, "cached"]);
            Worker::start(command)
        });
        workers.map(|mut worker| worker.finish())
    });
    assert!(ends.iter().all(|end| end.success()), "{ends:?}");
}

#[test]
fn removing_the_private_file_by_hand_while_it_is_held_or_waited_for_breaks_nothing() {
    let place = Place::new();
    let mut holder = Worker::serve(&place.cache());
    holder.does("acquire");
    fs::remove_file(place.private()).unwrap();
    // A new process creates a new private file and finds the holder at the common lock file.
    assert_eq!(lock(&place).acquire(&within(100)).unwrap_err().kind(), ErrorKind::Busy);
    holder.does("release");
    drop(lock(&place).acquire(&within(1000)).unwrap());

    // Removed between a waiter's open and its flock.
    holder.does("acquire");
    let (sender, receiver) = mpsc::channel();
    let lock = lock(&place);
    thread::scope(|scope| {
        scope.spawn(|| {
            let guard = lock.acquire(&within(20_000)).unwrap();
            sender.send(()).unwrap();
            drop(guard);
        });
        thread::sleep(Duration::from_millis(30));
        fs::remove_file(place.private()).unwrap();
        assert!(receiver.recv_timeout(Duration::from_millis(100)).is_err(), "entered beside the holder");
        holder.does("release");
        let (entered, took) = timed(|| receiver.recv_timeout(Duration::from_secs(20)));
        assert!(entered.is_ok() && took.naps < AT_ONCE, "{took:?}");
    });
}

#[test]
fn repeated_removals_of_the_private_file_cause_no_error() {
    let place = Place::in_memory();
    let remove = || {
        drop(fs::remove_file(place.private()));
        thread::sleep(Duration::from_micros(100));
    };
    beside(remove, || {
        let lock = lock(&place);
        for _ in 0..500 * scale() {
            drop(lock.acquire(&within(10_000)).unwrap());
        }
    });
}

#[test]
fn a_directory_removed_during_a_wait_for_its_lock_is_created_again() {
    let place = Place::new();
    let path = place.directory().join("inner").join("cache.json");
    let mut holder = Worker::serve(&path);
    holder.does("acquire");
    let lock = CacheLock::new(&path).unwrap();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| lock.acquire(&within(10_000)));
        thread::sleep(Duration::from_millis(30));
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
        holder.does("release");
        drop(waiter.join().unwrap().unwrap());
    });
}

#[test]
fn anything_but_a_regular_file_at_the_path_of_a_lock_file_is_refused() {
    type Plant = fn(&Path);
    let plant: [(&str, Plant); 3] = [
        ("a symbolic link", |path| symlink("elsewhere", path).unwrap()),
        ("a FIFO", |path| {
            rustix::fs::mknodat(
                rustix::fs::CWD,
                path,
                rustix::fs::FileType::Fifo,
                rustix::fs::Mode::from_raw_mode(0o600),
                0,
            )
            .unwrap();
        }),
        ("a directory", |path| fs::create_dir(path).unwrap()),
    ];
    for (what, plant) in plant {
        for lockfile in [Place::private, Place::lockfile] {
            let place = Place::new();
            let path = lockfile(&place);
            plant(&path);
            let (error, took) = timed(|| lock(&place).acquire(&within(20_000)).unwrap_err());
            assert_eq!(error.kind(), ErrorKind::UnsafeFile, "{error}");
            assert!(error.to_string().contains(what), "{error}");
            assert_eq!(error.path(), Some(&*path));
            assert!(took.naps < AT_ONCE, "{what}: {took:?}");
            assert!(fs::symlink_metadata(&path).is_ok(), "{what} was removed");
            assert!(!place.directory().join("elsewhere").exists(), "the link was followed");
        }
    }
}

#[test]
fn a_lock_file_of_another_user_is_refused() {
    for lockfile in [Place::private, Place::lockfile] {
        for mode in [0o600, 0o666] {
            let place = Place::new();
            let path = lockfile(&place);
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            // The file itself stays ours, in a directory of the user nobody.
            user::give_to_nobody(place.directory());
            let program = user::PublicCopy::of(worker::program());
            let mut command = Command::new(program.path());
            command.arg("serve").arg(place.cache());
            let mut worker = Worker::start(user::as_nobody(&command));
            assert_eq!(worker.line(), "ready");
            let answer = worker.ask("acquire");
            assert!(answer.starts_with("err unsafe_file"), "{mode:o}: {answer}");
            assert!(answer.contains("belongs to user"), "{mode:o}: {answer}");
        }
    }
}

#[test]
fn files_and_directories_are_private_from_creation_with_any_umask() {
    for umask in ["000", "777", "027"] {
        let place = Place::new();
        user::give_to_nobody(place.directory());
        let program = user::PublicCopy::of(worker::program());
        let cache = place.directory().join("new").join("deep").join("cache.json");
        let mut command = Command::new("sh");
        command.args(["-c", "umask $1; shift; exec \"$@\"", "sh", umask]);
        command.arg(program.path()).arg("serve").arg(&cache);
        let mut worker = Worker::start(user::as_nobody(&command));
        assert_eq!(worker.line(), "ready");
        worker.does("prepare");
        worker.does("begin");
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
        let deep = cache.parent().unwrap();
        assert_eq!(mode(deep), 0o700);
        assert_eq!(mode(deep.parent().unwrap()), 0o700);
        for name in ["cache.json", "cache.json.tk-lock", "cache.json.lockfile"] {
            assert_eq!(mode(&deep.join(name)), 0o600, "{name} under umask {umask}");
        }
        worker.does("commit text");
        assert_eq!(mode(&cache), 0o600, "rewritten under umask {umask}");
    }
}

/// A process of another user that holds the flock of a file through a descriptor that can only read.
fn flocked_by_nobody(path: &Path) -> std::process::Child {
    let mut command = Command::new("flock");
    command.arg("--exclusive").arg(path).args(["sh", "-c", "echo held; cat"]);
    let mut command = user::as_nobody(&command);
    command.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut line).unwrap();
    assert_eq!(line, "held\n");
    child
}

#[test]
fn another_user_who_holds_the_flock_of_a_dead_siblings_file_blocks_no_process() {
    let place = Place::new();
    fs::set_permissions(place.directory(), fs::Permissions::from_mode(0o755)).unwrap();
    for content in [crate::support::sibling::dead_pid().to_string(), String::new()] {
        fs::write(place.lockfile(), content).unwrap();
        fs::set_permissions(place.lockfile(), fs::Permissions::from_mode(0o644)).unwrap();
        let mut stranger = flocked_by_nobody(&place.lockfile());
        let state = lock(&place).state().unwrap();
        assert!(
            !matches!(&state, tokenkeep::inspect::LockState::Held(holder) if holder.certain),
            "{state:?}"
        );
        let (guard, took) = timed(|| lock(&place).acquire(&within(20_000)));
        drop(guard.unwrap());
        assert!(took.naps < Duration::from_secs(14), "{took:?}");
        drop(stranger.stdin.take());
        stranger.wait().unwrap();
    }
    assert_eq!(place.names(), ["cache.json.tk-lock"]);
}

#[test]
fn a_siblings_lock_file_is_closed_to_others_on_sight() {
    let place = Place::new();
    fs::write(place.lockfile(), std::process::id().to_string()).unwrap();
    fs::set_permissions(place.lockfile(), fs::Permissions::from_mode(0o666)).unwrap();
    assert_eq!(lock(&place).acquire(&within(100)).unwrap_err().kind(), ErrorKind::Busy);
    assert_eq!(fs::metadata(place.lockfile()).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn the_holder_that_is_shown_was_looked_up() {
    let place = Place::new();
    fs::write(place.lockfile(), crate::support::sibling::dead_pid().to_string()).unwrap();
    let held = File::open(place.lockfile()).unwrap();
    held.lock().unwrap();
    let me = std::process::id();
    let state = lock(&place).state().unwrap();
    assert!(
        matches!(&state, tokenkeep::inspect::LockState::Held(holder) if holder.pid == Some(me) && holder.certain),
        "{state:?}"
    );
    let error = lock(&place).acquire(&within(100)).unwrap_err();
    assert!(error.to_string().contains(&format!("this process itself ({me})")), "{error}");
}
