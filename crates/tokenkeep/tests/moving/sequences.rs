//! No account is lost in any sequence of stores that become available, disappear or are replaced.

use std::collections::BTreeSet;
use std::fs;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tokenkeep::key_source::KeyFile;
use tokenkeep::{
    Protector, Secret,
    storage::{Keystore, Sealed, SecretServiceItem},
};

use crate::keyring::Keyring;
use crate::stores::{APP, Home, answer, cache_of, people_in, succeed};
use crate::support::scale;

/// A change to a user's cache.
#[derive(Clone, Debug)]
enum Act {
    /// A sign-in in a program with this configuration.
    SignIn { keyring: bool, fallbacks: Fallbacks },
    /// A sign-in with another library, which writes plaintext only.
    SignInElsewhere,
    /// A migration by the user.
    Migrate { from: Place, to: Place },
}

#[derive(Clone, Copy, Debug)]
enum Fallbacks {
    None,
    Plain,
    Key,
    Both,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Item,
    Plain,
    Sealed,
    /// A plaintext file at another path.
    Other,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    use {Fallbacks as F, Place as P};
    let fallbacks = prop::sample::select(vec![F::None, F::Plain, F::Key, F::Both]);
    let places = || prop::sample::select(vec![P::Item, P::Plain, P::Sealed, P::Other]);
    let act = prop_oneof![
        4 => (any::<bool>(), fallbacks).prop_map(|(keyring, fallbacks)| Act::SignIn { keyring, fallbacks }),
        1 => Just(Act::SignInElsewhere),
        3 => (places(), places()).prop_map(|(from, to)| Act::Migrate { from, to }),
    ];
    vec(act, 2..10)
}

/// A user's cache.
struct World<'a> {
    home: Home,
    keyring: &'a Keyring,
    item: SecretServiceItem,
    signed_in: BTreeSet<String>,
}

impl<'a> World<'a> {
    fn new(keyring: &'a Keyring) -> Self {
        let item = SecretServiceItem::new(APP, "token_cache").unwrap().on_bus(keyring.bus.address());
        item.delete().unwrap();
        Self { home: Home::new(), keyring, item, signed_in: BTreeSet::new() }
    }

    fn fallbacks(&self, fallbacks: Fallbacks) -> String {
        let key = format!("key={}", self.home.key().display());
        match fallbacks {
            Fallbacks::None => "none".to_owned(),
            Fallbacks::Plain => "plain".to_owned(),
            Fallbacks::Key => key,
            Fallbacks::Both => format!("{key},plain"),
        }
    }

    fn place(&self, place: Place) -> String {
        let path = self.home.cache();
        match place {
            Place::Item => format!("item:{APP}:{}", path.display()),
            Place::Plain => format!("plain:{}", path.display()),
            Place::Sealed => format!("sealed:{}:{}", self.home.key().display(), path.display()),
            Place::Other => format!("plain:{}", self.home.path().join("other-cache").display()),
        }
    }

    fn act(&mut self, act: &Act) {
        let who = format!("person-{}", self.signed_in.len());
        match act {
            Act::SignIn { keyring, fallbacks } => {
                let (cache, path) = (cache_of(&[&who]), self.home.cache());
                let fallbacks = self.fallbacks(*fallbacks);
                let words = ["open", path.to_str().unwrap(), APP, &fallbacks, "add", &cache];
                // A refusal for want of a store or a key is allowed. A success that loses the account is not.
                if answer(&self.home, keyring.then_some(self.keyring), &words).starts_with("ok") {
                    self.signed_in.insert(who);
                }
            }
            Act::SignInElsewhere => {
                let old = fs::read(self.home.cache()).unwrap_or_default();
                if !old.starts_with(b"\x89TKS") {
                    let mut people = people_in(&old);
                    people.insert(who.clone());
                    let people: Vec<_> = people.iter().map(String::as_str).collect();
                    fs::write(self.home.cache(), cache_of(&people)).unwrap();
                    self.signed_in.insert(who);
                }
            }
            Act::Migrate { from, to } => {
                answer(&self.home, Some(self.keyring), &["migrate", &self.place(*from), &self.place(*to)]);
            }
        }
    }

    /// Returns the accounts in all stores, read without the library's choice of a store.
    fn found(&self) -> BTreeSet<String> {
        let item = self.item.load().unwrap().map(|content| people_in(content.expose())).unwrap_or_default();
        let file = fs::read(self.home.cache()).unwrap_or_default();
        let other = people_in(&fs::read(self.home.path().join("other-cache")).unwrap_or_default());
        let file = if file.starts_with(b"\x89TKS") {
            let sealed = Sealed::new(KeyFile::at(self.home.key()), format!("{APP}/token_cache"));
            people_in(sealed.unprotect(Secret::new(file)).unwrap().expose())
        } else {
            people_in(&file)
        };
        item.into_iter().chain(file).chain(other).collect()
    }

    /// Moves all content into the keyring and returns the accounts in it.
    fn gather(&self) -> BTreeSet<String> {
        let (home, keyring) = (&self.home, Some(self.keyring));
        let (path, fallbacks) = (home.cache(), self.fallbacks(Fallbacks::Both));
        let words = ["open", path.to_str().unwrap(), APP, &fallbacks, "read"];
        succeed(home, keyring, &words);
        succeed(home, keyring, &["migrate", &self.place(Place::Other), &self.place(Place::Item)]);
        let said = succeed(home, keyring, &words).replace("\\\"", "\"");
        people_in(said.as_bytes())
    }
}

#[test]
fn no_account_is_lost_in_any_sequence_of_changes() {
    let keyring = Keyring::start();
    let cases = u32::try_from(8 * scale()).unwrap();
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&acts(), |acts| {
        let mut world = World::new(&keyring);
        for act in &acts {
            world.act(act);
            let found = world.found();
            prop_assert_eq!(&found, &world.signed_in, "after {:?}: {:?}", act, world.home.names());
        }
        prop_assert_eq!(&world.gather(), &world.signed_in, "gathered");
        prop_assert!(!world.home.shows("hush-"), "{:?}", world.home.names());
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn ten_moves_in_both_directions_lose_no_account() {
    let keyring = Keyring::start();
    let mut world = World::new(&keyring);
    for round in 0..10 {
        let keyring = round % 2 == 0;
        world.act(&Act::SignIn { keyring, fallbacks: Fallbacks::Both });
        world.act(&Act::Migrate { from: Place::Item, to: Place::Sealed });
        world.act(&Act::Migrate { from: Place::Sealed, to: Place::Plain });
        world.act(&Act::Migrate { from: Place::Plain, to: Place::Other });
        world.act(&Act::Migrate { from: Place::Other, to: Place::Item });
        assert_eq!(world.found(), world.signed_in, "round {round}");
    }
    assert_eq!((world.gather(), world.signed_in.len()), (world.signed_in.clone(), 10));
}
