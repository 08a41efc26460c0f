//! A Secret Service in this process whose habits a test chooses: those of other daemons, and all that the specification
//! allows.
#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use aes::Aes128;
use cbc::cipher::block_padding::Pkcs7;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use zbus::fdo;
use zbus::object_server::SignalEmitter;
use zbus::wire::{ObjectPath, OwnedObjectPath, OwnedVariant, Variant};
use zbus::{Connection, ObjectServer, interface};

use crate::keyring::Bus;

#[path = "scripted/exchange.rs"]
mod exchange;

pub(crate) use exchange::Number;
use exchange::agree;

pub(crate) const COLLECTION: &str = "/org/freedesktop/secrets/collection/own";
const SERVICE: &str = "/org/freedesktop/secrets";

/// How a prompt ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prompt {
    Completes,
    CompletesLater(Duration),
    IsDismissed,
    /// Nobody answers it.
    Waits,
}

/// The habits of a service. The default has no prompts, no faults, and an open collection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Habits {
    pub(crate) locked: bool,
    pub(crate) without_collection: bool,
    pub(crate) unlock: Option<Prompt>,
    pub(crate) create: Option<Prompt>,
    pub(crate) delete: Option<Prompt>,
    /// A prompt answers its method `Prompt` only when it has ended.
    pub(crate) prompts_answer_at_their_end: bool,
    /// A search waits while the collection is locked.
    pub(crate) searches_wait: bool,
    /// Each write gives an item another path.
    pub(crate) items_move: bool,
    pub(crate) without_times: bool,
    pub(crate) without_session_alias: bool,
    /// The next sessions, each once; then `Long`.
    pub(crate) numbers: Vec<Number>,
    /// How many of the next sessions have another key than was agreed. What such a session writes is kept as rubbish.
    pub(crate) wrong_keys: u32,
    /// How many of the next secrets are sent so that no key opens them.
    pub(crate) broken_secrets: u32,
    /// The errors of the next calls of a method, each once.
    pub(crate) errors: Vec<(&'static str, &'static str)>,
}

#[derive(Debug, Default)]
struct State {
    habits: Habits,
    items: HashMap<String, Stored>,
    sessions: HashMap<String, [u8; 16]>,
    numbered: u32,
    calls: Vec<&'static str>,
}

#[derive(Clone, Debug)]
struct Stored {
    attributes: HashMap<String, String>,
    content: Vec<u8>,
    locked: bool,
}

/// A service on a bus, and what was asked of it.
#[derive(Clone, Debug)]
pub(crate) struct Scripted(Arc<Mutex<State>>);

/// The work that a prompt does when it completes.
#[derive(Clone, Debug)]
enum Deed {
    Unlock(Vec<OwnedObjectPath>),
    Collection,
    Create(Box<Stored>),
    Delete(String),
}

type Sealed = (OwnedObjectPath, Vec<u8>, Vec<u8>, String);

impl Scripted {
    /// Serves on `bus` until the connection is dropped.
    pub(crate) fn serve(bus: &Bus, habits: Habits) -> (Self, Connection) {
        let service = Self(Arc::new(Mutex::new(State { habits, ..State::default() })));
        let connection = zbus::block_on(async {
            let connection = bus.connect().await;
            let server = connection.object_server();
            server.at(SERVICE, service.clone()).await.expect("a free path");
            server.at(COLLECTION, Collection(service.clone())).await.expect("a free path");
            connection.request_name("org.freedesktop.secrets").await.expect("a free name");
            connection
        });
        (service, connection)
    }

    /// Changes the habits.
    pub(crate) fn habits(&self, change: impl FnOnce(&mut Habits)) {
        change(&mut self.state().habits);
    }

    /// How often a method was called.
    pub(crate) fn count(&self, method: &str) -> usize {
        self.state().calls.iter().filter(|call| **call == method).count()
    }

    /// The contents of all items.
    pub(crate) fn contents(&self) -> Vec<Vec<u8>> {
        self.state().items.values().map(|item| item.content.clone()).collect()
    }

    /// Locks the items of the collection, which stays open.
    pub(crate) fn lock_items(&self) {
        self.state().items.values_mut().for_each(|item| item.locked = true);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("the state")
    }

    /// Notes a call, and fails if it is to fail.
    fn called(&self, method: &'static str) -> Result<(), Fault> {
        let mut state = self.state();
        state.calls.push(method);
        match state.habits.errors.iter().position(|(named, _)| *named == method) {
            Some(at) => Err(Fault::new(state.habits.errors.remove(at).1)),
            None => Ok(()),
        }
    }

