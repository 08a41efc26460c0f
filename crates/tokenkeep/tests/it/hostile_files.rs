//! Content of every kind, paths of every kind, and file systems that refuse, are full, or are mounted on the cache
//! file.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use tokenkeep::{CacheLock, ErrorKind, Persistence, TokenCache, event::Event, storage::FilePersistence};

use crate::clock::timed;
use crate::support::sibling::dead_pid;
use crate::support::worker::{self, Worker};
use crate::support::{Place, names_in, open, read, strace, user, write};

#[test]
fn content_of_every_kind_is_read_as_it_was_written() {
    let contents: [&[u8]; 9] = [
        b"",
        b"x",
        b"\0",
        b"nul\0in the middle",
        b"\xff\xfe invalid UTF-8 \xc3\x28",
        b"\xef\xbb\xbf{\"with\":\"a mark\"}",
        b"{\"cut",
        b"[1,2,3]",
        "\u{1f511} \r\n".as_bytes(),
    ];
    let place = Place::new();
    for content in contents {
        place.open().begin_write().unwrap().commit(content).unwrap();
        let back = place.open().read().unwrap().unwrap();
        assert_eq!(back.expose(), content);
        assert_eq!(fs::read(place.cache()).unwrap(), content);
    }
}

#[test]
fn sixty_four_megabytes_are_read_as_they_were_written() {
    let place = Place::in_memory();
    let content: Vec<u8> =
        (0..64_u32 << 20).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    place.open().begin_write().unwrap().commit(content.as_slice()).unwrap();
    assert!(place.open().read().unwrap().unwrap().expose() == content);
}

#[test]
fn paths_of_every_kind_work() {
    let place = Place::new();
    let names: [&[u8]; 7] = [
        b"with spaces",
        b"new\nline",
        "S\u{fc}\u{df}-\u{65e5}\u{672c}".as_bytes(),
        b"not UTF-8 \xff\xfe",
        b"-rf",
        b"'quotes\" and $(echo)",
        &[b'n'; 246],
    ];
    for name in names {
        let directory = place.directory().join(OsString::from_vec(name.to_vec()));
        let path = directory.join(OsString::from_vec(name.to_vec()));
        write(&open(&path), "content");
        assert_eq!(read(&open(&path)).as_deref(), Some("content"));
        assert_eq!(names_in(&directory).len(), 2, "{:?}", names_in(&directory));
    }
}

#[test]
fn paths_that_cannot_work_are_refused_before_anything_is_created() {
    let place = Place::new();
    let long = "n".repeat(247);
    let refused = |path: PathBuf| {
        let error = FilePersistence::new(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{path:?}: {error}");
        assert_eq!(CacheLock::new(&path).unwrap_err().kind(), ErrorKind::InvalidInput, "{path:?}");
    };
    refused(PathBuf::new());
    refused(place.directory().join(&long));
    refused(place.directory().join("n".repeat(255)));
    refused(place.directory().join("d".repeat(256)).join("cache"));
    refused(PathBuf::from(OsString::from_vec(b"/tmp/a\0b".to_vec())));
    refused(place.directory().join("directory/"));
    refused(place.directory().join("."));
    refused(place.directory().join(".."));
    refused(PathBuf::from("/"));
    // The whole path is too long; only the system knows the limit.
    let deep = (0..30).fold(place.directory().to_owned(), |path, _| path.join("d".repeat(200)));
    let error = open(&deep.join("cache")).begin_write().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert_eq!(place.names(), [""; 0]);
}

#[test]
fn anything_but_a_regular_file_at_the_cache_path_is_refused() {
    let place = Place::new();
    fs::create_dir(place.cache()).unwrap();
    let error = place.open().begin_write().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnsafeFile, "{error}");
    assert_eq!(place.open().read().unwrap_err().kind(), ErrorKind::UnsafeFile);
    // A file where a directory is needed.
    fs::write(place.directory().join("file"), "").unwrap();
    let error = open(&place.directory().join("file/cache")).begin_write().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnsafeFile, "{error}");
}

