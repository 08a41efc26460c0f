//! Imports a plaintext cache at the path of an encrypted one, also with a kill at any moment.

use std::collections::HashMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use tokenkeep::key_source::KeyFile;
use tokenkeep::moving::migrate;
use tokenkeep::options::{Store, WaitOptions};
use tokenkeep::storage::{FilePersistence, Sealed};
use tokenkeep::{CacheLock, Config, ErrorKind, Persistence, TokenCache, event::Event};

use crate::support::{CONTENT, OTHER, Opened, Place, example, run, succeed};

fn is_encrypted(place: &Place) -> bool {
    fs::read(place.cache()).unwrap().starts_with(b"\x89TKS\r\n\x1a\n")
}

fn with_plaintext(content: &str) -> (Place, Opened) {
    let place = Place::new();
    fs::write(place.cache(), content).unwrap();
    let opened = Opened::new(&place.cache(), KeyFile::at(place.key("key")), "app/cache");
    (place, opened)
}

#[test]
fn plaintext_in_the_place_of_an_encrypted_cache_is_refused_unless_the_program_allows_it() {
    let (place, _) = with_plaintext(CONTENT);
    let source = || KeyFile::at(place.path().join("key"));
    let sealed = Sealed::new(source(), "app/cache");
    let strict = TokenCache::new(FilePersistence::with_protector(place.cache(), sealed).unwrap());
    for error in [strict.read().map(drop).unwrap_err(), strict.begin_write().map(drop).unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Unprotected, "{error}");
        assert!(error.to_string().contains("move it with migrate()"), "{error}");
    }
    assert_eq!(fs::read(place.cache()).unwrap(), CONTENT.as_bytes());
    let config = || {
        let config = Config::new("app").account("cache").path(place.cache()).import_from([]);
        config.store(Store::encrypted_file(source()))
    };
    assert_eq!(config().open().unwrap_err().kind(), ErrorKind::Unprotected);
    // The ways on that the error names.
    let plain = TokenCache::new(FilePersistence::new(place.cache()).unwrap());
    migrate(&plain, &strict).unwrap();
    assert!(is_encrypted(&place));
    assert_eq!(strict.read().unwrap().unwrap().expose(), CONTENT.as_bytes());
    fs::write(place.cache(), CONTENT).unwrap();
    config().fallback([Store::PlaintextFile]).open().unwrap();
    assert!(is_encrypted(&place));
    fs::write(place.cache(), CONTENT).unwrap();
    fs::remove_file(place.cache()).unwrap();
    config().open().unwrap();
}

#[test]
fn plaintext_over_protected_content_that_was_read_is_refused_in_any_case_and_emptying_is_told() {
    let (place, opened) = with_plaintext(CONTENT);
    assert_eq!(opened.read().unwrap().as_deref(), Some(CONTENT));
    assert!(is_encrypted(&place));
    opened.cache.forget();
    assert_eq!(opened.read().unwrap().as_deref(), Some(CONTENT));
    drop(opened.events());
    fs::write(place.cache(), OTHER).unwrap();
    opened.cache.forget();
    assert_eq!(opened.read().unwrap_err().kind(), ErrorKind::Unprotected);
    fs::write(place.cache(), "{}").unwrap();
    opened.cache.forget();
    assert_eq!(opened.read().unwrap().as_deref(), Some("{}"));
    let events = opened.events();
    assert!(matches!(&events[..], [Event::Warning(text)] if text.contains("emptied")), "{events:?}");
}

#[test]
fn the_first_access_encrypts_a_plaintext_cache_at_its_path() {
    for content in [CONTENT, "\u{feff}{\"Account\":{}}"] {
        let (place, opened) = with_plaintext(content);
        opened.file.verify().unwrap();
        assert_eq!(opened.read().unwrap().as_deref(), Some(content));
        assert!(is_encrypted(&place), "{content}");
        assert!(matches!(&opened.events()[..], [Event::Encrypted { path }] if *path == place.cache()));
        // The next access finds an encrypted file and reports nothing.
        opened.cache.forget();
        assert_eq!(opened.read().unwrap().as_deref(), Some(content));
        assert!(opened.events().is_empty());
        assert_eq!(place.names(), ["cache.bin", "key"]);
    }
}

#[test]
fn an_empty_marker_is_an_empty_cache_and_stays_until_the_first_write() {
    let (place, opened) = with_plaintext("{}\n");
    opened.file.verify().unwrap();
    assert_eq!(opened.read().unwrap().as_deref(), Some("{}\n"));
    assert_eq!(fs::read_to_string(place.cache()).unwrap(), "{}\n");
    assert!(opened.events().is_empty());
    opened.write(CONTENT);
    assert!(is_encrypted(&place));
}

#[test]
fn a_write_keeps_the_entries_of_the_plaintext() {
    let (place, opened) = with_plaintext(CONTENT);
    let access = opened.cache.begin_write().unwrap();
    assert_eq!(access.content(), Some(CONTENT.as_bytes()));
    access.commit(OTHER).unwrap();
    assert!(is_encrypted(&place));
}

#[test]
fn opening_can_import_the_plaintext_at_once() {
    let (place, opened) = with_plaintext(CONTENT);
    assert!(opened.file.encrypt_plaintext(&WaitOptions::default()).unwrap());
    assert!(is_encrypted(&place));
    assert!(!opened.file.encrypt_plaintext(&WaitOptions::default()).unwrap());
}

