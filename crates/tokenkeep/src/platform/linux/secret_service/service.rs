//! The methods of the Secret Service as Rust calls: one function each, without decisions.
//!
//! A [`Client`] is one connection with one encrypted session. It sends to the unique name of the service that opened
//! the session, so that a restarted service never gets messages of the old session.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use serde_bytes::Bytes;
use zbus::message::Message;
use zbus::wire::{ObjectPath, OwnedObjectPath, OwnedVariant, Variant};
use zbus::{MatchRule, message};

pub(super) use super::body::{Attributes, attributes};
use super::body::{Body, Properties, Sealed};
use super::bus::{Bus, BusError, Deadline};
use super::session::{ALGORITHM, BLOCK, Exchange, SessionKey};
use super::whereabouts::Whereabouts;
use crate::Secret;
use crate::platform::process;

const NAME: &str = "org.freedesktop.secrets";
/// The other name of gnome-keyring-daemon on the bus.
const GNOME_KEYRING: &str = "org.gnome.keyring";
const PATH: &str = "/org/freedesktop/secrets";
const SERVICE: &str = "org.freedesktop.Secret.Service";
const COLLECTION: &str = "org.freedesktop.Secret.Collection";
const ITEM: &str = "org.freedesktop.Secret.Item";
const SESSION: &str = "org.freedesktop.Secret.Session";
const PROMPT: &str = "org.freedesktop.Secret.Prompt";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";

/// The only content type that libsecret's text readers accept, exactly.
const CONTENT_TYPE: &str = "text/plain";

/// How often a session is opened again for a key that every service derives alike. Each time one in 256 is not such.
const REOPENINGS: u32 = 4;

/// The time for an answer that no operation depends on.
const REMARK: Duration = Duration::from_secs(1);

/// A connection with an open session.
#[derive(Debug)]
pub(super) struct Client {
    bus: Bus,
    owner: String,
    session: OwnedObjectPath,
    key: SessionKey,
    /// Whether the service is gnome-keyring: it searches locked collections without a wait, and its prompts always ask.
    pub(super) is_gnome_keyring: bool,
    /// Whether the service gave back over this session what was written over it: both have one key.
    pub(super) is_proven: Cell<bool>,
    session_collection: RefCell<SessionCollection>,
    /// The paths of the last items.
    pub(super) whereabouts: Whereabouts,
}

/// The collection that ends with the log-in session.
#[derive(Debug)]
enum SessionCollection {
    NotAsked,
    /// The service did not answer, or refused.
    Unknown,
    Is(OwnedObjectPath),
    None,
}

/// The result of a search.
#[derive(Debug)]
pub(super) struct Matches {
    pub(super) unlocked: Vec<OwnedObjectPath>,
    pub(super) locked: Vec<OwnedObjectPath>,
}

/// The answer of a method that may need a prompt first.
#[derive(Debug)]
pub(super) enum Answer<T> {
    Done(T),
    AfterPrompt(OwnedObjectPath),
}

impl Client {
    /// Connects to the bus at these addresses and opens an encrypted session. Starts the service if the bus can.
    pub(super) async fn connect(addresses: &str, deadline: &Deadline) -> Result<Self, BusError> {
        let bus = Bus::connect(Some(addresses), deadline).await?;
        let service = introduce(&bus, deadline).await?;
        let gnome = bus.owner(GNOME_KEYRING, deadline);
        let (opened, gnome) = both(open_session(&bus, &service, deadline), gnome).await;
        let mut opened = match opened {
            Err(error) if error.is_of_the_service() => return Err(explained(&bus, error).await),
            opened => opened?,
        };
        for _ in 0..REOPENINGS {
            if opened.is_unambiguous {
                break;
            }
            let close = Body::Nothing;
            bus.call(&opened.owner, opened.path.as_ref(), SESSION, "Close", &close, deadline).await?;
            opened = open_session(&bus, &service, deadline).await?;
        }
        // The bus refuses to tell if the name has no owner.
        let is_gnome_keyring = gnome.is_ok_and(|gnome| gnome == opened.owner);
        Ok(Self {
            bus,
            owner: opened.owner,
            session: opened.path,
            key: opened.key,
            is_gnome_keyring,
            is_proven: Cell::new(false),
            session_collection: RefCell::new(SessionCollection::NotAsked),
            whereabouts: Whereabouts::default(),
        })
    }

