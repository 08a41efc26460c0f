//! Prompts, with a fake service: the user answers, refuses, or is away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tokenkeep::{
    ErrorKind,
    options::Prompting,
    storage::{Keystore, SecretServiceItem},
};
use zbus::object_server::SignalEmitter;
use zbus::wire::{ObjectPath, OwnedObjectPath, OwnedVariant, Variant};
use zbus::{Connection, interface};

use crate::keyring::Bus;
use crate::{assert_kind, failure, item};

const COLLECTION: &str = "/org/freedesktop/secrets/collection/own";

/// The reaction of the user to a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Person {
    Answers,
    Dismisses,
    IsAway,
}

/// A Secret Service with one collection, which is locked until the user answers its prompt.
#[derive(Clone, Debug)]
struct Service {
    person: Person,
    has_collection: Arc<AtomicBool>,
    locked: Arc<AtomicBool>,
    prompts: Arc<AtomicUsize>,
    dismissed: Arc<AtomicUsize>,
}

impl Service {
    fn new(person: Person) -> Self {
        Self {
            person,
            has_collection: Arc::new(AtomicBool::new(true)),
            locked: Arc::new(AtomicBool::new(true)),
            prompts: Arc::default(),
            dismissed: Arc::default(),
        }
    }

    /// Serves on `bus` until the connection is dropped.
    fn serve(&self, bus: &Bus) -> Connection {
        zbus::block_on(async {
            let connection = bus.connect().await;
            let server = connection.object_server();
            assert!(server.at("/org/freedesktop/secrets", self.clone()).await.unwrap().is_none());
            assert!(server.at("/prompt", Prompt(self.clone())).await.unwrap().is_none());
            assert!(server.at(COLLECTION, Collection(self.clone())).await.unwrap().is_none());
            connection.request_name("org.freedesktop.secrets").await.unwrap();
            connection
        })
    }
}

