//! The Linux Secret Service (gnome-keyring, KWallet, KeePassXC) as a keystore.
//!
//! This file owns [`SecretServiceItem`] and its settings. From here inwards: [`lines`], the connections of the process;
//! [`worker`], the thread with a connection; [`operation`], a read, a write or a removal; [`prompts`], those that the
//! service demands; [`whereabouts`], the remembered path of the item;
//! [`probe`], the verification of a store; [`service`], the methods of the Secret Service; [`body`], their arguments;
//! [`session`], their encryption; [`bus`], D-Bus under a deadline; [`socket`], the way to it. [`survey`] reads the state of the service.
//! [`failure`] translates errors; [`sandbox`] knows the way out of one. [`portal`] is
//! another service on the bus, for sandboxed programs.
//!
//! By default the item has the shape of keytar and libsecret's simple functions, so that every program which reads
//! theirs reads ours: attributes `xdg:schema` = `org.freedesktop.Secret.Generic`, `service` and `account`, label
//! `service/account`, content type `text/plain`, the content unencoded.

mod body;
mod bus;
mod bus_error;
mod deadline;
mod failure;
mod lines;
mod operation;
pub(crate) mod portal;
mod probe;
mod prompts;
mod sandbox;
mod service;
mod session;
mod socket;
mod survey;
mod whereabouts;
mod worker;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use self::bus::Deadline;
use self::failure::Failure;
use self::service::{Attributes, attributes};
pub use self::survey::{SecretServiceCollection, SecretServiceProvider, SecretServiceSurvey};
use self::worker::{Report, Request, Work, Worker};
use crate::item_shape::{GENERIC as SCHEMA, ItemShape, Payload};
use crate::options::Prompting;
use crate::persistence::keystore::{self, Keystore};
use crate::{Backend, Error, ErrorKind, Result, Secret};

/// The time limit of an operation, unless [`SecretServiceItem::deadline`] sets another. A healthy service answers
/// within milliseconds; starting one takes less than a second.
const DEADLINE: Duration = Duration::from_secs(5);

/// D-Bus carries arrays of 64 MiB; the cipher adds at most a block.
const CONTENT_LIMIT: usize = (64 << 20) - session::BLOCK;

/// The attribute in which libsecret keeps the schema.
const SCHEMA_ATTRIBUTE: &str = "xdg:schema";

/// One item of the Linux Secret Service, found by its service and account, or by its [`ItemShape`].
///
/// It is searched in all collections and updated in place, with its attributes. If there is none, it is created in
/// the default collection. Content is kept byte for byte, but readers built on libsecret's text functions, such as
/// keytar, stop at a NUL byte.
///
/// A process has one connection to a bus, made at the first use and shared by its items and threads; it is closed some time
/// after the last of them. A connection inherited through `fork` is never used. Secrets cross the bus encrypted, and plaintext in this process is wiped afterwards. The memory of the
/// keyring service is not under this library's control.
///
/// ```
/// use std::time::Duration;
/// use tokenkeep::{options::Prompting, storage::{ItemShape, Keystore, SecretServiceItem}};
///
/// let item = SecretServiceItem::new("my-app", "token_cache")?
///     .deadline(Duration::from_secs(2))
///     .prompting(Prompting::allowed())
///     .on_bus("unix:path=/tmp/no-bus-is-here"); // default: the session's own
/// assert_eq!(item.load().unwrap_err().kind(), tokenkeep::ErrorKind::StoreUnavailable);
///
/// let of_a_go_program = SecretServiceItem::shaped(ItemShape::go("contoso", &[]))?;
/// # Ok::<(), tokenkeep::Error>(())
/// ```
#[derive(Debug)]
pub struct SecretServiceItem {
    identity: Identity,
    bus: Option<String>,
    deadline: Duration,
    prompting: Prompting,
    /// The connection that was used last, so that it stays open.
    worker: Mutex<Option<Arc<Worker>>>,
    /// Whether the item was last found in, or would be created in, a collection that ends with the log-in session.
    ends_with_login: AtomicBool,
}

