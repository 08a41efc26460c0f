//! The Linux Secret Service (gnome-keyring, KWallet, KeePassXC) as a keystore.
//!
//! This file owns [`SecretServiceItem`]: its settings and its connections. From here inwards: [`worker`], the thread
//! with a connection; [`operation`], what a read, a write or a removal does; [`probe`], the trial of a store;
//! [`service`], the methods of the Secret Service; [`session`], their encryption; [`bus`], D-Bus under a deadline.
//! [`failure`] puts what went wrong into the library's words.
//!
//! The item has the shape that keytar and libsecret's simple functions give it, so that every program which reads
//! theirs reads ours: attributes `xdg:schema` = `org.freedesktop.Secret.Generic`, `service` and `account`, label
//! `service/account`, content type `text/plain`, the content as it is.

mod bus;
mod failure;
mod operation;
mod probe;
mod service;
mod session;
mod worker;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use self::bus::Deadline;
use self::failure::Failure;
use self::service::Attributes;
use self::worker::{Report, Request, Work, Worker};
use crate::persistence::keystore::{Keystore, Prompting};
use crate::{Backend, Error, ErrorKind, Result, Secret, atomic_file};

/// How long an operation may take unless [`SecretServiceItem::deadline`] says otherwise. A healthy service answers
/// within milliseconds; starting one takes less than a second.
const DEADLINE: Duration = Duration::from_secs(5);

/// Connections kept for the next operation. Threads that work at the same moment each have their own.
const IDLE_LIMIT: usize = 2;

/// D-Bus carries arrays of 64 MiB; the cipher adds at most a block.
const CONTENT_LIMIT: usize = (64 << 20) - session::BLOCK;

/// The schema that keytar and libsecret's password functions without one of their own write and look for.
const SCHEMA: &str = "org.freedesktop.Secret.Generic";

/// The attribute in which libsecret keeps the schema.
const SCHEMA_ATTRIBUTE: &str = "xdg:schema";

/// One item of the Linux Secret Service, found by its service and account.
///
/// It is looked for in all collections and updated where it is, with the attributes it has. If there is none, it is
/// created in the default collection. Content is kept byte for byte; note that readers built on libsecret's text
/// functions, keytar among them, stop at a NUL byte.
///
/// Connections are made when first needed, kept, and shared by threads; a connection that was inherited through
/// `fork` is never used. Secrets cross the bus encrypted, and what is in the clear on our side is wiped afterwards;
/// the memory of the keyring service is its own business.
#[derive(Debug)]
pub struct SecretServiceItem {
    identity: Identity,
    bus: Option<String>,
    deadline: Duration,
    prompting: Prompting,
    idle: Mutex<Vec<Worker>>,
    /// Whether the item was last seen in, or would go into, a collection that ends with the log-in session.
    ends_with_login: AtomicBool,
}

/// What tells our item from all others.
#[derive(Clone, Debug)]
struct Identity {
    service: String,
    account: String,
}

impl Identity {
    fn attributes(&self) -> Attributes<'_> {
        Attributes::from([(SCHEMA_ATTRIBUTE, SCHEMA), ("service", &self.service), ("account", &self.account)])
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.account)
    }
}

impl SecretServiceItem {
    /// The item with these attributes. Nothing is contacted yet.
    ///
    /// # Errors
    /// `InvalidInput` when `service` or `account` is empty or holds a NUL.
    pub fn new(service: impl Into<String>, account: impl Into<String>) -> Result<Self> {
        let identity = Identity { service: service.into(), account: account.into() };
        for (what, value) in [("service", &identity.service), ("account", &identity.account)] {
            let fault = match value.as_str() {
                "" => "is empty",
                text if text.contains('\0') => "holds a NUL character",
                _ => continue,
            };
            let what = format!("The {what} name of the keystore item {fault}");
            return Err(Error::new(ErrorKind::InvalidInput, what).remedy("Choose another name"));
        }
        Ok(Self {
            identity,
            bus: None,
            deadline: DEADLINE,
            prompting: Prompting::Never,
            idle: Mutex::default(),
            ends_with_login: AtomicBool::new(false),
        })
    }