    fn next(&self, kind: &str) -> String {
        let mut state = self.state();
        state.numbered += 1;
        format!("{kind}{}", state.numbered)
    }

    /// Does the deed now, or returns its prompt.
    async fn after(
        &self,
        prompt: Option<Prompt>,
        deed: Deed,
        server: &ObjectServer,
    ) -> (OwnedObjectPath, OwnedObjectPath) {
        match prompt {
            None => (self.perform(&deed, server).await, path("/")),
            Some(ending) => {
                let at = self.next("/prompt/");
                let prompt = Shown { service: self.clone(), ending, deed };
                server.at(at.as_str(), prompt).await.expect("a free path");
                (path("/"), path(&at))
            }
        }
    }

    async fn perform(&self, deed: &Deed, server: &ObjectServer) -> OwnedObjectPath {
        match deed {
            Deed::Unlock(objects) => {
                let mut state = self.state();
                state.habits.locked &= !objects.iter().any(|object| object.as_str() == COLLECTION);
                for object in objects {
                    if let Some(item) = state.items.get_mut(object.as_str()) {
                        item.locked = false;
                    }
                }
                path("/")
            }
            Deed::Collection => {
                let mut state = self.state();
                (state.habits.without_collection, state.habits.locked) = (false, false);
                path(COLLECTION)
            }
            Deed::Create(item) => {
                let at = self.next(&format!("{COLLECTION}/"));
                self.put(&at, (**item).clone(), server).await;
                path(&at)
            }
            Deed::Delete(at) => {
                self.state().items.remove(at);
                server.remove::<Item, _>(at.as_str()).await.expect("an item");
                path("/")
            }
        }
    }

    async fn put(&self, at: &str, item: Stored, server: &ObjectServer) {
        self.state().items.insert(at.to_owned(), item);
        server.at(at, Item(self.clone(), at.to_owned())).await.expect("a free path");
    }

    fn open(&self, (session, iv, sealed, _): &Sealed) -> Result<Vec<u8>, Fault> {
        let state = self.state();
        let key = state.sessions.get(session.as_str()).ok_or_else(Fault::no_session)?;
        let cipher = cbc::Decryptor::<Aes128>::new_from_slices(key, iv).map_err(|_| Fault::new("Failed"))?;
        let mut content = sealed.clone();
        match cipher.decrypt_padded::<Pkcs7>(&mut content).map(<[u8]>::len) {
            Ok(length) => {
                content.truncate(length);
                Ok(content)
            }
            Err(_) => Ok(b"rubbish".to_vec()),
        }
    }
}

pub(crate) fn path(text: &str) -> OwnedObjectPath {
    OwnedObjectPath::try_from(text.to_owned()).expect("a path")
}

/// An error of the service, by its D-Bus name.
#[derive(Debug)]
struct Fault(String);

impl Fault {
    fn new(name: &str) -> Self {
        Self(if name.contains('.') { name.to_owned() } else { format!("org.freedesktop.DBus.Error.{name}") })
    }

    fn no_session() -> Self {
        Self::new("org.freedesktop.Secret.Error.NoSession")
    }
}

impl zbus::DBusError for Fault {
    fn create_reply(&self, call: &zbus::message::Header<'_>) -> zbus::Result<zbus::Message> {
        zbus::Message::error(call, self.name()).build(&("in the service's own words",))
    }

    fn name(&self) -> zbus::names::ErrorName<'_> {
        zbus::names::ErrorName::try_from(self.0.as_str()).expect("a name")
    }

    fn description(&self) -> Option<&str> {
        None
    }
}

#[interface(name = "org.freedesktop.Secret.Service")]
impl Scripted {
    async fn open_session(
        &self,
        algorithm: &str,
        input: OwnedVariant,
        #[zbus(object_server)] server: &ObjectServer,
    ) -> Result<(OwnedVariant, OwnedObjectPath), Fault> {
        self.called("OpenSession")?;
        assert_eq!(algorithm, "dh-ietf1024-sha256-aes128-cbc-pkcs7");
        let theirs = Vec::<u8>::try_from(input).expect("a number");
        let wanted = {
            let mut state = self.state();
            if state.habits.numbers.is_empty() { Number::Long } else { state.habits.numbers.remove(0) }
        };
        let (public, mut key) = agree(&theirs, wanted);
        {
            let habits = &mut self.state().habits;
            if habits.wrong_keys > 0 {
                habits.wrong_keys -= 1;
                key = [9; 16];
            }
        }
        let at = self.next("/session/");
        self.state().sessions.insert(at.clone(), key);
        server.at(at.as_str(), Session(self.clone(), at.clone())).await.expect("a free path");
        Ok((Variant::from(&public[..]).try_into().expect("a value"), path(&at)))
    }