/// The attributes that identify the item, and those of a new one.
#[derive(Clone, Debug)]
struct Identity {
    shape: ItemShape,
    payload: Payload,
}

impl Identity {
    /// The attributes that an item must have.
    fn sought(&self) -> Attributes<'_> {
        let schema = self.shape.schema().filter(|_| self.shape.is_found_by_schema());
        attributes(schema.map(|schema| (SCHEMA_ATTRIBUTE, schema)).into_iter().chain(self.shape.attributes()))
    }

    /// The attributes of a new item.
    fn given(&self) -> Attributes<'_> {
        let schema = self.shape.schema();
        attributes(schema.map(|schema| (SCHEMA_ATTRIBUTE, schema)).into_iter().chain(self.shape.attributes()))
    }

    /// The identity of an item for a copy of this one's content, which searches for this one do not find.
    fn copy(&self, name: &str) -> Self {
        let (service, account) = match self.shape.keychain() {
            // Beside it, under the same service.
            Some((service, account)) if self.shape.schema() == Some(SCHEMA) => (service, account),
            _ => ("tokenkeep", &*self.shape.to_string()),
        };
        Self { shape: ItemShape::js(service, format!("{account}.{name}")), payload: Payload::Opaque }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shape.fmt(f)
    }
}

impl SecretServiceItem {
    /// The item with these attributes. Makes no call yet.
    ///
    /// # Errors
    /// `InvalidInput` if `service` or `account` is empty or contains a NUL.
    pub fn new(service: impl Into<String>, account: impl Into<String>) -> Result<Self> {
        let shape = ItemShape::js(service, account);
        if let Some((name, _)) = shape.attributes().find(|(_, value)| value.is_empty()) {
            let what = format!("The {name} name of the keystore item is empty");
            return Err(Error::new(ErrorKind::InvalidInput, what).remedy("Choose another name"));
        }
        Self::of(Identity { shape, payload: Payload::Opaque })
    }

    /// The item of a sibling library. Makes no call yet.
    ///
    /// Content that is a token cache in base64 is decoded, and stays base64 when it is written; other content is kept
    /// byte for byte.
    ///
    /// # Errors
    /// `InvalidInput` for a shape that would match any item, and for names and values with a NUL.
    pub fn shaped(shape: ItemShape) -> Result<Self> {
        let payload = shape.payload();
        Self::of(Identity { shape, payload })
    }

    fn of(identity: Identity) -> Result<Self> {
        let refused =
            |what: &str| Err(Error::new(ErrorKind::InvalidInput, what).remedy("Choose another name"));
        let sought = identity.sought();
        if sought.is_empty() || sought.contains_key("") || sought.get(SCHEMA_ATTRIBUTE) == Some(&"") {
            return refused("The keystore item has no name by which to find it");
        }
        let given = identity.given();
        if given.iter().any(|(name, value)| name.contains('\0') || value.contains('\0')) {
            return refused("The name of the keystore item holds a NUL character");
        }
        Ok(Self {
            identity,
            bus: None,
            deadline: DEADLINE,
            prompting: Prompting::Never,
            worker: Mutex::default(),
            ends_with_login: AtomicBool::new(false),
        })
    }

    /// Returns the same item with a `deadline` for each operation. Default: 5 s. The user's time at a prompt does not
    /// count: [`Prompting`] has its own limit.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Returns the same item with or without prompts. Default: never. A verification may prompt to unlock the
    /// keyring, like any read, but not for its probe.
    #[must_use]
    pub fn prompting(mut self, prompting: Prompting) -> Self {
        self.prompting = prompting;
        self
    }

    /// Returns the same item in the Secret Service of another bus, by its D-Bus address.
    #[must_use]
    pub fn on_bus(mut self, address: impl Into<String>) -> Self {
        self.bus = Some(address.into());
        self
    }