    /// The same item, each of whose operations takes at most `deadline`. The default is 5 s. The time that a person
    /// spends at a prompt does not count: [`Prompting`] has its own limit.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The same item, showing or not showing prompts. The default is never. A verification may ask
    /// for the keyring to be unlocked, as any reading may, but not for its probe.
    #[must_use]
    pub fn prompting(mut self, prompting: Prompting) -> Self {
        self.prompting = prompting;
        self
    }

    /// The same item in the Secret Service of another bus than the session's, by its D-Bus address.
    #[must_use]
    pub fn on_bus(mut self, address: impl Into<String>) -> Self {
        self.bus = Some(address.into());
        self
    }

    fn perform(&self, what: &str, work: Work, prompting: Prompting) -> Result<Report> {
        let report = self.perform_on(self.identity.clone(), what, work, prompting)?;
        if let Some(ends_with_login) = report.ends_with_login {
            self.ends_with_login.store(ends_with_login, Ordering::Relaxed);
        }
        Ok(report)
    }

    fn perform_on(&self, item: Identity, what: &str, work: Work, prompting: Prompting) -> Result<Report> {
        let location = item.to_string();
        let deadline = Deadline::after(self.deadline);
        let request = Request { item, bus: self.bus.clone(), work, deadline, prompting };
        let worker = self.idle_worker().map_or_else(|| Worker::start().map_err(Failure::Bus), Ok);
        let outcome = worker.and_then(|worker| match worker.ask(request) {
            Some(outcome) => {
                self.put_back(worker);
                outcome
            }
            None => Err(worker::stuck(&deadline)),
        });
        outcome.map_err(|failure| failure.into_error(what, &location))
    }

    fn idle_workers(&self) -> std::sync::MutexGuard<'_, Vec<Worker>> {
        // A list of workers is whole at every moment, whoever panicked while holding it.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle_worker(&self) -> Option<Worker> {
        let mut idle = self.idle_workers();
        idle.retain(Worker::is_ours);
        idle.pop()
    }

    fn put_back(&self, worker: Worker) {
        let mut idle = self.idle_workers();
        if idle.len() < IDLE_LIMIT {
            idle.push(worker);
        }
    }
}

impl Keystore for SecretServiceItem {
    fn load(&self) -> Result<Option<Secret>> {
        Ok(self.perform("Cannot read", Work::Load, self.prompting)?.content)
    }

    fn load_anew(&self) -> Result<Option<Secret>> {
        self.idle_workers().clear();
        self.load()
    }

    fn save(&self, content: &[u8]) -> Result<()> {
        if content.len() > CONTENT_LIMIT {
            let what = format!("{} bytes are more than D-Bus carries to the Secret Service", content.len());
            return Err(Error::new(ErrorKind::InvalidInput, what).remedy("Keep content this large in a file"));
        }
        self.perform("Cannot write", Work::Save(content.into()), self.prompting).map(|_| ())
    }

    fn delete(&self) -> Result<bool> {
        Ok(self.perform("Cannot remove", Work::Delete, self.prompting)?.removed)
    }

    fn set_aside(&self) -> Result<String> {
        let content = self.perform("Cannot read", Work::Load, self.prompting)?.content;
        let content = content
            .ok_or_else(|| Error::new(ErrorKind::Damaged, "There is no keystore item to set aside"))?;
        // Named after the content, so that the same damage met twice is kept once.
        let account =
            format!("{}.corrupt-{:016x}", self.identity.account, atomic_file::fnv(content.expose()));
        let copy = Identity { service: self.identity.service.clone(), account };
        let location = copy.to_string();
        self.perform_on(copy, "Cannot write", Work::Save(content), self.prompting)?;
        Ok(location)
    }

    fn verify(&self) -> Result<()> {
        self.perform("Cannot verify the store of", Work::Verify, self.prompting).map(|_| ())
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
