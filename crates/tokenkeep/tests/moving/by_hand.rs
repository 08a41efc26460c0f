//! `migrate` moves every entry, leaves none behind, and refuses content that cannot be merged.

use std::fs;
use std::path::Path;
use std::sync::Barrier;

use tokenkeep::{
    Backend, ErrorKind, TokenCache,
    event::Event,
    moving::{migrate, migrate_waiting, plan},
    options::WaitOptions,
    storage::{MemoryPersistence, OldCopy},
};

use crate::keyring::Keyring;
use crate::stores::{Home, Opened, cache_at, cache_of, contains, set};

fn two_files() -> (Home, Opened, Opened) {
    let home = Home::new();
    let from = Opened::plain(&home.cache());
    let to = Opened::sealed(&home.path().join("other-cache"), &home.key());
    (home, from, to)
}

#[test]
fn migrate_moves_every_entry_and_overwrites_and_empties_the_source() {
    let (home, from, to) = two_files();
    from.write(&cache_of(&["ada", "bob"]));
    to.write(&cache_of(&["eve"]));
    // An open descriptor shows the remaining content of the old file.
    let old = fs::File::open(home.cache()).unwrap();
    let planned = plan(&from.cache, &to.cache).unwrap();
    assert_eq!((planned.entries, planned.outdated), (6, 0));
    assert_eq!(from.people(), set(&["ada", "bob"]));
    assert_eq!(home.names(), ["cache.json", "other-cache"]);

    let done = migrate(&from.cache, &to.cache).unwrap();
    assert_eq!((done.entries, done.outdated, done.resumed), (6, 0, false));
    assert_eq!(done.old_copy, OldCopy::Overwritten);
    assert_eq!((done.from.backend, done.to.backend), (Backend::PlaintextFile, Backend::EncryptedFile));
    assert_eq!(done.from.location, home.cache().display().to_string());
    assert_eq!(to.people(), set(&["ada", "bob", "eve"]));
    assert_eq!(from.read(), "{}");
    assert!(std::io::read_to_string(old).unwrap().bytes().all(|byte| byte == 0));
    assert!(!home.shows("hush-ada"));
    assert_eq!(home.names(), ["cache.json", "cache.json.tk-moved", "other-cache"]);

    // A second migration does nothing; entries added later are moved too.
    let again = migrate(&from.cache, &to.cache).unwrap();
    assert_eq!((again.entries, again.old_copy), (0, OldCopy::Nothing));
    from.write(&cache_of(&["kim"]));
    assert_eq!(migrate(&from.cache, &to.cache).unwrap().entries, 3);
    assert_eq!(to.people(), set(&["ada", "bob", "eve", "kim"]));
}

#[test]
fn the_journal_beside_the_cache_names_the_target_and_no_secret() {
    let (home, from, to) = two_files();
    from.write(&cache_of(&["ada"]));
    migrate(&from.cache, &to.cache).unwrap();
    let note = fs::read_to_string(home.path().join("cache.json.tk-moved")).unwrap();
    assert!(note.starts_with("tokenkeep-move 1\nstate moved\nfrom plaintext-file "), "{note}");
    assert!(note.contains("\nto encrypted-file ") && note.contains("other-cache"), "{note}");
    assert!(!note.contains("secret") && !note.contains("ada"), "{note}");
}

