//! Automatic moves from weaker stores to better ones, when a program opens its cache or uses it next.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};

use tokenkeep::{Backend, ErrorKind, event::Event, options::WaitOptions, storage::FilePersistence};

use crate::keyring::Keyring;
use crate::stores::{
    APP, Home, Opened, answer, cache_of, people_in, people_of, program, sealed_file, set, sign_in, succeed,
};
use crate::support::user::{NOBODY, PublicCopy, as_nobody};
use crate::support::worker;

#[test]
fn opening_imports_plaintext_of_the_original_into_the_keyring() {
    let (home, keyring) = (Home::new(), Keyring::start());
    fs::write(home.cache(), cache_of(&["ada"])).unwrap();
    let old = fs::File::open(home.cache()).unwrap();
    assert_eq!(people_of(&home, Some(&keyring), "none"), set(&["ada"]));
    assert_eq!(fs::read(home.cache()).unwrap(), b"{}");
    assert!(std::io::read_to_string(old).unwrap().bytes().all(|byte| byte == 0));
    assert!(!home.shows("hush-ada"));
    assert_eq!(home.names(), ["cache.json", "cache.json.tk-moved"]);
    assert_eq!(people_of(&home, Some(&keyring), "none"), set(&["ada"]));
}

#[test]
fn processes_that_open_at_the_same_time_all_find_all_accounts() {
    let (home, keyring) = (Home::new(), Keyring::start());
    let path = home.cache();
    let words = ["open", path.to_str().unwrap(), APP, "none", "read"];
    for round in 0..3 {
        let people = [format!("ada-{round}"), format!("bob-{round}")];
        fs::write(&path, cache_of(&[&people[0], &people[1]])).unwrap();
        let start = |_| {
            let mut command = program(&home, Some(&keyring), &words);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let children: Vec<_> = (0..6).map(start).collect();
        let mut moved = 0;
        for child in children {
            let output = child.wait_with_output().unwrap();
            let said = String::from_utf8(output.stdout).unwrap();
            let found = people_in(said.trim_start_matches("ok ").trim().replace("\\\"", "\"").as_bytes());
            assert!(people.iter().all(|who| found.contains(who)), "round {round}: {said}");
            assert_eq!(found.len(), 2 * (round + 1));
            moved += usize::from(String::from_utf8_lossy(&output.stderr).contains("event: Moved"));
        }
        assert_eq!((moved, fs::read(&path).unwrap().as_slice()), (1, &b"{}"[..]));
    }
}

#[test]
fn no_account_is_signed_out_when_the_keyring_ends_and_starts_again() {
    for fallback in ["plain", "key"] {
        let (home, keyring) = (Home::new(), Keyring::start());
        let fallbacks = match fallback {
            "key" => format!("key={}", home.key().display()),
            plain => plain.to_owned(),
        };
        sign_in(&home, Some(&keyring), &fallbacks, "ada");
        // Without the keyring, the fallback finds an empty cache at the marker's path.
        assert_eq!(people_of(&home, None, &fallbacks), set(&[]));
        sign_in(&home, None, &fallbacks, "bob");
        assert_eq!(people_of(&home, None, &fallbacks), set(&["bob"]));
        assert_eq!(people_of(&home, Some(&keyring), &fallbacks), set(&["ada", "bob"]), "{fallback}");
        assert_eq!(fs::read(home.cache()).unwrap(), b"{}");
        assert!(!home.shows("hush-bob"));
        // Again, because later content is moved too.
        sign_in(&home, None, &fallbacks, "eve");
        sign_in(&home, Some(&keyring), &fallbacks, "kim");
        assert_eq!(people_of(&home, Some(&keyring), &fallbacks), set(&["ada", "bob", "eve", "kim"]));
    }
}

#[test]
fn the_choice_of_a_fallback_reports_where_the_earlier_sign_ins_are() {
    let (home, keyring) = (Home::new(), Keyring::start());
    fs::write(home.cache(), cache_of(&["ada"])).unwrap();
    people_of(&home, Some(&keyring), "none");
    let path = home.cache();
    let words = ["open", path.to_str().unwrap(), APP, "plain", "info"];
    let output = program(&home, None, &words).output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("stored before is in secret-service") && told.contains("comes back"), "{told}");
    // Without a fallback it is an error, and nothing changes.
    let said = answer(&home, None, &["open", path.to_str().unwrap(), APP, "none", "read"]);
    assert!(said.starts_with("err store_unavailable"), "{said}");
    assert_eq!(home.names(), ["cache.json", "cache.json.tk-moved"]);
}

