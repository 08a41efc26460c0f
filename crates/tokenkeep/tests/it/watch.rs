//! Watching: every change by another process is reported, once, and at a limited rate.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
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

/// After this time no event can come: several times the watcher's own pause.
const QUIET: Duration = Duration::from_millis(1_000);

/// Returns a cache with these accounts signed in.
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

/// A watcher, and the accounts according to its events.
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

    /// With accounts that are signed in already.
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

    /// Receives events until these are the accounts.
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
fn a_watcher_takes_times_of_any_length() {
    let place = Place::new();
    let cache = open(&place.cache());
    let mut options = WatchOptions::default();
    options.reread_every = Some(Duration::MAX);
    let mut witness = Witness::with(&cache, options);
    open(&place.cache()).begin_write().unwrap().commit(cache_of(&["ada"])).unwrap();
    witness.until(&set(&["ada"]));
    let mut options = WatchOptions::default();
    options.coalesce = Duration::MAX;
    Witness::with(&cache, options).hears_nothing();
}

#[test]
fn sign_ins_and_outs_of_others_are_reported_and_own_ones_are_not() {
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

    // A change by another process is reported also if an own write is the first to see it.
    other.ask(&format!("write {}", cache_of(&["bob", "cay"])));
    cache.update(|old| String::from_utf8_lossy(old.unwrap()).replace("}}}", "}}} ")).unwrap();
    let event = witness.next();
    assert_eq!((names(&event.added), names(&event.removed)), (vec!["cay".into()], vec!["ada".into()]));

    // The content of an earlier own write, written by another process.
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
fn many_quick_writes_cause_few_events_that_miss_no_account() {
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
fn all_watchers_see_all_accounts_of_eight_processes_that_write_at_once() {
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
fn a_directory_that_is_removed_and_created_again_is_watched_again() {
    let place = Place::new();
    let folder = place.directory().join("one").join("two");
    let path = folder.join("cache.json");
    let cache = open(&path);
    // Neither the directory nor its parent exists yet.
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
    // Recreated directly, so that the watcher cannot have checked in between.
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
fn writes_in_place_by_siblings_and_through_links_are_reported() {
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
fn a_writer_stopped_between_truncating_and_filling_signs_no_account_out() {
    let place = Place::new();
    let cache = place.open();
    cache.update(|_| cache_of(&["ada"])).unwrap();
    let mut witness = Witness::of(&cache).knowing(&["ada"]);
    fs::write(place.cache(), "").unwrap();
    std::thread::sleep(Duration::from_millis(600));
    fs::write(place.cache(), cache_of(&["ada", "bob"])).unwrap();
    assert_eq!(names(&witness.next().added), ["bob"]);
    // A file that stays empty has no accounts.
    fs::write(place.cache(), "").unwrap();
    witness.until(&set(&[]));
}

#[test]
fn an_unreadable_cache_is_reported_once_and_signs_no_account_out() {
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
fn no_event_comes_after_the_watcher_was_dropped() {
    let place = Place::new();
    let cache = place.open();
    let (sender, events) = channel();
    let watcher = cache.watch(move |event| drop(sender.send(event))).unwrap();
    drop(watcher);
    fs::write(place.cache(), cache_of(&["ada"])).unwrap();
    // The thread has ended, and with it the callback.
    assert!(matches!(events.recv_timeout(PATIENCE), Err(std::sync::mpsc::RecvTimeoutError::Disconnected)));
}

#[test]
fn changes_of_a_keyring_item_are_reported_by_its_marker_or_without_one_at_the_next_read() {
    let keyring = Keyring::start();
    let (marker, locks): (PathBuf, PathBuf) =
        (keyring.bus.folder().join("cache").join("marker"), keyring.bus.folder().join("locks"));
    let item = SecretServiceItem::new("tokenkeep torture", "an account").unwrap();
    let item = item.on_bus(keyring.bus.address());
    let persistence = KeystorePersistence::new(&marker, item).unwrap().lock_directory(&locks);
    let cache = TokenCache::new(persistence);
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

    // Like keytar: the item without the marker.
    other.ask(&format!("write {}", cache_of(&["ada"])));
    witness.until(&set(&["ada"]));
    let by_hand = ["store", "--label=x", "xdg:schema", "org.freedesktop.Secret.Generic"];
    let by_hand = [&by_hand[..], &["service", "tokenkeep torture", "account", "an account"]].concat();
    let output = keyring.secret_tool(&by_hand, &cache_of(&["eve"]));
    assert!(output.status.success(), "{output:?}");
    witness.until(&set(&["eve"]));
}
