//! Directories that another user, or a program, exchanges while this one works in them.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use tokenkeep::{ErrorKind, Persistence, storage::FilePersistence};

use crate::support::worker::{self, Worker};
use crate::support::{Place, beside, names_in, open, scale, user, write};

fn exchange(one: &Path, other: &Path) {
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
}

#[test]
fn root_is_refused_in_a_directory_of_another_user_and_creates_nothing_there() {
    for below in ["cache.json", "my-app/cache.json", "my-app/deep/cache.json"] {
        let home = Place::new();
        user::give_to_nobody(home.directory());
        let cache = home.directory().join(below);
        let mut command = user::as_root(worker::program());
        command.arg("serve").arg(&cache);
        let mut root = Worker::start(command);
        assert_eq!(root.line(), "ready");
        for verb in ["write content", "read", "prepare", "verify", "acquire", "delete"] {
            let answer = root.ask(verb);
            assert!(
                answer.starts_with("err unsafe_file") && answer.contains("belongs to user 65534"),
                "{below}, {verb}: {answer}"
            );
        }
        assert_eq!(home.names(), [""; 0], "{below}");
    }
}

#[test]
fn a_directory_that_root_made_in_the_home_of_a_user_is_no_better_for_root() {
    // The user can rename it, and put a link in its place.
    let home = Place::new();
    let app = home.directory().join("my-app");
    fs::create_dir(&app).unwrap();
    fs::set_permissions(&app, fs::Permissions::from_mode(0o700)).unwrap();
    user::give_to_nobody(home.directory());
    let mut command = user::as_root(worker::program());
    command.arg("serve").arg(app.join("cache.json"));
    let mut root = Worker::start(command);
    assert_eq!(root.line(), "ready");
    let answer = root.ask("write content");
    assert!(answer.starts_with("err unsafe_file"), "{answer}");
}

#[test]
fn the_remedy_for_root_in_a_directory_of_another_user_works_as_it_is_written() {
    let home = Place::new();
    user::give_to_nobody(home.directory());
    let cache = home.directory().join("my-app").join("cache.json");
    let mut command = user::as_root(worker::program());
    command.arg("serve").arg(&cache);
    let mut root = Worker::start(command);
    assert_eq!(root.line(), "ready");
    let answer = root.ask("write content");
    let (_, remedy) = answer.split_once("as that user (").unwrap_or_else(|| panic!("no remedy: {answer}"));
    let (words, _) = remedy.split_once(" PROGRAM").unwrap();
    let program = user::PublicCopy::of(worker::program());
    let mut words = words.split(' ');
    let mut command = user::as_root(words.next().unwrap());
    command.args(words).arg(program.path()).arg("serve").arg(&cache);
    let mut owner = Worker::start(command);
    assert_eq!(owner.line(), "ready");
    owner.does("write content");
    assert_eq!(owner.does("read"), "content");
    for path in [cache.as_path(), cache.parent().unwrap()] {
        assert_eq!(fs::metadata(path).unwrap().uid(), user::NOBODY, "{path:?}");
    }
}

/// The attack of a user whose directory root works in: `inotify`, one rename, and root's file is in root's own directory.
#[test]
fn no_exchange_of_a_directory_brings_a_file_of_root_elsewhere_or_a_token_into_the_file_of_another_user() {
    let (home, roots, victim) = (Place::new(), Place::new(), Place::new());
    write(&victim.open(), "{\"RefreshToken\":{\"of\":\"the victim\"}}");
    fs::remove_file(victim.private()).unwrap();
    let app = home.directory().join("app");
    fs::create_dir(&app).unwrap();
    fs::write(app.join("cache.json"), "{}").unwrap();
    let links = [home.directory().join("to root"), home.directory().join("to the victim")];
    symlink(roots.directory(), &links[0]).unwrap();
    symlink(victim.directory(), &links[1]).unwrap();
    for path in [&app.join("cache.json"), &app, home.directory()] {
        user::give_to_nobody(path);
    }
    let mut command = user::as_root(worker::program());
    command.arg("serve").arg(app.join("cache.json"));
    let mut root = Worker::start(command);
    assert_eq!(root.line(), "ready");
    let turn = AtomicU32::new(0);
    let attack = || exchange(&app, &links[(turn.fetch_add(1, Ordering::Relaxed) % 4 / 2) as usize]);
    beside(attack, || {
        for round in 0..100 * scale() {
            let answer = root.ask(if round % 2 == 0 { "write of root" } else { "read" });
            assert!(answer.starts_with("err "), "root worked in the user's directory: {answer}");
        }
    });
    assert_eq!(roots.names(), [""; 0], "root made a file where it never should have");
    assert_eq!(victim.names(), ["cache.json"], "lock files beside the cache of another user");
    let real = if app.is_symlink() { links.iter().find(|link| !link.is_symlink()).unwrap() } else { &app };
    assert_eq!(names_in(real), ["cache.json"]);
    assert_eq!(fs::read_to_string(real.join("cache.json")).unwrap(), "{}");
}