    /// Adds the name of the service's program to its error.
    pub(super) async fn explained(&self, error: BusError) -> BusError {
        explained(&self.bus, error).await
    }

    async fn call(
        &self,
        object: &ObjectPath<'_>,
        interface: &'static str,
        member: &'static str,
        body: &Body<'_>,
        deadline: &Deadline,
    ) -> Result<Message, BusError> {
        self.bus.call(&self.owner, object.as_ref(), interface, member, body, deadline).await
    }

    /// Returns the items, in all collections, that have at least these attributes.
    pub(super) async fn search(
        &self,
        attributes: &Attributes<'_>,
        deadline: &Deadline,
    ) -> Result<Matches, BusError> {
        let answer =
            self.call(&path(PATH), SERVICE, "SearchItems", &Body::Attributes(attributes), deadline).await?;
        let (unlocked, locked) = answer.body().deserialize()?;
        Ok(Matches { unlocked, locked })
    }

    /// Returns the content of an unlocked item.
    pub(super) async fn secret(
        &self,
        item: &ObjectPath<'_>,
        deadline: &Deadline,
    ) -> Result<Secret, BusError> {
        let body = Body::Path(self.session.as_ref());
        let answer = self.call(item, ITEM, "GetSecret", &body, deadline).await?;
        let body = answer.body();
        let ((session, iv, sealed, _),): (Sealed<'_>,) = body.deserialize()?;
        if session != *self.session {
            return Err(BusError::malformed("a secret of another session"));
        }
        let content = self.key.open(iv, sealed);
        content.ok_or_else(|| BusError::malformed("a secret that the session's key does not open"))
    }

    /// Requests the content of an item and a search, in this order without a wait between them: the service searches
    /// while the bus still carries the content.
    pub(super) async fn secret_and_search(
        &self,
        attributes: &Attributes<'_>,
        item: &ObjectPath<'_>,
        deadline: &Deadline,
    ) -> (Result<Secret, BusError>, Result<Matches, BusError>) {
        both(self.secret(item, deadline), self.search(attributes, deadline)).await
    }

    /// Replaces the content of an item; its attributes, label and collection stay.
    pub(super) async fn set_secret(
        &self,
        item: &ObjectPath<'_>,
        content: &[u8],
        deadline: &Deadline,
    ) -> Result<(), BusError> {
        let (iv, sealed) = self.seal(content)?;
        let secret = self.on_the_wire(&iv, &sealed);
        self.call(item, ITEM, "SetSecret", &Body::Secret(secret), deadline).await.map(|_| ())
    }

    /// Adds an item in addition to the existing ones.
    pub(super) async fn create_item(
        &self,
        collection: &ObjectPath<'_>,
        label: &str,
        attributes: &Attributes<'_>,
        content: &[u8],
        deadline: &Deadline,
    ) -> Result<Answer<OwnedObjectPath>, BusError> {
        // Not "replace": gnome-keyring would replace an item that has more attributes, and drop those.
        const REPLACE: bool = false;
        let mut properties = Properties::new();
        properties.insert("org.freedesktop.Secret.Item.Label", Variant::from(label));
        properties.insert("org.freedesktop.Secret.Item.Attributes", Variant::from(attributes.clone()));
        let (iv, sealed) = self.seal(content)?;
        let body = Body::NewItem(properties, self.on_the_wire(&iv, &sealed), REPLACE);
        let answer = self.call(collection, COLLECTION, "CreateItem", &body, deadline).await?;
        object_or_prompt(&answer)
    }

    fn seal(&self, content: &[u8]) -> Result<([u8; BLOCK], Vec<u8>), BusError> {
        let mut iv = [0; BLOCK];
        getrandom::fill(&mut iv).map_err(BusError::no_random)?;
        let sealed = self.key.seal(&iv, content);
        Ok((iv, sealed))
    }

    fn on_the_wire<'a>(&'a self, iv: &'a [u8], sealed: &'a [u8]) -> Sealed<'a> {
        (self.session.as_ref(), Bytes::new(iv), Bytes::new(sealed), CONTENT_TYPE)
    }

    /// Removes an item.
    pub(super) async fn delete(
        &self,
        item: &ObjectPath<'_>,
        deadline: &Deadline,
    ) -> Result<Answer<()>, BusError> {
        let answer = self.call(item, ITEM, "Delete", &Body::Nothing, deadline).await?;
        let prompt: OwnedObjectPath = answer.body().deserialize()?;
        Ok(some(prompt).map_or(Answer::Done(()), Answer::AfterPrompt))
    }

    /// Returns the attributes of an item.
    pub(super) async fn attributes(
        &self,
        item: &ObjectPath<'_>,
        deadline: &Deadline,
    ) -> Result<BTreeMap<String, String>, BusError> {
        Ok(self.property(item, ITEM, "Attributes", deadline).await?.try_into()?)
    }

    /// Returns the label of an item.
    pub(super) async fn label(&self, item: &ObjectPath<'_>, deadline: &Deadline) -> Result<String, BusError> {
        Ok(self.property(item, ITEM, "Label", deadline).await?.try_into()?)
    }

    /// Returns when an item was created, since the epoch.
    pub(super) async fn created(
        &self,
        item: &ObjectPath<'_>,
        deadline: &Deadline,
    ) -> Result<Duration, BusError> {
        self.time(item, ITEM, "Created", deadline).await
    }

    /// Returns when an item was changed, since the epoch.
    pub(super) async fn modified(
        &self,
        item: &ObjectPath<'_>,
        deadline: &Deadline,
    ) -> Result<Duration, BusError> {
        self.time(item, ITEM, "Modified", deadline).await
    }

    /// Returns whether a collection is locked.
    pub(super) async fn is_locked(
        &self,
        collection: &ObjectPath<'_>,
        deadline: &Deadline,
    ) -> Result<bool, BusError> {
        Ok(self.property(collection, COLLECTION, "Locked", deadline).await?.try_into()?)
    }

    /// Returns when a collection was created, since the epoch.
    pub(super) async fn collection_created(
        &self,
        collection: &ObjectPath<'_>,
        deadline: &Deadline,
    ) -> Result<Duration, BusError> {
        self.time(collection, COLLECTION, "Created", deadline).await
    }

    async fn time(
        &self,
        object: &ObjectPath<'_>,
        interface: &'static str,
        name: &'static str,
        deadline: &Deadline,
    ) -> Result<Duration, BusError> {
        Ok(Duration::from_secs(self.property(object, interface, name, deadline).await?.try_into()?))
    }

    async fn property(
        &self,
        object: &ObjectPath<'_>,
        interface: &'static str,
        name: &'static str,
        deadline: &Deadline,
    ) -> Result<OwnedVariant, BusError> {
        let answer = self.call(object, PROPERTIES, "Get", &Body::Texts(interface, name), deadline).await?;
        Ok(answer.body().deserialize()?)
    }

    /// Returns the collection with the alias `default`.
    pub(super) async fn default_collection(
        &self,
        deadline: &Deadline,
    ) -> Result<Option<OwnedObjectPath>, BusError> {
        self.alias("default", deadline).await
    }

    async fn alias(&self, name: &str, deadline: &Deadline) -> Result<Option<OwnedObjectPath>, BusError> {
        let answer = self.call(&path(PATH), SERVICE, "ReadAlias", &Body::Text(name), deadline).await?;
        Ok(some(answer.body().deserialize()?))
    }

    /// Returns whether a collection, or the collection of an item, is lost when its user logs out. A remark beside an
    /// operation that is done: `None`, soon, if the service does not answer.
    pub(super) async fn ends_with_login(&self, object: &ObjectPath<'_>, deadline: &Deadline) -> Option<bool> {
        if matches!(*self.session_collection.borrow(), SessionCollection::NotAsked) {
            let limit = deadline.left().min(REMARK);
            let known = match self.alias("session", &Deadline::after(limit)).await {
                Ok(Some(collection)) => SessionCollection::Is(collection),
                Ok(None) => SessionCollection::None,
                Err(_) => SessionCollection::Unknown,
            };
            self.session_collection.replace(known);
        }
        match &*self.session_collection.borrow() {
            SessionCollection::Is(session) => Some(*object == **session || is_inside(object, session)),
            SessionCollection::None => Some(false),
            SessionCollection::NotAsked | SessionCollection::Unknown => None,
        }
    }

    /// Creates the default collection; the service prompts for a password.
    pub(super) async fn create_default_collection(
        &self,
        label: &str,
        deadline: &Deadline,
    ) -> Result<Answer<OwnedObjectPath>, BusError> {
        let mut properties = Properties::new();
        properties.insert("org.freedesktop.Secret.Collection.Label", Variant::from(label));
        let body = Body::NewCollection(properties, "default");
        let answer = self.call(&path(PATH), SERVICE, "CreateCollection", &body, deadline).await?;
        object_or_prompt(&answer)
    }

    /// Requests to unlock items or collections.
    pub(super) async fn unlock(
        &self,
        objects: &[OwnedObjectPath],
        deadline: &Deadline,
    ) -> Result<Answer<()>, BusError> {
        let answer = self.call(&path(PATH), SERVICE, "Unlock", &Body::Paths(objects), deadline).await?;
        let (_, prompt): (Vec<OwnedObjectPath>, OwnedObjectPath) = answer.body().deserialize()?;
        Ok(some(prompt).map_or(Answer::Done(()), Answer::AfterPrompt))
    }

    /// Shows a prompt and waits, at most `patience`, until it has completed; returns its result, or `None` if it was
    /// dismissed.
    pub(super) async fn show_prompt(
        &self,
        prompt: &ObjectPath<'_>,
        deadline: &Deadline,
        patience: &Deadline,
    ) -> Result<Option<OwnedVariant>, BusError> {
        let completed = MatchRule::builder()
            .msg_type(message::Type::Signal)
            .sender(self.owner.as_str())
            .path(prompt.as_ref())
            .interface(PROMPT)
            .member("Completed")
            .build()?;
        // If the service dies, its prompt is gone too, and no answer comes.
        let gone = MatchRule::builder()
            .msg_type(message::Type::Signal)
            .sender("org.freedesktop.DBus")
            .member("NameOwnerChanged")
            .arg(0, self.owner.as_str())
            .build()?;
        let mut completed = self.bus.subscribe(completed, deadline).await?;
        let mut gone = self.bus.subscribe(gone, deadline).await?;
        // There is no window of ours for the prompt to belong to. A service may answer only when the prompt has ended.
        let shown = self.call(prompt, PROMPT, "Prompt", &Body::Text(""), patience);
        let ended = async {
            match self.bus.signal(&mut completed, &mut gone, patience).await? {
                Some(signal) => {
                    let (dismissed, result): (bool, OwnedVariant) = signal.body().deserialize()?;
                    Ok((!dismissed).then_some(result))
                }
                None => Err(BusError::Closed("the service ended while its prompt was shown".to_owned())),
            }
        };
        unless_it_fails(shown, ended).await
    }

    /// Removes a prompt from the screen.
    pub(super) async fn dismiss_prompt(
        &self,
        prompt: &ObjectPath<'_>,
        deadline: &Deadline,
    ) -> Result<(), BusError> {
        self.call(prompt, PROMPT, "Dismiss", &Body::Nothing, deadline).await.map(|_| ())
    }
}

