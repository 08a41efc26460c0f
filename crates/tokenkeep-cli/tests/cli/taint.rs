//! The taint search over the command: no piece of a token is in its output, or in a file that is no cache.

use std::fs;
use std::path::Path;

use crate::support::{Place, SECRETS, cache};

/// Each piece of six letters is unlike every word of the command.
const LETTERS: &str = "qzJwXvKyQjZxVkWq7Yq9Zj4XwQ8vKzJq3Xy5Wv2Qk6Zw0Jx1VqYzKjXw";

fn piece_in(text: &str) -> Option<&str> {
    (0..=LETTERS.len() - 6).map(|at| &LETTERS[at..at + 6]).find(|piece| text.contains(piece))
}

/// A cache whose secrets are the letters, and ways in which it is damaged.
fn caches() -> Vec<Vec<u8>> {
    let mut whole = String::from_utf8(cache(true)).unwrap();
    for secret in SECRETS {
        whole = whole.replace(secret, LETTERS);
    }
    let at = whole.find(LETTERS).unwrap();
    let with = |what: &str| format!("{}{what}{}", &whole[..at + 9], &whole[at + 9..]);
    let mut caches: Vec<Vec<u8>> = [
        whole[..at + 3].to_owned(),
        whole[..at + 20].to_owned(),
        with("\""),
        with("\\"),
        with("\n"),
        with("\\ud800"),
        whole.replace(&format!("\"{LETTERS}\""), LETTERS),
        format!("{whole}{LETTERS}"),
        LETTERS.to_owned(),
        format!(r#"{{"Account":{{"a":"{LETTERS}"}},"RefreshToken":"{LETTERS}"}}"#),
        format!(r#"{{"RefreshToken":{{"{}{}"#, "k\":", "[".repeat(3000)),
    ]
    .map(String::into_bytes)
    .into();
    let mut bytes = whole.clone().into_bytes();
    bytes[at + 5] = 0xff;
    caches.extend([bytes, whole.into_bytes()]);
    caches
}

#[test]
fn no_piece_of_a_token_is_printed_or_left_in_a_file_that_is_no_cache() {
    let place = Place::new();
    for (number, content) in caches().iter().enumerate() {
        let name = format!("cache-{number}.json");
        let file = |name: &str| {
            let path = place.file(name, content);
            // Fresh content would be taken for a write in progress.
            fs::File::options().write(true).open(&path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
            path.display().to_string()
        };
        let (cache, other) = (file(&name), file(&format!("other-{name}")));
        let words: [&[&str]; 7] = [
            &["doctor", "--cache-path", &cache],
            &["list", "--cache-path", &cache],
            &["lock", "--cache-path", &cache],
            &["migrate", "--from", &cache, "--to", &other, "--dry-run"],
            &["migrate", "--from", &cache, "--to", &other, "--yes"],
            &["sign-out", "--all", "--cache-path", &cache, "--yes"],
            &["clear", "--cache-path", &cache, "--yes"],
        ];
        for (nth, words) in words.iter().enumerate() {
            let mut words = words.to_vec();
            words.extend(((number + nth) % 2 == 0).then_some("--json"));
            let said = place.run(&words);
            for text in [&said.stdout, &said.stderr] {
                assert_eq!(piece_in(text), None, "{words:?}: {text}");
            }
        }
    }
    let is_cache =
        |name: &str| name.trim_start_matches("other-").starts_with("cache-") && !name.ends_with("lock");
    for entry in fs::read_dir(place.home()).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let path: &Path = &entry.path();
        if path.is_file() && !is_cache(&name) {
            let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
            assert_eq!(piece_in(&text), None, "{name}");
        }
    }
}
