//! Secrets stay out of all printed text and of every file but the cache.

use std::error::Error as _;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokenkeep::{
    Secret, TokenCache,
    options::{OnDamage, WaitOptions},
    storage::FilePersistence,
};

use crate::support::{Place, strace, worker};

/// Planted as content; no printed text may contain it.
const CANARY: &str = "CANARY-b1946ac92492d2347c6235b4d2611184";

#[test]
fn no_printed_text_contains_content() {
    let place = Place::new();
    let printed = Arc::new(Mutex::new(Vec::new()));
    let listen = {
        let printed = Arc::clone(&printed);
        move |event: &tokenkeep::event::Event| printed.lock().unwrap().push(format!("{event:?}"))
    };
    let persistence = Arc::new(FilePersistence::new(place.cache()).unwrap().on_event(listen.clone()));
    let wait = WaitOptions::within(Duration::from_millis(50));
    let cache = TokenCache::with_options(persistence.clone(), wait, OnDamage::default(), listen);
    let note = |text: String| printed.lock().unwrap().push(text);

    let access = cache.begin_write().unwrap();
    note(format!("{:?}", access.commit(format!("{{\"secret\":\"{CANARY}\"}}")).unwrap()));
    let mut access = cache.begin_write().unwrap();
    note(format!("{access:?} {cache:?} {persistence:?} {:?}", access.guard()));
    access.set_aside("because").unwrap();
    drop(access);
    note(format!("{:?} {:?}", cache.snapshot().unwrap(), cache.info()));
    note(format!("{:?}", Secret::new(CANARY.as_bytes().to_vec())));

    let mut errors = vec![];
    let held = cache.begin_write().unwrap();
    errors.push(cache.begin_write().unwrap_err());
    drop(held);
    fs::set_permissions(place.directory(), fs::Permissions::from_mode(0o777)).unwrap();
    fs::rename(place.cache(), place.directory().join("other")).unwrap();
    symlink("other", place.cache()).unwrap();
    errors.push(cache.begin_write().unwrap_err());
    fs::remove_file(place.cache()).unwrap();
    fs::create_dir(place.cache()).unwrap();
    errors.push(cache.read().unwrap_err());
    for error in &errors {
        note(format!("{error} {error:?} {:?}", error.source().map(ToString::to_string)));
    }
    let printed = printed.lock().unwrap();
    assert!(printed.len() >= 8, "{printed:#?}");
    for text in printed.iter() {
        assert!(!text.contains("CANARY") && !text.contains("b1946ac9"), "{text}");
    }
}

#[test]
fn lock_files_have_no_secret_and_temporary_files_are_private_from_creation() {
    let place = Place::new();
    let elsewhere = tempfile::tempdir().unwrap();
    let mut command = worker::command("once", &place.cache());
    command.args(["synced", CANARY]);
    let calls = strace::calls_between_marks(&command, &strace::trace_file(&elsewhere));
    let created: Vec<_> =
        calls.iter().filter(|call| call.name == "openat" && call.mentions("O_CREAT")).collect();
    assert!(created.len() >= 2, "{created:#?}");
    for call in created {
        assert!(call.mentions("O_EXCL") && call.mentions("O_NOFOLLOW") && call.mentions("0600"), "{call:?}");
    }
    let lock = fs::read(place.private()).unwrap();
    assert!(!String::from_utf8_lossy(&lock).contains("CANARY"));
    assert_eq!(fs::metadata(place.cache()).unwrap().mode() & 0o777, 0o600);
}
