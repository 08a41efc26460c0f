//! Keys that an operator provides.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};

use tokenkeep::key_source::KeyFile;
use tokenkeep::{ErrorKind, Persistence, event::Event};

use crate::support::{CONTENT, Opened, Place, example, fail, home_of, succeed, unprivileged};

const USER: u32 = 54_321;

fn opened(place: &Place, name: &str) -> Opened {
    Opened::new(&place.cache(), KeyFile::at(place.path().join(name)), "app/cache")
}

#[test]
fn one_key_is_the_same_in_every_notation() {
    let place = Place::new();
    let raw = fs::read(place.key("raw")).unwrap();
    opened(&place, "raw").write(CONTENT);
    let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
    for (name, text) in [("hex", hex.clone()), ("line", format!("{}\n", hex.to_uppercase()))] {
        fs::write(place.path().join(name), text).unwrap();
        fs::set_permissions(place.path().join(name), Permissions::from_mode(0o600)).unwrap();
        assert_eq!(opened(&place, name).read().unwrap().as_deref(), Some(CONTENT), "{name}");
    }
    let cache = place.cache();
    let words = [cache.to_str().unwrap(), "app/cache", "key:SECRET", "read"];
    assert_eq!(succeed(example(&words).env("SECRET", &hex), b""), CONTENT);
    assert!(fail(example(&words).env("SECRET", "hunter2"), b"").starts_with("invalid_input"));
    assert!(fail(&mut example(&words), b"").starts_with("missing_key"));
}

#[test]
fn content_that_is_not_a_key_is_refused_with_the_reason() {
    let place = Place::new();
    let write = |name: &str, bytes: &[u8]| {
        let path = place.path().join(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    };
    write("empty", b"");
    write("short", &[0xAA; 31]);
    write("words", b"correct horse battery staple and a few more");
    write("long", &[0xAA; 5000]);
    for name in ["empty", "short", "words", "long"] {
        let error = opened(&place, name).cache.begin_write().unwrap().commit(CONTENT).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}: {error}");
        assert!(!error.to_string().contains("horse"));
    }
    fs::create_dir(place.path().join("directory")).unwrap();
    let fifo = place.path().join("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    for (name, kind) in [
        ("directory", ErrorKind::UnsafeFile),
        ("fifo", ErrorKind::UnsafeFile),
        ("nowhere", ErrorKind::MissingKey),
        ("raw/below", ErrorKind::MissingKey),
    ] {
        let error = opened(&place, name).cache.begin_write().unwrap().commit(CONTENT).unwrap_err();
        assert_eq!(error.kind(), kind, "{name}: {error}");
    }
}

#[test]
fn a_key_file_others_can_read_or_change_is_refused_unless_it_is_roots() {
    let (place, program) = home_of(USER);
    let key = place.key("key");
    let cache = place.cache();
    let source = format!("key-file:{}", key.display());
    let run = || {
        let mut command = unprivileged(USER);
        command.arg(&program).args([cache.to_str().unwrap(), "app/cache", &source, "verify"]);
        command
    };
    let set = |owner: u32, mode: u32| {
        fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
        chown(&key, Some(owner), Some(USER)).unwrap();
    };
    for mode in [0o600, 0o400, 0o700] {
        set(USER, mode);
        succeed(&mut run(), b"");
    }
    for (owner, mode) in [(USER, 0o640), (USER, 0o604), (USER, 0o660), (USER, 0o602), (0, 0o666), (0, 0o464)]
    {
        set(owner, mode);
        let said = fail(&mut run(), b"");
        assert!(said.starts_with("unsafe_file") && said.contains("chmod"), "{owner} {mode:o}: {said}");
    }
    set(USER + 1, 0o444);
    let said = fail(&mut run(), b"");
    assert!(said.starts_with("unsafe_file") && said.contains("belongs to user 54322"), "{said}");
    set(0, 0o400);
    assert!(fail(&mut run(), b"").starts_with("permission_denied"));
    // Secrets as container runtimes mount them: owned by root, readable by the group or by everyone.
    set(0, 0o440);
    succeed(&mut run(), b"");
}

#[test]
fn a_mounted_secret_that_everyone_can_read_works_with_a_warning() {
    let place = Place::new();
    let data = place.path().join("..data");
    fs::create_dir(&data).unwrap();
    fs::rename(place.key("key"), data.join("key")).unwrap();
    fs::set_permissions(data.join("key"), Permissions::from_mode(0o444)).unwrap();
    chown(data.join("key"), Some(0), Some(0)).expect("this test gives a file to root: run it as root");
    symlink("..data/key", place.path().join("key")).unwrap();
    let opened = opened(&place, "key");
    opened.file.verify().unwrap();
    assert!(matches!(&opened.events()[..], [Event::Warning(text)] if text.contains("mode 444")));
    opened.write(CONTENT);
    assert_eq!(opened.read().unwrap().as_deref(), Some(CONTENT));
}

#[test]
fn a_replaced_key_file_is_detected_and_the_right_one_works_again() {
    let place = Place::new();
    let opened = place.written();
    let right = fs::read(place.path().join("key")).unwrap();
    fs::write(place.path().join("key"), [0xAA; 32]).unwrap();
    opened.cache.forget();
    assert_eq!(opened.read().unwrap_err().kind(), ErrorKind::WrongKey);
    fs::write(place.path().join("key"), right).unwrap();
    assert_eq!(opened.read().unwrap().as_deref(), Some(CONTENT));
}