#[test]
fn entries_moved_before_a_kill_do_not_return_after_a_sign_out() {
    let (home, from, to) = two_files();
    from.write(&cache_of(&["ada", "bob"]));
    migrate(&from.cache, &to.cache).unwrap();
    // The state after a kill before the source was emptied.
    let note = home.path().join("cache.json.tk-moved");
    let text = fs::read_to_string(&note).unwrap();
    fs::write(&note, text.replace("state moved", "state arrived")).unwrap();
    fs::write(home.cache(), cache_of(&["ada", "bob"])).unwrap();
    to.write(&cache_of(&["bob"]));
    assert!(plan(&from.cache, &to.cache).unwrap().resumed);
    let done = migrate(&from.cache, &to.cache).unwrap();
    assert_eq!((done.resumed, done.entries, done.old_copy), (true, 0, OldCopy::Overwritten));
    assert_eq!((from.read().as_str(), to.people()), ("{}", set(&["bob"])));
    // Content other than the moved content is new.
    fs::write(&note, text.replace("state moved", "state arrived")).unwrap();
    from.write(&cache_of(&["ada"]));
    assert!(!migrate(&from.cache, &to.cache).unwrap().resumed);
    assert_eq!(to.people(), set(&["ada", "bob"]));
}

/// Puts the move of `from` back to the moment before the source was emptied.
fn arrived(home: &Home, people: &[&str]) {
    let note = home.path().join("cache.json.tk-moved");
    let text = fs::read_to_string(&note).unwrap();
    fs::write(&note, text.replace("state moved", "state arrived")).unwrap();
    fs::write(home.cache(), cache_of(people)).unwrap();
}

#[test]
fn the_source_of_an_interrupted_move_is_not_wiped_when_the_target_was_lost_since() {
    for lost in [None, Some(""), Some("{}"), Some(&*cache_of(&["zoe"]))] {
        let (home, from, to) = two_files();
        from.write(&cache_of(&["ada", "bob"]));
        migrate(&from.cache, &to.cache).unwrap();
        arrived(&home, &["ada", "bob"]);
        match lost {
            None => fs::remove_file(home.path().join("other-cache")).unwrap(),
            Some(content) => to.write(content),
        }
        assert!(!plan(&from.cache, &to.cache).unwrap().resumed, "{lost:?}");
        migrate(&from.cache, &to.cache).unwrap();
        assert!(to.people().is_superset(&set(&["ada", "bob"])), "{lost:?}: {:?}", to.people());
        assert_eq!(from.read(), "{}", "{lost:?}");
    }
}

#[test]
fn the_source_of_an_interrupted_move_is_not_wiped_when_the_target_cannot_be_read() {
    let (home, from, to) = two_files();
    from.write(&cache_of(&["ada"]));
    migrate(&from.cache, &to.cache).unwrap();
    arrived(&home, &["ada"]);
    let target = home.path().join("other-cache");
    let sealed = fs::read(&target).unwrap();
    fs::write(&target, &sealed[..sealed.len() - 5]).unwrap();
    assert!(migrate(&from.cache, &to.cache).unwrap_err().is_damage());
    assert_eq!(fs::read_to_string(home.cache()).unwrap(), cache_of(&["ada"]));
}

#[test]
fn the_newer_of_two_versions_is_kept_from_either_side() {
    for (from_time, to_time, kept) in [(1, 2, 2), (2, 1, 2), (1, 1, 1)] {
        let (_home, from, to) = two_files();
        from.write(&cache_at(&["ada"], from_time));
        to.write(&cache_at(&["ada"], to_time));
        let done = migrate(&from.cache, &to.cache).unwrap();
        // A refresh token has no time of its own; it follows the access token of the same sign-in.
        assert_eq!(to.read(), cache_at(&["ada"], kept), "{from_time} {to_time}");
        let moved = if from_time > to_time { 2 } else { 0 };
        let outdated = if from_time < to_time { 2 } else { 0 };
        assert_eq!((done.entries, done.outdated), (moved, outdated));
    }
}