#[test]
fn pipes_devices_and_sockets_at_the_cache_path_are_refused_at_once_and_unchanged() {
    let node = |path: &Path, kind: &[&str]| {
        assert!(user::as_root("mknod").arg(path).args(kind).status().unwrap().success());
    };
    type Plant<'a> = &'a dyn Fn(&Path);
    let plant: [(&str, Plant<'_>); 3] = [
        ("a FIFO", &|path| node(path, &["p"])),
        // The device /dev/null. It must not be opened, because the open of a device can have any effect.
        ("a device", &|path| node(path, &["c", "1", "3"])),
        ("a socket", &|path| drop(std::os::unix::net::UnixListener::bind(path).unwrap())),
    ];
    for (what, plant) in plant {
        let place = Place::new();
        plant(&place.cache());
        let before = fs::symlink_metadata(place.cache()).unwrap();
        // An open of a FIFO for reading would wait for a writer without limit.
        let (outcomes, took) = timed(|| {
            let persistence = FilePersistence::new(place.cache()).unwrap();
            [
                place.open().read().map(|_| ()),
                place.open().begin_write().map(|_| ()),
                persistence.prepare(),
                persistence.load(None).map(|_| ()),
            ]
        });
        assert!(took.naps < Duration::from_secs(5), "{what}: {took:?}");
        for outcome in outcomes {
            let error = outcome.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnsafeFile, "{what}: {error}");
            assert!(error.to_string().contains(what) && error.path() == Some(&*place.cache()), "{error}");
        }
        let after = fs::symlink_metadata(place.cache()).unwrap();
        assert_eq!((before.ino(), before.mode()), (after.ino(), after.mode()), "{what}");
    }
}

#[test]
fn a_file_of_another_user_is_refused_by_all_but_root() {
    let place = Place::new();
    fs::write(place.cache(), "planted").unwrap();
    fs::set_permissions(place.cache(), fs::Permissions::from_mode(0o666)).unwrap();
    // The directory belongs to the user nobody; the file in it is still ours.
    user::give_to_nobody(place.directory());
    let program = user::PublicCopy::of(worker::program());
    let mut command = Command::new(program.path());
    command.arg("serve").arg(place.cache());
    let mut worker = Worker::start(user::as_nobody(&command));
    assert_eq!(worker.line(), "ready");
    for verb in ["read", "write over it", "prepare"] {
        let answer = worker.ask(verb);
        assert!(
            answer.starts_with("err unsafe_file") && answer.contains("belongs to user"),
            "{verb}: {answer}"
        );
    }
    assert_eq!(fs::read_to_string(place.cache()).unwrap(), "planted");
}

#[test]
fn a_symbolic_link_is_followed_only_where_no_other_user_can_change_it() {
    let place = Place::new();
    let elsewhere = Place::new();
    write(&elsewhere.open(), "content");
    symlink(elsewhere.cache(), place.cache()).unwrap();
    assert_eq!(read(&place.open()).as_deref(), Some("content"));
    write(&place.open(), "through the link");
    assert!(fs::symlink_metadata(place.cache()).unwrap().is_symlink(), "the link stays");
    assert_eq!(fs::read_to_string(elsewhere.cache()).unwrap(), "through the link");
    assert_eq!(elsewhere.names(), ["cache.json", "cache.json.tk-lock"]);

    let refused = |why: &str| {
        let error = place.open().begin_write().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnsafeFile, "{why}: {error}");
        assert_eq!(place.open().read().unwrap_err().kind(), ErrorKind::UnsafeFile, "{why}");
    };
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    mode(&elsewhere.cache(), 0o622);
    refused("the target is writable by others");
    mode(&elsewhere.cache(), 0o600);
    mode(elsewhere.directory(), 0o777);
    refused("the target's directory is writable by others");
    mode(elsewhere.directory(), 0o700);
    mode(place.directory(), 0o1777);
    refused("the link's directory is writable by others");
    mode(place.directory(), 0o700);
    user::give_to_nobody(&elsewhere.cache());
    refused("the target is another user's");
    fs::remove_file(place.cache()).unwrap();
    symlink("cache.json", place.cache()).unwrap();
    refused("a loop");
    // A dangling link leads to a new file.
    fs::remove_file(place.cache()).unwrap();
    symlink("made", place.cache()).unwrap();
    write(&place.open(), "new");
    assert_eq!(fs::read_to_string(place.directory().join("made")).unwrap(), "new");
}