/// The service without a session, for requests that concern no secret.
#[derive(Debug)]
pub(super) struct Overview(Bus);

impl Overview {
    pub(super) fn of(bus: Bus) -> Self {
        Self(bus)
    }

    /// Makes this connection known to the service; every other request follows. Starts the service if the bus can.
    pub(super) async fn introduce(&self, deadline: &Deadline) -> Result<(), BusError> {
        introduce(&self.0, deadline).await.map(|_| ())
    }

    /// Returns the process that provides the service. Does not start one.
    pub(super) async fn provider(&self, deadline: &Deadline) -> Result<u32, BusError> {
        self.0.process(NAME, deadline).await
    }

    /// Returns the collection with the alias `default`.
    pub(super) async fn default_collection(
        &self,
        deadline: &Deadline,
    ) -> Result<Option<OwnedObjectPath>, BusError> {
        self.alias("default", deadline).await
    }

    async fn alias(&self, name: &str, deadline: &Deadline) -> Result<Option<OwnedObjectPath>, BusError> {
        let answer = self.0.call(NAME, path(PATH), SERVICE, "ReadAlias", &Body::Text(name), deadline).await?;
        Ok(some(answer.body().deserialize()?))
    }

    /// Returns the label of a collection.
    pub(super) async fn label(
        &self,
        collection: &ObjectPath<'_>,
        deadline: &Deadline,
    ) -> Result<String, BusError> {
        Ok(self.property(collection, "Label", deadline).await?.try_into()?)
    }