#[test]
fn plaintext_is_encrypted_and_then_moved_into_the_keyring() {
    let (home, keyring) = (Home::new(), Keyring::start());
    let sealed = format!("key={}", home.key().display());
    sign_in(&home, None, "plain", "ada");
    // Not unasked: plaintext needs no key to be written.
    let said = answer(&home, None, &["open", home.cache().to_str().unwrap(), APP, &sealed, "read"]);
    assert!(said.starts_with("err") && said.contains("written without the key"), "{said}");
    assert!(sealed_file(&home.cache(), &home.key()).encrypt_plaintext(&WaitOptions::default()).unwrap());
    sign_in(&home, None, &sealed, "bob");
    assert!(fs::read(home.cache()).unwrap().starts_with(b"\x89TKS"));
    assert_eq!(people_of(&home, None, &sealed), set(&["ada", "bob"]));
    // Never to a weaker store.
    let path = home.cache();
    let said = answer(&home, None, &["open", path.to_str().unwrap(), APP, "plain", "read"]);
    assert!(said.starts_with("err") && said.contains("opened as plaintext"), "{said}");
    // Nor from a store that this configuration does not know; and that is not overwritten either.
    let said = answer(&home, Some(&keyring), &["open", path.to_str().unwrap(), APP, "none", "read"]);
    assert!(said.starts_with("err marker_occupied") && said.contains("migrate"), "{said}");
    assert_eq!(people_of(&home, Some(&keyring), &sealed), set(&["ada", "bob"]));
    assert_eq!(fs::read(home.cache()).unwrap(), b"{}");
}

#[test]
fn a_running_program_imports_content_of_another_one_that_had_no_keyring() {
    let (home, keyring) = (Home::new(), Keyring::start());
    let running = Opened::item(&keyring, &home.cache(), Some(sealed_file(&home.cache(), &home.key())));
    running.write(&cache_of(&["ada"]));
    // Another process falls back to plaintext, and a third to the encrypted file.
    let other = Opened::plain(&home.cache());
    other.write(&cache_of(&["bob"]));
    assert_eq!(running.people(), set(&["ada", "bob"]), "by reading");
    let moved = |events: &[Event]| {
        events.iter().any(|event| {
            matches!(event, Event::Moved { path, from, to } if *path == home.cache()
                && to.backend == Backend::SecretService && from.location == home.cache().display().to_string())
        })
    };
    assert!(moved(&running.events()));
    assert_eq!(other.read(), "{}");
    let other = Opened::sealed(&home.cache(), &home.key());
    other.write(&cache_of(&["eve"]));
    let access = running.cache.begin_write().unwrap();
    assert_eq!(people_in(access.content().unwrap()), set(&["ada", "bob", "eve"]), "by writing");
    drop(access);
    assert!(moved(&running.events()));
    assert_eq!(other.read(), "{}");
    assert!(!home.shows("hush-bob"));
}

#[test]
fn an_opaque_file_is_imported_from_a_fallback_of_the_keyring_and_copied_aside_from_any_other_program() {
    let (home, keyring) = (Home::new(), Keyring::start());
    let stand_in = || Some(FilePersistence::new(home.cache()).unwrap());
    fs::write(home.cache(), "opaque content").unwrap();
    let knowing = Opened::item(&keyring, &home.cache(), stand_in());
    assert_eq!(knowing.read(), "opaque content");
    assert_eq!(fs::read(home.cache()).unwrap(), b"{}");
    // Two contents that cannot be merged are both kept, with an error.
    fs::write(home.cache(), "other content").unwrap();
    let error = knowing.cache.read().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    assert_eq!(fs::read(home.cache()).unwrap(), b"other content");
    let unknowing = Opened::item(&keyring, &home.cache(), None);
    assert_eq!(unknowing.read(), "opaque content");
    unknowing.write(&cache_of(&["ada"]));
    assert_eq!(copies(&home), ["other content"]);
}

/// Returns the contents of the copies that were kept aside.
fn copies(home: &Home) -> Vec<String> {
    let names = home.names().into_iter().filter(|name| name.contains(".corrupt-"));
    names.map(|name| fs::read_to_string(home.path().join(name)).unwrap()).collect()
}

#[test]
fn torn_and_foreign_files_in_the_place_of_the_marker_are_copied_aside_and_sign_ins_go_on_in_the_keyring() {
    let keyring = Keyring::start();
    let whole = cache_of(&["bob"]);
    for odd in [&whole[..whole.len() / 2], "{\"mine\":1}", "[]", "notes of a person", "{\"Account\":[]}"] {
        for signed_in in [false, true] {
            for fallbacks in ["none", "plain"] {
                let home = Home::new();
                let case = format!("{odd}, {signed_in}, {fallbacks}");
                let item = Opened::item(&keyring, &home.cache(), None);
                match signed_in {
                    true => item.write(&cache_of(&["ada"])),
                    false => drop(item.cache.clear().unwrap()),
                }
                fs::write(home.cache(), odd).unwrap();
                let now = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
                fs::File::open(home.cache()).unwrap().set_modified(now).unwrap();
                sign_in(&home, Some(&keyring), fallbacks, "eve");
                let people = people_of(&home, Some(&keyring), fallbacks);
                assert!(people.contains("eve") && people.contains("ada") == signed_in, "{case}: {people:?}");
                assert!(home.names().iter().all(|name| !name.ends_with(".lockfile")), "{case}");
                // An opaque file of a configured fallback counts as content of the same cache, if there is no other.
                let imported = fallbacks == "plain" && !signed_in && !whole.starts_with(odd);
                assert!(imported || copies(&home) == [odd], "{case}: {:?}", home.names());
            }
        }
    }
}