/// One user, no root: the links of another user in a directory that both use.
#[test]
fn a_link_of_another_user_on_the_way_is_not_followed() {
    let (shared, own) = (Place::new(), Place::new());
    write(&own.open(), "own");
    let link = shared.directory().join("app");
    symlink(own.directory(), &link).unwrap();
    let mut give = user::as_root("chown");
    assert!(give.args(["-h", "1002"]).arg(&link).status().unwrap().success());
    for path in [own.cache(), own.private(), own.directory().to_owned()] {
        user::give_to_nobody(&path);
    }
    fs::set_permissions(shared.directory(), fs::Permissions::from_mode(0o755)).unwrap();
    let program = user::PublicCopy::of(worker::program());
    let mut command = Command::new(program.path());
    command.arg("serve").arg(link.join("cache.json"));
    let mut worker = Worker::start(user::as_nobody(&command));
    assert_eq!(worker.line(), "ready");
    for verb in ["read", "write taken"] {
        let answer = worker.ask(verb);
        assert!(
            answer.starts_with("err unsafe_file") && answer.contains("belongs to user 1002"),
            "{verb}: {answer}"
        );
    }
    // The owner's own link is followed.
    fs::remove_file(&link).unwrap();
    symlink(own.directory(), &link).unwrap();
    assert_eq!(worker.does("read"), "own");
}

#[test]
fn a_write_stays_out_of_a_directory_that_was_exchanged_during_the_transaction() {
    let place = Place::new();
    let (app, other) = (place.directory().join("app"), place.directory().join("other"));
    for directory in [&app, &other] {
        fs::create_dir(directory).unwrap();
        fs::write(directory.join("cache.json"), "old").unwrap();
        fs::set_permissions(directory.join("cache.json"), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let cache = open(&app.join("cache.json"));
    let access = cache.begin_write().unwrap();
    exchange(&app, &other);
    let error = access.commit("new").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnsafeFile, "{error}");
    assert!(error.to_string().contains("exchanged"), "{error}");
    assert_eq!(names_in(&app), ["cache.json"], "nothing is written in the other directory");
    assert_eq!(names_in(&other), ["cache.json", "cache.json.tk-lock"], "and the lock is given back");
    for directory in [&app, &other] {
        assert_eq!(fs::read_to_string(directory.join("cache.json")).unwrap(), "old");
    }
    // As the error says.
    cache.begin_write().unwrap().commit("new").unwrap();
    assert_eq!(fs::read_to_string(app.join("cache.json")).unwrap(), "new");
    assert_eq!(fs::read_to_string(other.join("cache.json")).unwrap(), "old");
}

#[test]
fn links_of_this_user_and_of_root_on_the_way_are_followed() {
    let place = Place::new();
    let (real, link) = (place.directory().join("real"), place.directory().join("link"));
    fs::create_dir(&real).unwrap();
    symlink("real", &link).unwrap();
    symlink(&real, place.directory().join("absolute")).unwrap();
    symlink("link/../link", place.directory().join("round about")).unwrap();
    for (name, content) in [("link", "one"), ("absolute", "two"), ("round about", "three")] {
        let cache = place.directory().join(name).join("cache.json");
        write(&open(&cache), content);
        assert_eq!(fs::read_to_string(real.join("cache.json")).unwrap(), content, "{name}");
    }
    symlink("loop", place.directory().join("loop")).unwrap();
    let looped = FilePersistence::new(place.directory().join("loop").join("cache.json")).unwrap();
    assert!(looped.load(None).is_err(), "a loop ends");
}