    async fn search_items(
        &self,
        attributes: HashMap<String, String>,
    ) -> Result<(Vec<OwnedObjectPath>, Vec<OwnedObjectPath>), Fault> {
        self.called("SearchItems")?;
        let waits = || {
            let state = self.state();
            state.habits.locked && state.habits.searches_wait
        };
        if waits() {
            std::future::pending::<()>().await;
        }
        let state = self.state();
        let has =
            |item: &Stored| attributes.iter().all(|(name, value)| item.attributes.get(name) == Some(value));
        let found = state.items.iter().filter(|(_, item)| has(item));
        let (locked, unlocked): (Vec<_>, Vec<_>) =
            found.map(|(at, item)| (path(at), item.locked)).partition(|(_, locked)| *locked);
        let paths = |found: Vec<(OwnedObjectPath, bool)>| found.into_iter().map(|(at, _)| at).collect();
        Ok((paths(unlocked), paths(locked)))
    }

    fn read_alias(&self, name: &str) -> Result<OwnedObjectPath, Fault> {
        let state = self.state();
        match name {
            "session" if state.habits.without_session_alias => Err(Fault::new("Failed")),
            "default" if !state.habits.without_collection => Ok(path(COLLECTION)),
            _ => Ok(path("/")),
        }
    }

    async fn unlock(
        &self,
        objects: Vec<OwnedObjectPath>,
        #[zbus(object_server)] server: &ObjectServer,
    ) -> Result<(Vec<OwnedObjectPath>, OwnedObjectPath), Fault> {
        self.called("Unlock")?;
        let prompt = self.state().habits.unlock;
        let (_, prompt) = self.after(prompt, Deed::Unlock(objects.clone()), server).await;
        Ok((if prompt.as_str() == "/" { objects } else { Vec::new() }, prompt))
    }

    async fn create_collection(
        &self,
        _properties: HashMap<String, OwnedVariant>,
        alias: &str,
        #[zbus(object_server)] server: &ObjectServer,
    ) -> Result<(OwnedObjectPath, OwnedObjectPath), Fault> {
        self.called("CreateCollection")?;
        assert_eq!(alias, "default");
        let prompt = self.state().habits.unlock;
        Ok(self.after(prompt, Deed::Collection, server).await)
    }
}

struct Session(Scripted, String);

#[interface(name = "org.freedesktop.Secret.Session")]
impl Session {
    fn close(&self) -> Result<(), Fault> {
        self.0.called("Close")?;
        self.0.state().sessions.remove(&self.1);
        Ok(())
    }
}

struct Collection(Scripted);

#[interface(name = "org.freedesktop.Secret.Collection")]
impl Collection {
    async fn create_item(
        &self,
        properties: HashMap<String, OwnedVariant>,
        secret: Sealed,
        _replace: bool,
        #[zbus(object_server)] server: &ObjectServer,
    ) -> Result<(OwnedObjectPath, OwnedObjectPath), Fault> {
        self.0.called("CreateItem")?;
        let attributes = properties["org.freedesktop.Secret.Item.Attributes"].clone();
        let attributes = HashMap::try_from(attributes).expect("attributes");
        let content = self.0.open(&secret)?;
        let prompt = self.0.state().habits.create;
        let item = Stored { attributes, content, locked: false };
        Ok(self.0.after(prompt, Deed::Create(Box::new(item)), server).await)
    }

    #[zbus(property)]
    fn locked(&self) -> bool {
        self.0.state().habits.locked
    }
}

struct Item(Scripted, String);