    /// Returns whether a collection is locked.
    pub(super) async fn is_locked(
        &self,
        collection: &ObjectPath<'_>,
        deadline: &Deadline,
    ) -> Result<bool, BusError> {
        Ok(self.property(collection, "Locked", deadline).await?.try_into()?)
    }

    /// Returns whether a collection is lost when its user logs out.
    pub(super) async fn ends_with_login(
        &self,
        collection: &ObjectPath<'_>,
        deadline: &Deadline,
    ) -> Result<bool, BusError> {
        let session = self.alias("session", deadline).await?;
        Ok(session.is_some_and(|session| *session == *collection))
    }

    async fn property(
        &self,
        collection: &ObjectPath<'_>,
        name: &'static str,
        deadline: &Deadline,
    ) -> Result<OwnedVariant, BusError> {
        let body = Body::Texts(COLLECTION, name);
        let answer = self.0.call(NAME, collection.as_ref(), PROPERTIES, "Get", &body, deadline).await?;
        Ok(answer.body().deserialize()?)
    }
}

async fn explained(bus: &Bus, error: BusError) -> BusError {
    let process = bus.process(NAME, &Deadline::after(REMARK)).await.ok();
    error.said_by(process.and_then(process::command))
}

/// An open session.
struct Opened {
    owner: String,
    path: OwnedObjectPath,
    key: SessionKey,
    /// Whether every service derives this key from the numbers.
    is_unambiguous: bool,
}