#[test]
fn in_a_read_only_directory_an_unprivileged_user_reads_and_a_write_is_a_clear_error() {
    let place = Place::new();
    write(&place.open(), "content");
    fs::remove_file(place.private()).unwrap();
    user::give_to_nobody(&place.cache());
    fs::set_permissions(place.directory(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = user::PublicCopy::of(worker::program());
    let mut command = Command::new(program.path());
    command.arg("serve").arg(place.cache());
    let mut worker = Worker::start(user::as_nobody(&command));
    assert_eq!(worker.line(), "ready");
    assert_eq!(worker.does("read"), "content");
    let answer = worker.ask("write new");
    assert!(answer.starts_with("err permission_denied"), "{answer}");
    assert_eq!(place.names(), ["cache.json"]);
}

#[test]
fn a_directory_that_others_can_write_causes_a_warning() {
    let place = Place::new();
    fs::set_permissions(place.directory(), fs::Permissions::from_mode(0o777)).unwrap();
    let (sender, events) = std::sync::mpsc::channel();
    let sender = std::sync::Mutex::new(sender);
    let listen = move |event: &Event| sender.lock().unwrap().send(event.clone()).unwrap();
    FilePersistence::new(place.cache()).unwrap().on_event(listen).prepare().unwrap();
    let warned = |event: &Event| matches!(event, Event::Warning(text) if text.contains("chmod go-w"));
    assert!(events.try_iter().any(|event| warned(&event)));
}

/// Starts a worker in its own mount namespace, with these `mounts`.
fn mounted(mounts: &str, place: &Place, cache: &Path) -> Worker {
    let mut command = user::as_root("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-ec"]);
    command.arg(format!("{mounts}; exec \"$1\" serve \"$2\"")).arg("sh");
    command.arg(worker::program()).arg(cache).current_dir(place.directory());
    let worker = Worker::start(command);
    assert_eq!(worker.line(), "ready");
    worker
}

#[test]
fn a_full_disk_leaves_the_old_content_whole_and_a_sign_out_possible() {
    let place = Place::new();
    let full = place.directory().join("full");
    fs::create_dir(&full).unwrap();
    let mut worker =
        mounted("mount -t tmpfs -o size=256k,mode=700 none full", &place, &full.join("cache.json"));
    worker.does("write old");
    let answer = worker.ask("fill 400000");
    assert!(answer.starts_with("err storage_full") && answer.contains("Free some space"), "{answer}");
    assert_eq!(worker.does("read"), "old");
    assert_eq!(worker.does("delete"), "true");
    worker.does("write new");
    assert_eq!(worker.does("read"), "new");
}

#[test]
fn a_file_that_is_a_mount_point_is_written_in_place_with_a_warning() {
    let place = Place::new();
    fs::write(place.directory().join("real"), "old content, the longer one").unwrap();
    fs::write(place.cache(), "").unwrap();
    let mut worker = mounted("mount --bind real cache.json", &place, &place.cache());
    assert_eq!(worker.does("read"), "old content, the longer one");
    worker.does("write new");
    assert_eq!(worker.does("read"), "new");
    assert!(worker.does("info").contains("crash_safe: false"));
    let events = worker.does("events");
    assert!(events.contains("written in place"), "{events}");
    assert_eq!(fs::read_to_string(place.directory().join("real")).unwrap(), "new");
    assert_eq!(place.names(), ["cache.json", "cache.json.tk-lock", "real"]);
    // It can be cleared too, and signed in to again.
    assert_eq!(worker.does("delete"), "true");
    assert_eq!(fs::read_to_string(place.directory().join("real")).unwrap(), "");
    assert_eq!(worker.does("delete"), "false");
    assert_eq!(worker.does("read"), "empty");
    worker.does("write newer");
    assert_eq!(worker.does("read"), "newer");
}

/// FAT, exFAT and many shares refuse to set a mode, also to the owner.
#[test]
fn on_a_file_system_without_modes_the_cache_works_and_says_that_others_may_read_it() {
    let place = Place::new();
    let path = place.directory().join("new/folder/cache.json");
    // fchmodat and fchmod are refused, and new files get the mode of the mount.
    let refuse = "inject=chmod,fchmod,fchmodat:error=EPERM";
    let command = worker::command("serve", &path);
    let mut umask = Command::new("sh");
    umask.args(["-c", "umask 022; exec \"$@\"", "sh"]).arg(command.get_program()).args(command.get_args());
    let mut worker = Worker::start(strace::wrap(&umask, &["-o/dev/null", "-e", refuse]));
    assert_eq!(worker.line(), "ready");
    worker.does("prepare");
    worker.does("verify");
    worker.does("write one");
    assert_eq!(worker.does("read"), "one");
    // The process itself creates files 0600; such a file system shows every file as 0755.
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let mut other = Worker::start(strace::wrap(&umask, &["-o/dev/null", "-e", refuse]));
    assert_eq!(other.line(), "ready");
    other.does("prepare");
    let (info, events) = (other.does("info"), other.does("events"));
    assert!(info.contains("owner_only: false"), "{info}");
    assert_eq!(events.matches("Other users may read").count(), 1, "{events}");
    other.does("write two");
    assert_eq!(worker.does("read"), "two");
}

#[test]
fn an_empty_or_torn_cache_in_a_read_only_directory_is_read_without_a_lock() {
    for content in ["", "{}", "{\"Account\":{\"half", "{\"Account\":{}}"] {
        let place = Place::new();
        let folder = place.directory().join("folder");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("cache.json"), content).unwrap();
        let read_only = "mount --bind folder folder; mount -o remount,ro,bind folder";
        let mut worker = mounted(read_only, &place, &folder.join("cache.json"));
        let seen = if content.is_empty() { "empty".to_owned() } else { content.escape_default().to_string() };
        assert_eq!(worker.does("read"), seen);
        let refused = worker.ask("write new");
        assert!(
            refused.starts_with("err permission_denied") && refused.contains("Choose a cache path"),
            "{refused}"
        );
    }
}

