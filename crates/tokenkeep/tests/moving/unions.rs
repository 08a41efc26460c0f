//! Merges of two random caches: the result has every entry of either, each in its newer version.

use std::collections::BTreeMap;

use proptest::collection::btree_map;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};
use tokenkeep::moving::migrate;
use tokenkeep::schema::Section;
use tokenkeep::{
    TokenCache,
    options::Durability,
    storage::{FilePersistence, MemoryPersistence},
};

use crate::stores::Home;
use crate::support::scale;

/// The entries and their versions, by section (the last one is unknown to all libraries), owner and number.
type Model = BTreeMap<(usize, u8, u8), u8>;

fn name(section: usize) -> &'static str {
    Section::ALL.get(section).map_or("Later", |section| section.name())
}

fn text(model: &Model) -> String {
    // Without a known section it would not be a token cache.
    let mut root: BTreeMap<&str, Map<String, Value>> = BTreeMap::from([("Account", Map::new())]);
    for (&(section, who, slot), &version) in model {
        let entry = json!({
            "home_account_id": format!("person-{who}"), "client_id": format!("c-{who}-{slot}"), "credential_type": name(section),
            "environment": "login.windows.net", "realm": format!("{slot}"), "target": format!("scope-{slot}"),
            // Other libraries write other members, and times as text.
            "cached_at": version.to_string(), "secret": format!("hush {version}"),
        });
        root.entry(name(section)).or_default().insert(format!("{who}-{slot}"), entry);
    }
    serde_json::to_string(&root).unwrap()
}

fn versions(text: &[u8]) -> BTreeMap<(String, String), String> {
    let root: Map<String, Value> = serde_json::from_slice(text).unwrap();
    let entries = root.iter().flat_map(|(section, entries)| {
        let entries = entries.as_object().unwrap();
        entries.iter().map(move |(key, entry)| {
            let version = entry["secret"].as_str().unwrap().to_owned();
            assert_eq!(version, format!("hush {}", entry["cached_at"].as_str().unwrap()), "two are mixed");
            ((section.clone(), key.clone()), version)
        })
    });
    entries.collect()
}

fn caches() -> impl Strategy<Value = Model> {
    btree_map((0..6_usize, 0..3_u8, 0..3_u8), 1..4_u8, 1..25)
}

#[test]
fn a_merge_has_every_entry_of_either_side_in_its_newer_version() {
    let home = Home::new();
    let path = home.cache();
    let cases = u32::try_from(64 * scale()).unwrap();
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&(caches(), caches()), |(arriving, staying)| {
        let from = TokenCache::new(MemoryPersistence::new());
        let to = FilePersistence::new(&path).unwrap().durability(Durability::Cached);
        let to = TokenCache::new(to);
        from.begin_write().unwrap().commit(text(&arriving)).unwrap();
        to.begin_write().unwrap().commit(text(&staying)).unwrap();
        let done = migrate(&from, &to).unwrap();

        let found = versions(to.read().unwrap().unwrap().expose());
        let mut expected = Model::new();
        let (mut taken, mut outdated) = (0, 0);
        for (key, version) in arriving.iter().chain(&staying) {
            let other = expected.entry(*key).or_insert(*version);
            // The age of an unknown entry is unknown, so the target's version is kept.
            *other = if key.0 == Section::ALL.len() { *other } else { *version.max(other) };
        }
        for (key, version) in &arriving {
            match staying.get(key) {
                Some(old) if old == version => {}
                Some(old) if old > version && key.0 < Section::ALL.len() => outdated += 1,
                _ => taken += 1,
            }
        }
        let name_of =
            |(section, who, slot): &(usize, u8, u8)| (name(*section).to_owned(), format!("{who}-{slot}"));
        let expected: BTreeMap<_, _> =
            expected.iter().map(|(key, version)| (name_of(key), format!("hush {version}"))).collect();
        prop_assert_eq!(found, expected);
        prop_assert_eq!((done.entries, done.outdated), (taken, outdated));
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

/// Two caches of which every entry is of one account, or of one family: the worst case for finding the same entries.
#[test]
fn the_work_of_a_merge_grows_with_the_number_of_entries_and_not_with_its_square() {
    let cache = |side: &str, count: usize| {
        let member = |at: usize| {
            format!(
                r#""{side}-at-{at}":{{"credential_type":"AccessToken","home_account_id":"u.t","environment":"e","client_id":"c","realm":"t","target":"s{at}","cached_at":"{at}","secret":"{side}"}}"#
            )
        };
        let refresh = |at: usize| {
            format!(
                r#""{side}-rt-{at}":{{"credential_type":"RefreshToken","home_account_id":"u.t","environment":"e","client_id":"{side}{at}","family_id":"1","last_modification_time":"{at}","secret":"{side}"}}"#
            )
        };
        let list = |make: &dyn Fn(usize) -> String| (0..count).map(make).collect::<Vec<_>>().join(",");
        format!(r#"{{"AccessToken":{{{}}},"RefreshToken":{{{}}}}}"#, list(&member), list(&refresh))
    };
    let cost = |count: usize| {
        let home = Home::new();
        let from = TokenCache::new(MemoryPersistence::new());
        let to = FilePersistence::new(home.cache()).unwrap().durability(Durability::Cached);
        let to = TokenCache::new(to);
        from.begin_write().unwrap().commit(cache("one", count)).unwrap();
        to.begin_write().unwrap().commit(cache("two", count)).unwrap();
        let now = || {
            let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
            time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
        };
        let before = now();
        migrate(&from, &to).unwrap();
        let content = to.read().unwrap().unwrap();
        assert!(content.expose().windows(8).filter(|part| *part == b"two-at-0").count() == 1);
        now() - before
    };
    cost(100);
    let (small, large) = (cost(400), cost(3_200));
    assert!(large < 24.0 * small, "eight times the entries took {} times the work", large / small);
}