async fn open_session(bus: &Bus, service: &str, deadline: &Deadline) -> Result<Opened, BusError> {
    let exchange = Exchange::begin().map_err(BusError::no_random)?;
    let public = exchange.public();
    let body = Body::Algorithm(ALGORITHM, Variant::from(&public[..]));
    let answer = bus.call(service, path(PATH), SERVICE, "OpenSession", &body, deadline).await?;
    let (theirs, path): (OwnedVariant, OwnedObjectPath) = answer.body().deserialize()?;
    let theirs = Vec::<u8>::try_from(theirs)?;
    let agreed = exchange.finish(&theirs).ok_or_else(|| BusError::malformed("an unfit public key"))?;
    let (key, is_unambiguous) = agreed;
    let owner = answer.header().sender().map(ToString::to_string);
    let owner = owner.ok_or_else(|| BusError::malformed("an answer without a sender"))?;
    Ok(Opened { owner, path, key, is_unambiguous })
}

/// Sends the first message of a connection and waits for its answer; returns the name to send all others to.
///
/// gnome-keyring-daemon (3.36 to 51) makes its record of a client in a task of its main loop that it queues when the
/// client's first message arrives. A first message that needs the record can be served before that task. OpenSession
/// then aborts the daemon, and a question about a collection gets "there is none". Reading an alias that no collection
/// has needs no record. Its answer comes from the main loop, so the record is there for every later message.
async fn introduce(bus: &Bus, deadline: &Deadline) -> Result<String, BusError> {
    const NO_ALIAS: &str = "tokenkeep-introduction";
    let body = Body::Text(NO_ALIAS);
    match bus.call(NAME, path(PATH), SERVICE, "ReadAlias", &body, deadline).await {
        Ok(answer) => {
            let sender = answer.header().sender().map(ToString::to_string);
            sender.ok_or_else(|| BusError::malformed("an answer without a sender"))
        }
        // A service that refuses this alias has recorded this client all the same.
        Err(error) if error.is_of_the_service() => Ok(NAME.to_owned()),
        Err(error) => Err(error),
    }
}