#[test]
fn a_direct_save_does_not_overwrite_a_plaintext_cache_that_was_not_read() {
    let (place, opened) = with_plaintext(CONTENT);
    let guard = CacheLock::new(place.cache()).unwrap().acquire(&WaitOptions::default()).unwrap();
    assert_eq!(opened.file.save(&guard, b"new").unwrap_err().kind(), ErrorKind::Unprotected);
    assert_eq!(fs::read(place.cache()).unwrap(), CONTENT.as_bytes());
    // An empty cache, which siblings write beside a keystore, has nothing to lose.
    fs::write(place.cache(), "{}").unwrap();
    opened.file.save(&guard, b"new").unwrap();
}

#[test]
fn the_plaintext_stays_if_the_key_is_missing() {
    let (place, _) = with_plaintext(CONTENT);
    let keyless = Opened::new(&place.cache(), KeyFile::at(place.path().join("nowhere")), "app/cache");
    assert_eq!(keyless.read().unwrap_err().kind(), ErrorKind::MissingKey);
    assert_eq!(fs::read(place.cache()).unwrap(), CONTENT.as_bytes());
}

#[test]
fn the_plaintext_is_overwritten_on_the_disk_but_not_through_another_hard_link() {
    let (place, opened) = with_plaintext(CONTENT);
    // An open descriptor shows the remaining content of the old file.
    let old = fs::File::open(place.cache()).unwrap();
    opened.read().unwrap();
    let left = std::io::read_to_string(old).unwrap();
    assert_eq!((left.len(), left.trim_matches('\0')), (CONTENT.len(), ""));

    let (place, opened) = with_plaintext(CONTENT);
    let backup = place.path().join("backup");
    fs::hard_link(place.cache(), &backup).unwrap();
    opened.read().unwrap();
    assert_eq!(fs::read_to_string(backup).unwrap(), CONTENT);
    assert!(
        opened
            .events()
            .iter()
            .any(|event| matches!(event, Event::Warning(text) if text.contains("hard links")))
    );
}

#[test]
fn plaintext_that_is_not_a_token_cache_is_damage_and_kept() {
    let (place, opened) = with_plaintext("{\"Account\":{\"torn");
    assert_eq!(opened.read().unwrap_err().kind(), ErrorKind::Damaged);
    opened.write(OTHER);
    let [Event::SetAside { copy, .. }] = &opened.events()[..] else { panic!("one event") };
    assert_eq!(fs::read_to_string(copy).unwrap(), "{\"Account\":{\"torn");
    assert!(is_encrypted(&place));
}

/// Returns the system calls of a run's main thread from its first one on the cache: the name, and its number among the
/// calls of that name, which strace counts for each thread.
fn calls_of(words: &[&str; 4], trace: &Path) -> Vec<(String, usize)> {
    let program = example(words);
    let mut traced = Command::new("strace");
    traced.args(["-f", "-qq", "-s", "512", "-o"]).arg(trace);
    succeed(traced.arg(program.get_program()).args(program.get_args()), b"");
    let mut counts = HashMap::new();
    let mut calls = Vec::new();
    let trace = fs::read_to_string(trace).unwrap();
    let mut main = None;
    for line in trace.lines() {
        // `4711 close(3) = 0`, or `4711 <... close resumed>) = 0` for the rest of a call that another thread interrupted.
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        if *main.get_or_insert(thread) != thread || call.starts_with('<') {
            continue;
        }
        let Some((name, rest)) = call.split_once('(') else { continue };
        let nth = counts.entry(name.to_owned()).or_insert(0);
        *nth += 1;
        // The arguments of the program itself contain the path too. Most calls name the file in its open directory.
        let named = Path::new(words[0]).file_name().unwrap().to_str().unwrap();
        if name != "execve" && (!calls.is_empty() || rest.contains(named)) {
            calls.push((name.to_owned(), *nth));
        }
    }
    calls
}

#[test]
fn a_kill_at_any_system_call_of_the_import_loses_no_account() {
    let place = Place::new();
    let source = format!("key-file:{}", place.key("key").display());
    let cache = place.cache();
    let words = [cache.to_str().unwrap(), "app/cache", &source, "read"];
    fs::write(&cache, CONTENT).unwrap();
    // The first run creates the private lock file, which stays; later runs do not.
    assert_eq!(succeed(&mut example(&words), b""), CONTENT);
    fs::write(&cache, CONTENT).unwrap();
    let elsewhere = Place::new();
    let calls = calls_of(&words, &elsewhere.path().join("trace"));
    assert!(calls.iter().any(|(name, _)| name.starts_with("rename")), "{calls:?}");
    let mut killed = 0;
    for (name, nth) in &calls {
        fs::write(&cache, CONTENT).unwrap();
        let program = example(&words);
        let mut traced = Command::new("strace");
        traced.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("inject={name}:signal=KILL:when={nth}")]);
        traced.arg(program.get_program()).args(program.get_args());
        let output = run(&mut traced, b"");
        killed += u32::from(!output.status.success());
        assert!(output.status.success() || output.status.signal() == Some(9), "{name} {nth}: {output:?}");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.is_empty() || said == CONTENT, "{said}");
        assert_eq!(succeed(&mut example(&words), b""), CONTENT, "killed at {name} {nth}");
        assert!(is_encrypted(&place));
        assert_eq!(place.names(), ["cache.bin", "key"], "killed at {name} {nth}");
    }
    println!("killed at {killed} of {} system calls", calls.len());
    assert!(killed > 60 && killed as usize + 5 > calls.len(), "{killed} of {}", calls.len());
}