fn path(text: &'static str) -> ObjectPath<'static> {
    ObjectPath::try_from(text).unwrap()
}

#[interface(name = "org.freedesktop.Secret.Service")]
impl Service {
    fn open_session(&self, _algorithm: &str, _input: OwnedVariant) -> (OwnedVariant, OwnedObjectPath) {
        // Any element of the group, because these tests read no secret.
        let mut public = [0_u8; 128];
        public[127] = 4;
        (Variant::from(&public[..]).try_into().unwrap(), path("/session").into())
    }

    fn search_items(
        &self,
        _attributes: std::collections::HashMap<String, String>,
    ) -> (Vec<OwnedObjectPath>, Vec<OwnedObjectPath>) {
        (Vec::new(), Vec::new())
    }

    fn read_alias(&self, name: &str) -> OwnedObjectPath {
        let there = name == "default" && self.has_collection.load(Ordering::SeqCst);
        path(if there { COLLECTION } else { "/" }).into()
    }

    fn unlock(&self, _objects: Vec<OwnedObjectPath>) -> (Vec<OwnedObjectPath>, OwnedObjectPath) {
        (Vec::new(), path("/prompt").into())
    }

    fn create_collection(
        &self,
        _properties: std::collections::HashMap<String, OwnedVariant>,
        alias: &str,
    ) -> (OwnedObjectPath, OwnedObjectPath) {
        assert_eq!(alias, "default");
        (path("/").into(), path("/prompt").into())
    }
}

struct Prompt(Service);

#[interface(name = "org.freedesktop.Secret.Prompt")]
impl Prompt {
    async fn prompt(&self, _window: &str, #[zbus(signal_emitter)] emitter: SignalEmitter<'_>) {
        self.0.prompts.fetch_add(1, Ordering::SeqCst);
        if self.0.person == Person::Answers {
            self.0.locked.store(false, Ordering::SeqCst);
            self.0.has_collection.store(true, Ordering::SeqCst);
        }
        if self.0.person != Person::IsAway {
            let dismissed = self.0.person == Person::Dismisses;
            emitter.completed(dismissed, Variant::from("")).await.unwrap();
        }
    }

    fn dismiss(&self) {
        self.0.dismissed.fetch_add(1, Ordering::SeqCst);
    }

    #[zbus(signal)]
    async fn completed(emitter: &SignalEmitter<'_>, dismissed: bool, result: Variant<'_>)
    -> zbus::Result<()>;
}

struct Collection(Service);

#[interface(name = "org.freedesktop.Secret.Collection")]
impl Collection {
    fn create_item(
        &self,
        _properties: std::collections::HashMap<String, OwnedVariant>,
        _secret: (OwnedObjectPath, Vec<u8>, Vec<u8>, String),
        _replace: bool,
    ) -> (OwnedObjectPath, OwnedObjectPath) {
        (path("/").into(), path("/prompt").into())
    }

    #[zbus(property)]
    fn locked(&self) -> bool {
        self.0.locked.load(Ordering::SeqCst)
    }
}

const LIMIT: Duration = Duration::from_millis(400);

fn asking(bus: &Bus) -> SecretServiceItem {
    item(bus).prompting(Prompting::Allowed { limit: LIMIT })
}

#[test]
fn an_answered_prompt_unlocks_the_keyring() {
    let (bus, service) = (Bus::start(), Service::new(Person::Answers));
    let _connection = service.serve(&bus);
    let item = asking(&bus);
    assert_eq!(item.load().unwrap(), None);
    assert_eq!(service.prompts.load(Ordering::SeqCst), 1);
    // Once unlocked, there is no further prompt.
    assert_eq!(item.load().unwrap(), None);
    assert_eq!(service.prompts.load(Ordering::SeqCst), 1);
}

#[test]
fn a_dismissed_prompt_leaves_the_keyring_locked() {
    let (bus, service) = (Bus::start(), Service::new(Person::Dismisses));
    let _connection = service.serve(&bus);
    let (error, _) = failure(|| asking(&bus).load());
    assert_kind(&error, ErrorKind::StoreLocked, "dismissed");
}

#[test]
fn an_unanswered_prompt_is_removed_after_its_limit() {
    let (bus, service) = (Bus::start(), Service::new(Person::IsAway));
    let _connection = service.serve(&bus);
    // The time for the user is separate: it may be longer than the deadline of the operation.
    let item = asking(&bus).deadline(LIMIT / 2);
    let (error, time) = failure(|| item.load());
    assert_kind(&error, ErrorKind::StoreLocked, "nobody answered");
    assert!(time.clock >= LIMIT && time.naps < LIMIT * 3, "{time:?}");
    assert_eq!(service.dismissed.load(Ordering::SeqCst), 1);
}

#[test]
fn the_end_of_the_service_during_its_prompt_ends_the_wait() {
    let (bus, service) = (Bus::start(), Service::new(Person::IsAway));
    let connection = service.serve(&bus);
    let item = item(&bus).prompting(Prompting::Allowed { limit: Duration::from_secs(60) });
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while service.prompts.load(Ordering::SeqCst) == 0 {
                std::thread::sleep(Duration::from_millis(5));
            }
            zbus::block_on(connection.close()).unwrap();
        });
        let (error, time) = failure(|| item.load());
        assert_kind(&error, ErrorKind::StoreUnavailable, "no Secret Service");
        assert!(time.naps < Duration::from_secs(10), "{time:?}");
    });
}

#[test]
fn without_permission_no_prompt_is_created() {
    let (bus, service) = (Bus::start(), Service::new(Person::Answers));
    let _connection = service.serve(&bus);
    assert_kind(&item(&bus).load().unwrap_err(), ErrorKind::StoreLocked, "not allowed");
    assert_kind(&item(&bus).verify().unwrap_err(), ErrorKind::StoreLocked, "not allowed");
    assert_eq!(service.prompts.load(Ordering::SeqCst), 0);
}

#[test]
fn verification_prompts_to_unlock_the_keyring_but_not_for_its_probe() {
    let (bus, service) = (Bus::start(), Service::new(Person::Answers));
    let _connection = service.serve(&bus);
    // The service prompts again for each new item; the probe must not cause that.
    let error = asking(&bus).verify().unwrap_err();
    assert_kind(&error, ErrorKind::StoreLocked, "not allowed");
    assert_eq!(service.prompts.load(Ordering::SeqCst), 1);
    assert_eq!(service.dismissed.load(Ordering::SeqCst), 1);
}

#[test]
fn a_missing_default_collection_is_created_through_a_prompt() {
    let (bus, service) = (Bus::start(), Service::new(Person::Answers));
    service.has_collection.store(false, Ordering::SeqCst);
    let _connection = service.serve(&bus);
    assert_kind(&item(&bus).load().unwrap_err(), ErrorKind::StoreUnavailable, "no default collection");
    assert_eq!(asking(&bus).load().unwrap(), None);
    assert_eq!(service.prompts.load(Ordering::SeqCst), 1);
}