/// Runs two futures at the same time, the first one first, until both are done.
async fn both<A, B>(first: impl Future<Output = A>, second: impl Future<Output = B>) -> (A, B) {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let (mut a, mut b) = (None, None);
    poll_fn(|context| {
        if a.is_none()
            && let Poll::Ready(outcome) = first.as_mut().poll(context)
        {
            a = Some(outcome);
        }
        if b.is_none()
            && let Poll::Ready(outcome) = second.as_mut().poll(context)
        {
            b = Some(outcome);
        }
        match (a.take(), b.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (some, other) => {
                (a, b) = (some, other);
                Poll::Pending
            }
        }
    })
    .await
}

/// Returns the outcome of `work`, or the error of `request` if that comes first.
async fn unless_it_fails<T>(
    request: impl Future<Output = Result<Message, BusError>>,
    work: impl Future<Output = Result<T, BusError>>,
) -> Result<T, BusError> {
    let (mut request, mut work) = (pin!(request), pin!(work));
    let mut requested = true;
    poll_fn(|context| {
        if requested && let Poll::Ready(answer) = request.as_mut().poll(context) {
            requested = false;
            if let Err(error) = answer {
                return Poll::Ready(Err(error));
            }
        }
        work.as_mut().poll(context)
    })
    .await
}

/// Returns whether a collection holds an item, by their paths.
pub(super) fn is_inside(item: &ObjectPath<'_>, collection: &ObjectPath<'_>) -> bool {
    item.as_str().strip_prefix(collection.as_str()).is_some_and(|rest| rest.starts_with('/'))
}

/// A fixed path, known to be valid.
fn path(text: &'static str) -> ObjectPath<'static> {
    ObjectPath::from_str_unchecked(text)
}

/// The Secret Service returns the path `/` for "none".
fn some(path: OwnedObjectPath) -> Option<OwnedObjectPath> {
    (path.as_str() != "/").then_some(path)
}

fn object_or_prompt(answer: &Message) -> Result<Answer<OwnedObjectPath>, BusError> {
    let (object, prompt): (OwnedObjectPath, OwnedObjectPath) = answer.body().deserialize()?;
    match (some(object), some(prompt)) {
        (Some(object), _) => Ok(Answer::Done(object)),
        (None, Some(prompt)) => Ok(Answer::AfterPrompt(prompt)),
        (None, None) => Err(BusError::malformed("neither an object nor a prompt")),
    }
}
