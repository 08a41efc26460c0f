//! Watching: what other processes change is told, all of it, once, and without flooding anybody.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use tokenkeep::storage::{KeystorePersistence, SecretServiceItem};
use tokenkeep::watch::{CacheChanged, CacheWatcher, WatchOptions, WatchedAccount};
use tokenkeep::{ErrorKind, Result, TokenCache};

use crate::keyring::Keyring;
use crate::support::worker::{self, Worker};
use crate::support::{Place, open, scale};

/// An event that comes at all comes much sooner, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// After this long nothing comes any more: several times what a watcher waits for others.
const QUIET: Duration = Duration::from_millis(1_000);

/// A cache with these people signed in.
fn cache_of(names: &[&str]) -> String {
    let accounts: Vec<String> = names
        .iter()
        .map(|name| {
            format!(
                r#""{name}":{{"home_account_id":"{name}.tenant","environment":"login.windows.net","realm":"tenant","username":"{name}"}}"#
            )
        })
        .collect();
    format!(r#"{{"Account":{{{}}}}}"#, accounts.join(","))
}

/// A watcher, and everybody as its events have it.
struct Witness {
    events: Receiver<Result<CacheChanged>>,
    people: BTreeSet<String>,
    heard: usize,
    _watcher: CacheWatcher,
}

impl Witness {
    fn of(cache: &TokenCache) -> Self {
        Self::with(cache, WatchOptions::default())
    }

    /// Beside people who are there already.
    fn knowing(mut self, names: &[&str]) -> Self {
        self.people = set(names);
        self
    }

    fn with(cache: &TokenCache, options: WatchOptions) -> Self {
        let (sender, events) = channel();
        let watcher = cache.watch_with(options, move |event| drop(sender.send(event))).unwrap();
        Self { events, people: BTreeSet::new(), heard: 0, _watcher: watcher }
    }

    fn next(&mut self) -> CacheChanged {
        let event = self.events.recv_timeout(PATIENCE).expect("an event").unwrap();
        self.follow(&event);
        event
    }

    fn follow(&mut self, event: &CacheChanged) {
        self.heard += 1;
        assert!(event.added.len() + event.removed.len() + event.changed.len() > 0, "an event of nothing");
        for account in &event.added {
            assert!(self.people.insert(name(account)), "{} was there already: {event:?}", name(account));
        }
        for account in &event.removed {
            assert!(self.people.remove(&name(account)), "{} was not there: {event:?}", name(account));
        }
    }

    /// Takes in events until it is these people.
    fn until(&mut self, expected: &BTreeSet<String>) {
        while self.people != *expected {
            self.next();
        }
    }

    fn hears_nothing(&self) {
        let event = self.events.recv_timeout(QUIET);
        assert!(event.is_err(), "{event:?}");
    }
}

fn name(account: &WatchedAccount) -> String {
    account.username.clone().unwrap()
}

fn names(accounts: &[WatchedAccount]) -> Vec<String> {
    accounts.iter().map(name).collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

fn people(path: &Path, name: &str, count: usize) -> Command {
    let mut command = worker::command("people", path);
    command.args([name, &count.to_string()]);
    command
}

#[test]
fn who_signs_in_and_out_elsewhere_is_told_and_what_one_does_oneself_is_not() {
    let place = Place::new();
    let cache = place.open();
    cache.update(|_| cache_of(&["ada"])).unwrap();
    let mut witness = Witness::of(&cache).knowing(&["ada"]);
    let mut other = Worker::serve(&place.cache());

    other.ask(&format!("write {}", cache_of(&["ada", "bob"])));
    let event = witness.next();
    assert_eq!((names(&event.added), event.removed.len(), event.changed.len()), (vec!["bob".into()], 0, 0));
    assert_eq!(event.added[0].home_account_id, "bob.tenant");
    assert_eq!(event.added[0].tenants, ["tenant"]);

    cache.update(|_| cache_of(&["ada", "bob", "own"])).unwrap();
    cache.clone().update(|_| cache_of(&["ada", "bob"])).unwrap();
    witness.hears_nothing();

    // What others did, seen by one's own write first, is still what others did.
    other.ask(&format!("write {}", cache_of(&["bob", "cay"])));
    cache.update(|old| String::from_utf8_lossy(old.unwrap()).replace("}}}", "}}} ")).unwrap();
    let event = witness.next();
    assert_eq!((names(&event.added), names(&event.removed)), (vec!["cay".into()], vec!["ada".into()]));

    // The same content as an own write of before, but written by somebody else.
    cache.clear().unwrap();
    witness.people.clear();
    other.ask(&format!("write {}", cache_of(&["bob"])));
    assert_eq!(names(&witness.next().added), ["bob"]);
    other.ask("delete");
    assert_eq!(names(&witness.next().removed), ["bob"]);
    witness.hears_nothing();
}

#[test]
fn a_new_refresh_token_is_a_change_and_a_new_access_token_is_not() {
    let place = Place::new();
    let cache = place.open();
    let with = |section: &str, secret: &str| {
        let entry =
            r#""key":{"home_account_id":"ADA.tenant","environment":"login.microsoftonline.com","secret":""#;
        cache_of(&["ada"]).replacen('{', &format!(r#"{{"{section}":{{{entry}{secret}"}}}},"#), 1)
    };
    fs::write(place.cache(), with("RefreshToken", "one")).unwrap();
    let mut witness = Witness::of(&cache).knowing(&["ada"]);
    fs::write(place.cache(), with("RefreshToken", "two")).unwrap();
    let event = witness.next();
    assert_eq!((names(&event.changed), event.added.len(), event.removed.len()), (vec!["ada".into()], 0, 0));
    assert!(!format!("{event:?}").contains("two"), "{event:?}");
    let both = with("RefreshToken", "two").replacen('{', r#"{"AccessToken":{"a":{"secret":"new"}},"#, 1);
    fs::write(place.cache(), both).unwrap();
    witness.hears_nothing();
}

#[test]
fn many_quick_writes_are_few_events_that_miss_nobody() {
    let place = Place::in_memory();
    let cache = place.open();
    let mut witness = Witness::of(&cache);
    let count = 100 * usize::try_from(scale()).unwrap();
    let began = Instant::now();
    let mut other = Worker::start(people(&place.cache(), "p", count));
    assert!(other.finish().success());
    let writes = count + count / 2;
    let expected: BTreeSet<String> = (0..count).step_by(2).map(|number| format!("p{number}")).collect();
    witness.until(&expected);
    // One in 200 ms, and one before and after.
    let most = usize::try_from(began.elapsed().as_millis() / 200).unwrap() + 2;
    assert!(witness.heard <= most, "{} events of {writes} writes", witness.heard);
    witness.hears_nothing();
}

#[test]
fn eight_processes_that_write_at_once_are_seen_whole_by_all_who_watch() {
    let place = Place::in_memory();
    let caches: Vec<TokenCache> = (0..3).map(|_| place.open()).collect();
    let mut witnesses: Vec<Witness> = caches.iter().map(Witness::of).collect();
    let count = 10 * usize::try_from(scale()).unwrap();
    let writers: Vec<Worker> =
        (0..8).map(|number| Worker::start(people(&place.cache(), &format!("w{number}-"), count))).collect();
    for mut writer in writers {
        assert!(writer.finish().success());
    }
    let expected: BTreeSet<String> = (0..8)
        .flat_map(|writer| (0..count).step_by(2).map(move |number| format!("w{writer}-{number}")))
        .collect();
    for witness in &mut witnesses {
        witness.until(&expected);
        witness.hears_nothing();
    }
}

#[test]
fn a_directory_that_goes_and_comes_back_is_watched_again() {
    let place = Place::new();
    let folder = place.directory().join("one").join("two");
    let path = folder.join("cache.json");
    let cache = open(&path);
    // Not there yet, nor what is above it.
    let mut witness = Witness::of(&cache);
    for round in 0..3 {
        fs::create_dir_all(&folder).unwrap();
        let mut other = Worker::serve(&path);
        other.ask(&format!("write {}", cache_of(&["ada"])));
        witness.until(&set(&["ada"]));
        other.ask(&format!("write {}", cache_of(&["ada", "bob"])));
        witness.until(&set(&["ada", "bob"]));
        drop(other);
        if round == 1 {
            fs::rename(&folder, place.directory().join("elsewhere")).unwrap();
        } else {
            fs::remove_dir_all(place.directory().join("one")).unwrap();
        }
        witness.until(&set(&[]));
    }
    // And at once, so that nobody can have looked in between.
    fs::create_dir_all(&folder).unwrap();
    fs::write(&path, cache_of(&["ada"])).unwrap();
    witness.until(&set(&["ada"]));
    fs::remove_dir_all(&folder).unwrap();
    fs::create_dir_all(&folder).unwrap();
    fs::write(&path, cache_of(&["cay"])).unwrap();
    witness.until(&set(&["cay"]));
    fs::write(&path, cache_of(&["cay", "dan"])).unwrap();
    witness.until(&set(&["cay", "dan"]));
}

#[test]
fn siblings_that_write_in_place_and_links_are_seen_through() {
    let place = Place::new();
    let elsewhere = place.directory().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let target = elsewhere.join("real.json");
    fs::write(&target, cache_of(&["ada"])).unwrap();
    std::os::unix::fs::symlink(&target, place.cache()).unwrap();
    let cache = place.open();
    let mut witness = Witness::of(&cache);
    fs::write(&target, cache_of(&["ada", "bob"])).unwrap();
    assert_eq!(names(&witness.next().added), ["bob"]);
}

#[test]
fn a_writer_that_is_stopped_between_emptying_and_filling_signs_nobody_out() {
    let place = Place::new();
    let cache = place.open();
    cache.update(|_| cache_of(&["ada"])).unwrap();
    let mut witness = Witness::of(&cache).knowing(&["ada"]);
    fs::write(place.cache(), "").unwrap();
    std::thread::sleep(Duration::from_millis(600));
    fs::write(place.cache(), cache_of(&["ada", "bob"])).unwrap();
    assert_eq!(names(&witness.next().added), ["bob"]);
    // One that stays empty has nobody in it.
    fs::write(place.cache(), "").unwrap();
    witness.until(&set(&[]));
}

#[test]
fn what_cannot_be_read_is_told_once_and_nobody_is_taken_for_gone() {
    let place = Place::new();
    let cache = place.open();
    cache.update(|_| cache_of(&["ada"])).unwrap();
    let mut witness = Witness::of(&cache).knowing(&["ada"]);
    fs::write(place.cache(), "not a token cache, and it stays that way").unwrap();
    let error = witness.events.recv_timeout(PATIENCE).unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Damaged);
    assert!(witness.events.recv_timeout(Duration::from_secs(3)).is_err(), "told again");
    fs::write(place.cache(), cache_of(&["ada", "bob"])).unwrap();
    assert_eq!(names(&witness.next().added), ["bob"]);
}

#[test]
fn nothing_is_told_after_the_watcher_was_dropped() {
    let place = Place::new();
    let cache = place.open();
    let (sender, events) = channel();
    let watcher = cache.watch(move |event| drop(sender.send(event))).unwrap();
    drop(watcher);
    fs::write(place.cache(), cache_of(&["ada"])).unwrap();
    // The thread has ended, and its callback with it.
    assert!(matches!(events.recv_timeout(PATIENCE), Err(std::sync::mpsc::RecvTimeoutError::Disconnected)));
}

#[test]
fn a_keyring_item_tells_by_its_marker_and_without_one_when_it_is_read_again() {
    let keyring = Keyring::start();
    let (marker, locks): (PathBuf, PathBuf) =
        (keyring.bus.folder().join("cache").join("marker"), keyring.bus.folder().join("locks"));
    let item = SecretServiceItem::new("tokenkeep torture", "an account").unwrap();
    let item = item.on_bus(keyring.bus.address());
    let persistence = KeystorePersistence::new(&marker, item).unwrap().lock_directory(&locks);
    let cache = TokenCache::new(Arc::new(persistence));
    let mut options = WatchOptions::default();
    options.reread_every = Some(Duration::from_millis(500));
    let mut witness = Witness::with(&cache, options);

    let mut other = worker::command("serve-item", &marker);
    let mut other = Worker::start({
        other.arg(keyring.bus.address()).arg(&locks);
        other
    });
    assert_eq!(other.line(), "ready");
    other.ask(&format!("write {}", cache_of(&["ada"])));
    assert_eq!(names(&witness.next().added), ["ada"]);
    other.ask("delete");
    assert_eq!(names(&witness.next().removed), ["ada"]);

    // As keytar does it: the item alone.
    other.ask(&format!("write {}", cache_of(&["ada"])));
    witness.until(&set(&["ada"]));
    let by_hand = ["store", "--label=x", "xdg:schema", "org.freedesktop.Secret.Generic"];
    let by_hand = [&by_hand[..], &["service", "tokenkeep torture", "account", "an account"]].concat();
    let output = keyring.secret_tool(&by_hand, &cache_of(&["eve"]));
    assert!(output.status.success(), "{output:?}");
    witness.until(&set(&["eve"]));
}