#[interface(name = "org.freedesktop.Secret.Item")]
impl Item {
    fn get_secret(&self, session: OwnedObjectPath) -> Result<(Sealed,), Fault> {
        self.0.called("GetSecret")?;
        let mut state = self.0.state();
        let key = *state.sessions.get(session.as_str()).ok_or_else(Fault::no_session)?;
        let Some(item) = state.items.get(&self.1) else {
            return Err(Fault::new("org.freedesktop.Secret.Error.NoSuchObject"));
        };
        if item.locked || state.habits.locked {
            return Err(Fault::new("org.freedesktop.Secret.Error.IsLocked"));
        }
        let iv = [7; 16];
        let cipher = cbc::Encryptor::<Aes128>::new((&key).into(), (&iv).into());
        let mut sealed = cipher.encrypt_padded_vec::<Pkcs7>(&item.content);
        if state.habits.broken_secrets > 0 {
            state.habits.broken_secrets -= 1;
            sealed.truncate(3);
        }
        Ok(((session, iv.to_vec(), sealed, "text/plain".to_owned()),))
    }

    async fn set_secret(
        &self,
        secret: Sealed,
        #[zbus(object_server)] server: &ObjectServer,
    ) -> Result<(), Fault> {
        self.0.called("SetSecret")?;
        let content = self.0.open(&secret)?;
        let moves = {
            let mut state = self.0.state();
            let Some(item) = state.items.get_mut(&self.1) else {
                return Err(Fault::new("org.freedesktop.Secret.Error.NoSuchObject"));
            };
            item.content = content;
            state.habits.items_move
        };
        if moves {
            let item = self.0.state().items.remove(&self.1).expect("the item");
            let at = self.0.next(&format!("{COLLECTION}/"));
            self.0.put(&at, item, server).await;
        }
        Ok(())
    }

    async fn delete(&self, #[zbus(object_server)] server: &ObjectServer) -> Result<OwnedObjectPath, Fault> {
        self.0.called("Delete")?;
        let (prompt, deed) = (self.0.state().habits.delete, Deed::Delete(self.1.clone()));
        Ok(match prompt {
            Some(_) => self.0.after(prompt, deed, server).await.1,
            None => {
                // The object cannot be taken from the server while it is served.
                self.0.state().items.remove(&self.1);
                path("/")
            }
        })
    }

    #[zbus(property)]
    fn attributes(&self) -> HashMap<String, String> {
        self.0.state().items.get(&self.1).map(|item| item.attributes.clone()).unwrap_or_default()
    }

    #[zbus(property)]
    fn label(&self) -> fdo::Result<String> {
        match self.0.state().items.get(&self.1) {
            Some(_) => Ok("an item".to_owned()),
            None => Err(fdo::Error::UnknownObject(self.1.clone())),
        }
    }

    #[zbus(property)]
    fn created(&self) -> fdo::Result<u64> {
        match self.0.state().habits.without_times {
            true => Err(fdo::Error::UnknownProperty("Created".to_owned())),
            false => Ok(1),
        }
    }
}

/// A prompt and its deed.
#[derive(Clone)]
struct Shown {
    service: Scripted,
    ending: Prompt,
    deed: Deed,
}

#[interface(name = "org.freedesktop.Secret.Prompt")]
impl Shown {
    async fn prompt(
        &self,
        _window: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
        #[zbus(object_server)] server: &ObjectServer,
    ) -> Result<(), Fault> {
        self.service.called("Prompt")?;
        let wait = match self.ending {
            Prompt::CompletesLater(wait) => wait,
            Prompt::Waits => return Ok(()),
            Prompt::Completes | Prompt::IsDismissed => Duration::ZERO,
        };
        let (shown, emitter, server) = (self.clone(), emitter.to_owned(), server.clone());
        if self.service.state().habits.prompts_answer_at_their_end {
            std::thread::sleep(wait);
            shown.end(&emitter, &server).await;
        } else {
            std::thread::spawn(move || {
                std::thread::sleep(wait);
                zbus::block_on(shown.end(&emitter, &server));
            });
        }
        Ok(())
    }

    fn dismiss(&self) -> Result<(), Fault> {
        self.service.called("Dismiss")
    }

    #[zbus(signal)]
    async fn completed(emitter: &SignalEmitter<'_>, dismissed: bool, result: Variant<'_>)
    -> zbus::Result<()>;
}

impl Shown {
    async fn end(&self, emitter: &SignalEmitter<'_>, server: &ObjectServer) {
        let dismissed = self.ending == Prompt::IsDismissed;
        let result = match dismissed {
            true => path("/"),
            false => self.service.perform(&self.deed, server).await,
        };
        let result = match &self.deed {
            Deed::Create(_) | Deed::Collection => Variant::from(ObjectPath::from(result)),
            Deed::Unlock(_) | Deed::Delete(_) => Variant::from(""),
        };
        // The test may be over.
        let _ = emitter.completed(dismissed, result).await;
    }
}
