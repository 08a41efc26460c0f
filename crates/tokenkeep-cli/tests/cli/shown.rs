//! Names that other people chose, in each command: of files, accounts, scopes and processes. None moves the cursor, forges a
//! line or changes the reading direction.

use std::path::Path;

use tokenkeep::schema::{self, Ids, Record};

use crate::support::{Holder, Place};

/// One or more of each class: control characters, marks of direction, separators, characters that cannot be seen, tags.
const HOSTILE: &str = "\u{1b}[2J\r\u{7}\u{7f}\u{85}\u{9b}\u{ad}\u{61c}\u{70f}\u{180e}\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\u{202a}\u{202e}\u{2060}\
                       \u{2066}\u{2069}\u{206f}\u{feff}\u{fff9}\u{1d173}\u{e0001}\u{e0041}";

fn is_hostile(c: char) -> bool {
    c != '\n' && HOSTILE.contains(c) && !"[2J".contains(c)
}

fn hostile_cache() -> Vec<u8> {
    let named = |what: &str| format!("{what}{HOSTILE}\nforged line");
    let [home, environment, client, realm, local, user, name, scope, family] =
        ["home", "login.example", "client", "realm", "local", "ada", "Ada", "scope", "1"].map(named);
    let ids = Ids { home_account_id: &home, environment: &environment, client_id: &client, realm: &realm };
    let now = std::time::SystemTime::now();
    let scopes = [&*scope];
    let records = [
        Record::account(ids, &local, &user).field("name", &name),
        Record::access_token(ids, &scopes, "secret", now, now),
        Record::refresh_token(ids, Some(&family), "secret"),
    ];
    schema::put(None, &records).unwrap().expose().to_vec()
}

#[test]
fn no_command_shows_a_hostile_name_as_it_is() {
    let place = Place::new();
    let folder = format!("my{HOSTILE}\nforged line, it's");
    let file = |name: &str, content: &[u8]| {
        let path = place.file(&format!("{folder}/{name}{HOSTILE}.json"), content);
        path.to_str().unwrap().to_owned()
    };
    let good = file("good", &hostile_cache());
    let caches = [
        file("none", b""),
        file("torn", &hostile_cache()[..80]),
        file("sealed", b"\x89TKS\r\n\x1a\nsealed by a key that is lost"),
        file("missing", b"{}"),
        good.clone(),
    ];
    std::fs::remove_file(&caches[3]).unwrap();
    place.file(&format!("{folder}/good{HOSTILE}.json.corrupt-1234"), b"x");
    place.file(&format!("{folder}/good{HOSTILE}.json.lapsed"), b"x");
    let dead = format!("4194300 {HOSTILE}");
    let left = place.file(&format!("{folder}/torn{HOSTILE}.json.lockfile"), dead.as_bytes());
    let missing = place.home().join(&folder).join("no").join("where.json").display().to_string();
    let held = Holder::of(Path::new(&good));
    for cache in caches.iter().chain([&missing]) {
        says_nothing_hostile(&place, &["doctor", "--cache-path", cache]);
        says_nothing_hostile(&place, &["lock", "--cache-path", cache]);
    }
    held.kill();
    std::fs::remove_file(left).unwrap();
    for cache in caches.iter().chain([&missing]) {
        for words in [
            &["list", "--cache-path", cache][..],
            &["sign-out", HOSTILE, "--cache-path", cache, "--yes"],
            &["sign-out", "--all", "--cache-path", cache, "--dry-run"],
            &["migrate", "--from", cache, "--to", &missing, "--dry-run"],
            &["clear", "--cache-path", cache, "--yes"],
        ] {
            says_nothing_hostile(&place, words);
        }
    }
}

/// Runs a command, with and without `--json`.
fn says_nothing_hostile(place: &Place, words: &[&str]) {
    for json in [false, true] {
        let mut words = words.to_vec();
        words.extend(json.then_some("--json"));
        let said = place.run(&words);
        for text in [&said.stdout, &said.stderr] {
            let found = text.chars().find(|c| is_hostile(*c) || c.is_control() && *c != '\n');
            assert_eq!(found, None, "{words:?}: {text:?}");
            assert!(!text.lines().any(|line| line.starts_with("forged line")), "{words:?}: {text}");
        }
        assert!(!said.stdout.is_empty() || !said.stderr.is_empty(), "{words:?}");
    }
}