#[test]
fn a_token_cache_in_the_place_of_the_marker_is_imported_although_the_item_is_damaged() {
    let (home, keyring) = (Home::new(), Keyring::start());
    let item = Opened::item(&keyring, &home.cache(), None);
    item.write("{\"Account\":{\"torn");
    fs::write(home.cache(), cache_of(&["ada"])).unwrap();
    assert_eq!(people_of(&home, Some(&keyring), "none"), set(&["ada"]));
}

#[test]
fn a_damaged_fallback_is_copied_aside_and_does_not_block_the_keyring() {
    let (home, keyring) = (Home::new(), Keyring::start());
    Opened::item(&keyring, &home.cache(), None).write(&cache_of(&["ada"]));
    Opened::sealed(&home.cache(), &home.key()).write(&cache_of(&["bob"]));
    let mut bytes = fs::read(home.cache()).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(home.cache(), &bytes).unwrap();
    let item = Opened::item(&keyring, &home.cache(), Some(sealed_file(&home.cache(), &home.key())));
    assert_eq!(item.people(), set(&["ada"]));
    let events = item.events();
    let [Event::SetAside { copy, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(fs::read(copy).unwrap(), bytes);
    item.write(&cache_of(&["eve"]));
}

#[test]
fn memory_keeps_the_cache_for_the_process_and_writes_no_file() {
    let home = Home::new();
    let path = home.cache();
    let path = path.to_str().unwrap();
    let said = succeed(&home, None, &["open", path, APP, "memory", "info"]);
    assert!(said.starts_with("memory memory:"), "{said}");
    assert_eq!(succeed(&home, None, &["open", path, APP, "memory", "add", &cache_of(&["ada"])]), "");
    assert_eq!(succeed(&home, None, &["open", path, APP, "memory", "read"]), "none");
    assert!(!home.shows("hush-ada"));
}

#[test]
fn an_import_returns_whether_there_was_content() {
    let (home, keyring) = (Home::new(), Keyring::start());
    let item =
        tokenkeep::storage::SecretServiceItem::new(APP, "token_cache").unwrap().on_bus(keyring.bus.address());
    let item = tokenkeep::storage::KeystorePersistence::new(home.cache(), item).unwrap();
    let item = item.lock_directory(home.path().join("locks"));
    assert!(!item.take_in(&WaitOptions::default()).unwrap());
    fs::write(home.cache(), cache_of(&["ada"])).unwrap();
    assert!(item.take_in(&WaitOptions::default()).unwrap());
    assert!(!item.take_in(&WaitOptions::default()).unwrap());
    let elsewhere = FilePersistence::new(home.path().join("elsewhere")).unwrap();
    assert_eq!(item.stand_in(elsewhere).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_user_without_a_home_has_locks_in_a_folder_that_no_other_user_can_have_created() {
    let home = Home::new();
    let public = PublicCopy::of(worker::program());
    for each in [home.path(), &home.path().join("tmp"), &home.path().join("caches")] {
        fs::create_dir_all(each).unwrap();
        fs::set_permissions(each, fs::Permissions::from_mode(0o1777)).unwrap();
    }
    let path = home.path().join("caches/cache.json");
    let run = || {
        let mut command = Command::new(public.path());
        command.args(["open", path.to_str().unwrap(), APP, "none", "read"]);
        let mut command = as_nobody(&command);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/bin").env("TMPDIR", home.path().join("tmp"));
        command.env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus");
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!said.is_empty(), "{output:?}");
        said
    };
    // Only the keyring is missing.
    assert!(run().starts_with("err store_unavailable"), "{}", run());
    let locks = home.path().join(format!("tmp/tokenkeep-{NOBODY}"));
    let status = fs::metadata(&locks).unwrap();
    assert_eq!((status.uid(), status.mode() & 0o777), (NOBODY, 0o700));
    // Another user created it first, or made it a link to another folder: it is not used.
    let refused = || {
        let said = run();
        assert!(said.starts_with("err ") && said.contains("Set HOME, XDG_RUNTIME_DIR or TMPDIR"), "{said}");
        assert!(crate::support::names_in(&locks).iter().all(|name| !name.contains("lock")));
    };
    fs::remove_dir_all(&locks).unwrap();
    fs::create_dir(&locks).unwrap();
    fs::set_permissions(&locks, fs::Permissions::from_mode(0o777)).unwrap();
    refused();
    fs::remove_dir(&locks).unwrap();
    let theirs = home.path().join("theirs");
    fs::create_dir(&theirs).unwrap();
    fs::set_permissions(&theirs, fs::Permissions::from_mode(0o777)).unwrap();
    std::os::unix::fs::symlink(&theirs, &locks).unwrap();
    refused();
}