#[test]
fn the_limit_on_file_sizes_is_an_error_and_does_not_kill_the_process() {
    let place = Place::new();
    write(&place.open(), "old");
    let mut command = Command::new("bash");
    command.args(["-c", "ulimit -f 8; exec \"$@\"", "bash"]).arg(worker::program()).arg("serve");
    let mut worker = Worker::start({
        command.arg(place.cache());
        command
    });
    assert_eq!(worker.line(), "ready");
    let answer = worker.ask("fill 20000");
    assert!(answer.starts_with("err storage_full") && answer.contains("ulimit -f"), "{answer}");
    assert_eq!(worker.does("read"), "old");
    worker.does("write new");
}

#[test]
fn a_file_that_a_dead_sibling_left_half_written_is_never_read_as_empty() {
    let place = Place::new();
    fs::write(place.cache(), "{\"Account\":{\"half").unwrap();
    fs::write(place.lockfile(), dead_pid().to_string()).unwrap();
    let cache = place.open();
    // Busy while the sibling may still be writing; after that the content as it is, for the client to judge.
    for _ in 0..10 {
        match cache.read() {
            Err(error) => assert_eq!(error.kind(), ErrorKind::Busy, "{error}"),
            Ok(content) => {
                assert_eq!(content.unwrap().expose(), b"{\"Account\":{\"half");
                return;
            }
        }
    }
    panic!("the dead sibling's lock was never taken over");
}

#[test]
fn a_probe_leaves_nothing_and_touches_nothing() {
    let place = Place::new();
    write(&place.open(), "content");
    let persistence = Arc::new(FilePersistence::new(place.cache()).unwrap());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let persistence = Arc::clone(&persistence);
            scope.spawn(move || (0..20).for_each(|_| persistence.verify().unwrap()));
        }
    });
    assert_eq!(place.names(), ["cache.json", "cache.json.tk-lock"]);
    assert_eq!(read(&TokenCache::new(persistence)).as_deref(), Some("content"));
}

#[test]
fn a_file_of_any_size_is_a_typed_error_and_costs_no_memory() {
    for size in [(256 << 20) + 1, 5 << 30, 1 << 40, i64::MAX as u64 - 4096] {
        let place = Place::new();
        let file = fs::File::create(place.cache()).unwrap();
        // Sparse: it has no blocks.
        if file.set_len(size).is_err() {
            continue;
        }
        fs::set_permissions(place.cache(), fs::Permissions::from_mode(0o600)).unwrap();
        let mut worker = Worker::serve(&place.cache());
        for verb in ["read", "write new", "begin"] {
            let answer = worker.ask(verb);
            assert!(
                answer.starts_with("err unsafe_file") && answer.contains("Move the file away"),
                "{answer}"
            );
        }
        let status = fs::read_to_string(format!("/proc/{}/status", worker.pid())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(peak < 100_000, "{peak} kB");
        // As the error says.
        fs::rename(place.cache(), place.directory().join("away")).unwrap();
        worker.does("write new");
        assert_eq!(worker.does("read"), "new");
    }
}