#[test]
fn without_times_the_version_of_the_target_is_kept() {
    let (_home, from, to) = two_files();
    let token = |secret: &str| format!(r#"{{"RefreshToken":{{"k":{{"secret":"{secret}"}}}}}}"#);
    from.write(&token("in use"));
    to.write(&token("left"));
    migrate(&from.cache, &to.cache).unwrap();
    assert_eq!(to.read(), token("in use"));
}

#[test]
fn one_entry_written_by_two_libraries_stays_one_and_keeps_the_key_of_the_target() {
    let token = |environment: &str, secret: &str, more: &str| {
        format!(
            r#"{{"home_account_id":"u.t","environment":"{environment}","client_id":"c","credential_type":"RefreshToken","secret":"{secret}"{more}}}"#
        )
    };
    let cache = |key: &str, token: &str, time: u64| {
        let access = format!(
            r#"{{"home_account_id":"u.t","environment":"e","client_id":"c","realm":"t","credential_type":"AccessToken","target":"a b","secret":"at","cached_at":"{time}"}}"#
        );
        format!(r#"{{"RefreshToken":{{"{key}":{token}}},"AccessToken":{{"at-{time}":{access}}}}}"#)
    };
    let (python, node) =
        ("u.t-login.microsoftonline.com-refreshtoken-c--", "u.t-login.windows.net-refreshtoken-c----");
    for (from_time, to_time) in [(2, 1), (1, 2)] {
        let (_home, from, to) = two_files();
        from.write(&cache(
            python,
            &token("login.microsoftonline.com", "arriving", r#","last_modification_time":"1""#),
            from_time,
        ));
        to.write(&cache(node, &token("login.windows.net", "staying", r#","resource":"r""#), to_time));
        let done = migrate(&from.cache, &to.cache).unwrap();
        let united: serde_json::Value = serde_json::from_str(&to.read()).unwrap();
        let tokens = united["RefreshToken"].as_object().unwrap();
        assert_eq!(tokens.keys().collect::<Vec<_>>(), [node]);
        let kept = &tokens[node];
        assert_eq!(kept["secret"], if from_time > to_time { "arriving" } else { "staying" });
        // The members by which its library finds it, and those that only one of them has, stay.
        assert_eq!((&kept["environment"], &kept["resource"]), (&"login.windows.net".into(), &"r".into()));
        let (moved, outdated) = (done.entries, done.outdated);
        assert_eq!((moved, outdated), if from_time > to_time { (2, 0) } else { (0, 2) });
        assert_eq!(united["AccessToken"].as_object().unwrap().len(), 1);
    }
    // The entry must name its owner: without the name, each key is another entry.
    let (_home, from, to) = two_files();
    from.write(r#"{"RefreshToken":{"one":{"secret":"1"}}}"#);
    to.write(r#"{"RefreshToken":{"two":{"secret":"2"}}}"#);
    migrate(&from.cache, &to.cache).unwrap();
    assert_eq!(to.read(), r#"{"RefreshToken":{"two":{"secret":"2"},"one":{"secret":"1"}}}"#);
}

#[test]
fn unknown_entries_are_merged_and_kept_as_written() {
    let (_home, from, to) = two_files();
    from.write(r#"{"Account": {}, "Later": {"a": 1,  "b": [1, 2]}, "Own": {"x": "\u0061"}, "n": 1.50}"#);
    to.write(r#"{"Later": {"b": 3, "c": {}}, "AppMetadata": {"m": {}}, "n": 2, "Own": {"x":"a"}}"#);
    migrate(&from.cache, &to.cache).unwrap();
    assert_eq!(
        to.read(),
        r#"{"Later":{"b":[1, 2],"c":{},"a":1},"AppMetadata":{"m": {}},"n":1.50,"Own":{"x":"a"},"Account":{}}"#
    );
}

#[test]
fn content_that_is_no_token_cache_moves_as_a_whole_or_not_at_all() {
    let (home, from, to) = two_files();
    from.write("opaque hush-ada");
    let done = migrate(&from.cache, &to.cache).unwrap();
    assert_eq!((done.entries, to.read().as_str()), (1, "opaque hush-ada"));
    // Equal content is no conflict.
    from.write("opaque hush-ada");
    migrate(&from.cache, &to.cache).unwrap();
    for other in ["something else", &cache_of(&["bob"])] {
        from.write(other);
        let error = migrate(&from.cache, &to.cache).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        assert_eq!(plan(&from.cache, &to.cache).unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!((from.read().as_str(), to.read().as_str()), (other, "opaque hush-ada"));
        assert_eq!(home.names(), ["cache.json", "cache.json.tk-moved", "other-cache"]);
    }
}

#[test]
fn a_truncated_cache_is_damaged_and_stays_in_the_source() {
    let (home, from, to) = two_files();
    let torn = &cache_of(&["ada"])[..100];
    fs::write(home.cache(), torn).unwrap();
    assert_eq!(migrate(&from.cache, &to.cache).unwrap_err().kind(), ErrorKind::Damaged);
    assert_eq!(fs::read_to_string(home.cache()).unwrap(), torn);
    assert_eq!(to.read(), "");
}

#[test]
fn a_store_that_cannot_be_opened_is_not_changed() {
    let (home, from, _) = two_files();
    from.write(&cache_of(&["ada"]));
    let path = home.path().join("locked-cache");
    Opened::sealed(&path, &home.make_key("other")).write(&cache_of(&["bob"]));
    let (locked, before) = (Opened::sealed(&path, &home.key()), fs::read(&path).unwrap());
    for error in
        [migrate(&from.cache, &locked.cache).unwrap_err(), migrate(&locked.cache, &from.cache).unwrap_err()]
    {
        assert_eq!(error.kind(), ErrorKind::WrongKey, "{error}");
    }
    assert_eq!((from.people(), fs::read(&path).unwrap()), (set(&["ada"]), before));
}

#[test]
fn a_file_changes_its_key_or_its_kind_at_the_same_path() {
    let home = Home::new();
    let (plain, first) = (Opened::plain(&home.cache()), Opened::sealed(&home.cache(), &home.key()));
    let second = Opened::sealed(&home.cache(), &home.make_key("second"));
    plain.write(&cache_of(&["ada"]));
    for (from, to) in [(&plain, &first), (&first, &second), (&second, &plain), (&plain, &second)] {
        let old = fs::File::open(home.cache()).unwrap();
        let done = migrate(&from.cache, &to.cache).unwrap();
        assert_eq!((done.entries, done.old_copy), (3, OldCopy::Overwritten));
        assert_eq!(to.people(), set(&["ada"]));
        let mut left = Vec::new();
        std::io::Read::read_to_end(&mut &old, &mut left).unwrap();
        assert!(left.len() > 100 && left.iter().all(|byte| *byte == 0));
        // A second migration does nothing, although the old store cannot read the file any more.
        assert_eq!(migrate(&from.cache, &to.cache).unwrap().entries, 0);
    }
    assert!(!home.shows("hush-ada"));
    assert_eq!(home.names(), ["cache.json"]);
}

#[test]
fn a_store_cannot_move_into_itself_or_into_memory() {
    let keyring = Keyring::start();
    let home = Home::new();
    let other = home.path().join("other-cache");
    let plain = Opened::plain(&home.cache());
    let items = [Opened::item(&keyring, &home.cache(), None), Opened::item(&keyring, &other, None)];
    let memory = TokenCache::new(MemoryPersistence::new());
    items[0].write(&cache_of(&["ada"]));
    for (from, to) in [
        (&items[0].cache, &items[0].cache),
        (&items[0].cache, &items[1].cache),
        (&plain.cache, &plain.cache),
        (&plain.cache, &memory),
    ] {
        assert_eq!(migrate(from, to).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    let link = home.path().join("link-cache");
    std::os::unix::fs::symlink(home.cache(), &link).unwrap();
    let linked = Opened::sealed(&link, &home.key());
    assert_eq!(migrate(&plain.cache, &linked.cache).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(items[1].people(), set(&["ada"]));
}

#[test]
fn content_in_memory_can_move_to_a_file() {
    let (home, _, to) = two_files();
    let memory = TokenCache::new(MemoryPersistence::new());
    memory.begin_write().unwrap().commit(cache_of(&["ada"])).unwrap();
    let info = memory.info();
    assert!(!info.survives_reboot && info.backend == Backend::Memory);
    assert_eq!(migrate(&memory, &to.cache).unwrap().entries, 3);
    assert_eq!(to.people(), set(&["ada"]));
    assert_eq!(memory.read().unwrap().unwrap().expose(), b"{}");
    assert_eq!(home.names(), ["other-cache"]);
}

#[test]
fn a_cache_moves_between_the_keyring_and_files_in_both_directions() {
    let keyring = Keyring::start();
    let home = Home::new();
    // The item's marker is at the path of the files.
    let item = Opened::item(&keyring, &home.cache(), None);
    let sealed = Opened::sealed(&home.cache(), &home.key());
    let plain = Opened::plain(&home.cache());
    item.write(&cache_of(&["ada"]));
    let done = migrate(&item.cache, &sealed.cache).unwrap();
    assert_eq!((done.entries, done.old_copy), (3, OldCopy::Emptied));
    assert_eq!(sealed.people(), set(&["ada"]));
    // A program that knows only the item does not overwrite it.
    assert_eq!(item.cache.read().unwrap_err().kind(), ErrorKind::MarkerOccupied);
    assert_eq!(item.cache.begin_write().unwrap_err().kind(), ErrorKind::MarkerOccupied);

    assert_eq!(migrate(&sealed.cache, &item.cache).unwrap().old_copy, OldCopy::Overwritten);
    assert_eq!(item.people(), set(&["ada"]));
    assert_eq!(fs::read(home.cache()).unwrap(), b"{}");
    assert_eq!(migrate(&item.cache, &plain.cache).unwrap().entries, 3);
    assert_eq!(plain.people(), set(&["ada"]));
    assert_eq!(migrate(&plain.cache, &item.cache).unwrap().entries, 3);
    assert_eq!((item.people(), plain.read().as_str()), (set(&["ada"]), "{}"));
    assert!(!home.shows("hush-ada"));
}

#[test]
fn another_hard_link_to_the_source_keeps_its_content_and_is_reported() {
    let (home, from, to) = two_files();
    from.write(&cache_of(&["ada"]));
    let backup = home.path().join("backup");
    fs::hard_link(home.cache(), &backup).unwrap();
    let done = migrate(&from.cache, &to.cache).unwrap();
    assert!(matches!(done.old_copy, OldCopy::Released { reason } if reason.contains("hard links")));
    assert!(contains(&fs::read(backup).unwrap(), b"hush-ada"));
    assert!(
        from.events()
            .iter()
            .any(|event| matches!(event, Event::Warning(text) if text.contains("overwritten")))
    );
    assert_eq!(home.names(), ["cache.json", "cache.json.tk-moved", "other-cache"]);
}

#[test]
fn moves_in_opposite_directions_do_not_deadlock() {
    let (home, from, to) = two_files();
    from.write(&cache_of(&["ada"]));
    let limit = WaitOptions::within(std::time::Duration::from_secs(20));
    let barrier = Barrier::new(4);
    let plain = |path: &Path| Opened::plain(path).cache;
    std::thread::scope(|scope| {
        for number in 0..4 {
            let (limit, barrier, home) = (&limit, &barrier, &home);
            scope.spawn(move || {
                // Separate handles, like those of other processes.
                let one = plain(&home.cache());
                let other = Opened::sealed(&home.path().join("other-cache"), &home.key()).cache;
                barrier.wait();
                for _ in 0..10 {
                    let (from, to) = if number % 2 == 0 { (&one, &other) } else { (&other, &one) };
                    migrate_waiting(from, to, limit).unwrap();
                }
            });
        }
    });
    let mut people = from.people();
    people.extend(to.people());
    assert_eq!(people, set(&["ada"]));
}