    fn perform(&self, what: &str, work: Work) -> Result<Report> {
        let report = self.perform_on(self.identity.clone(), what, work, false)?;
        if let Some(ends_with_login) = report.ends_with_login {
            self.ends_with_login.store(ends_with_login, Ordering::Relaxed);
        }
        Ok(report)
    }

    fn perform_on(&self, item: Identity, what: &str, work: Work, anew: bool) -> Result<Report> {
        let location = item.to_string();
        let outcome = self.ask(item, work, anew);
        outcome.map_err(|failure| failure.into_error(what, &location))
    }

    fn ask(&self, item: Identity, work: Work, anew: bool) -> std::result::Result<Report, Failure> {
        let deadline = Deadline::after(self.deadline);
        // No thread is started without a bus, as on most machines without a desktop: that takes longer than the rest.
        let bus = bus::addresses(self.bus.as_deref())?
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(";");
        if matches!(work, Work::Verify) {
            lines::require_sound(&bus, &deadline)?;
        }
        let worker = lines::to(&bus)?;
        self.keep(&worker);
        let outcome = worker.ask(Request { item, work, anew, deadline, prompting: self.prompting });
        let outcome = outcome.unwrap_or_else(|| {
            lines::give_up(&worker);
            Err(worker::stuck(&deadline))
        });
        let silent = outcome.as_ref().is_err_and(Failure::is_silence).then_some(self.deadline);
        lines::note_silence(&bus, silent);
        outcome
    }

    fn keep(&self, worker: &Arc<Worker>) {
        // A plain value is whole at every moment, also after a panic.
        let mut kept = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = kept.replace(Arc::clone(worker))
            && !Arc::ptr_eq(&other, worker)
        {
            other.release();
        }
    }
}

impl Drop for SecretServiceItem {
    fn drop(&mut self) {
        if let Some(worker) = self.worker.get_mut().unwrap_or_else(PoisonError::into_inner) {
            worker.release();
        }
    }
}

impl Keystore for SecretServiceItem {
    fn load(&self) -> Result<Option<Secret>> {
        Ok(self.perform("Cannot read", Work::Load)?.content)
    }

    fn load_anew(&self) -> Result<Option<Secret>> {
        Ok(self.perform_on(self.identity.clone(), "Cannot read", Work::Load, true)?.content)
    }

    fn save(&self, content: &Secret) -> Result<()> {
        if content.len() > CONTENT_LIMIT {
            let what = format!("{} bytes are more than D-Bus carries to the Secret Service", content.len());
            return Err(Error::new(ErrorKind::InvalidInput, what).remedy("Keep content this large in a file"));
        }
        self.perform("Cannot write", Work::Save(content.clone())).map(|_| ())
    }

    fn delete(&self) -> Result<bool> {
        Ok(self.perform("Cannot remove", Work::Delete)?.removed)
    }

    fn set_aside(&self) -> Result<String> {
        let content = self.perform("Cannot read", Work::Load)?.content;
        let content = content
            .ok_or_else(|| Error::new(ErrorKind::Damaged, "There is no keystore item to set aside"))?;
        let copy = self.identity.copy(&keystore::copy_name(content.expose()));
        let location = copy.to_string();
        self.perform_on(copy, "Cannot write", Work::Save(content), false)?;
        Ok(location)
    }

    fn remove_copies(&self) -> Result<usize> {
        let mut removed = 0;
        for name in keystore::copy_names() {
            let copy = self.identity.copy(&name);
            removed += usize::from(self.perform_on(copy, "Cannot remove", Work::Delete, false)?.removed);
        }
        Ok(removed)
    }

    fn verify(&self) -> Result<()> {
        self.perform("Cannot verify the store of", Work::Verify).map(|_| ())
    }

    fn location(&self) -> String {
        self.identity.to_string()
    }

    fn backend(&self) -> Backend {
        Backend::SecretService
    }

    fn survives_reboot(&self) -> bool {
        !self.ends_with_login.load(Ordering::Relaxed)
    }
}
