//! An item of the macOS Keychain as a keystore.
//!
//! This file owns the steps of a read, a write, a removal and a verification, which do not depend on the framework
//! behind them: on macOS the [`SecurityFramework`] is Apple's, in the project's tests on other systems a stand-in.
//!
//! The item has the shape of keytar and the other MSAL libraries: a generic password found by service and account, by
//! default in the default keychain, with the content unencoded. It is updated in place, so that its access list
//! stays, and added only if there is none.

mod failure;

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use crate::options::Prompting;
use crate::persistence::keystore::Keystore;
use crate::threads::pool;
use crate::{Backend, Error, ErrorKind, Result, Secret, names};
use failure::into_error;

/// The time limit of an operation, unless [`KeychainItem::deadline`] sets another. The Keychain answers within
/// milliseconds.
const DEADLINE: Duration = Duration::from_secs(5);

/// The pause before a prompting operation is repeated that overlapped a silent one of the same process, and the
/// number of repetitions.
const OVERLAP_PAUSE: Duration = Duration::from_millis(50);
const OVERLAPS: u32 = 20;

/// The service name of probes.
const PROBE_SERVICE: &str = "tokenkeep-probe";

/// The Security framework's status for a call that failed: `OSStatus`, see `SecBase.h`.
///
/// ```
/// use tokenkeep::keychain::Status;
///
/// assert_eq!(Status(-25300), Status::ITEM_NOT_FOUND);
/// let needs_a_person = [Status::INTERACTION_NOT_ALLOWED, Status::AUTH_FAILED, Status::USER_CANCELED];
/// let wrongly_signed = Status::MISSING_ENTITLEMENT;
/// assert!(!needs_a_person.contains(&wrongly_signed) && wrongly_signed != Status::DUPLICATE_ITEM);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status(pub i32);

impl Status {
    /// errSecItemNotFound.
    pub const ITEM_NOT_FOUND: Self = Self(-25300);
    /// errSecDuplicateItem.
    pub const DUPLICATE_ITEM: Self = Self(-25299);
    /// errSecInteractionNotAllowed: the call would need a prompt.
    pub const INTERACTION_NOT_ALLOWED: Self = Self(-25308);
    /// errSecAuthFailed: a wrong password, or a program that may not use the item.
    pub const AUTH_FAILED: Self = Self(-25293);
    /// errSecUserCanceled: the user refused.
    pub const USER_CANCELED: Self = Self(-128);
    /// errSecMissingEntitlement: the program's signature does not allow the call.
    pub const MISSING_ENTITLEMENT: Self = Self(-34018);
}

/// The attributes of an item.
///
/// ```
/// use tokenkeep::keychain::Item;
///
/// fn log(item: &Item) {
///     println!("{item}, service {}, account {}", item.service, item.account);
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Item {
    /// The service attribute.
    pub service: String,
    /// The account attribute.
    pub account: String,
    /// The access group, by which programs of one maker share items; only the data protection keychain has groups.
    pub access_group: Option<String>,
    /// Whether the item is in the data protection keychain instead of the default one.
    pub data_protection: bool,
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.account)
    }
}

/// The five functions of Apple's Security framework that are used, each in one step of the framework's own.
///
/// ```
/// use std::{any::Any, collections::HashMap, sync::{Arc, Mutex}};
/// use tokenkeep::keychain::{Item, KeychainItem, SecurityFramework, Status};
/// use tokenkeep::{Secret, storage::Keystore};
///
/// /// A keychain in memory, for a test.
/// #[derive(Debug, Default)]
/// struct InMemory(Mutex<HashMap<Item, Secret>>);
///
/// impl SecurityFramework for InMemory {
///     fn find(&self, item: &Item) -> Result<Secret, Status> {
///         self.0.lock().unwrap().get(item).cloned().ok_or(Status::ITEM_NOT_FOUND)
///     }
///
///     fn update(&self, item: &Item, content: &[u8]) -> Result<(), Status> {
///         self.find(item)?;
///         self.0.lock().unwrap().insert(item.clone(), Secret::from(content));
///         Ok(())
///     }
///
///     fn add(&self, item: &Item, content: &[u8]) -> Result<(), Status> {
///         let absent = self.find(item).is_err();
///         self.0.lock().unwrap().insert(item.clone(), Secret::from(content));
///         absent.then_some(()).ok_or(Status::DUPLICATE_ITEM)
///     }
///
///     fn delete(&self, item: &Item) -> Result<(), Status> {
///         self.0.lock().unwrap().remove(item).map(drop).ok_or(Status::ITEM_NOT_FOUND)
///     }
///
///     fn silence(&self) -> Result<Box<dyn Any>, Status> {
///         Ok(Box::new(())) // it never asks anybody
///     }
/// }
///
/// let item = KeychainItem::over(Arc::new(InMemory::default()), "my-app", "token_cache")?;
/// item.save(&b"{}".into())?;
/// assert_eq!(item.load()?, Some(Secret::from("{}")));
/// # Ok::<(), tokenkeep::Error>(())
/// ```
pub trait SecurityFramework: Send + Sync + fmt::Debug {
    /// Returns the content of an item: `SecItemCopyMatching`.
    ///
    /// # Errors
    /// The framework's status.
    fn find(&self, item: &Item) -> Result<Secret, Status>;

    /// Replaces the content of an existing item: `SecItemUpdate`.
    ///
    /// # Errors
    /// The framework's status.
    fn update(&self, item: &Item, content: &[u8]) -> Result<(), Status>;

    /// Adds a new item: `SecItemAdd`.
    ///
    /// # Errors
    /// The framework's status.
    fn add(&self, item: &Item, content: &[u8]) -> Result<(), Status>;

    /// Removes an item: `SecItemDelete`.
    ///
    /// # Errors
    /// The framework's status.
    fn delete(&self, item: &Item) -> Result<(), Status>;

    /// Turns off prompts for all functions of this process until the returned value is dropped:
    /// `SecKeychainSetUserInteractionAllowed`.
    ///
    /// # Errors
    /// The framework's status.
    fn silence(&self) -> Result<Box<dyn Any>, Status>;
}

/// One item of the macOS Keychain, found by its service and account.
///
/// Unless [prompting](KeychainItem::prompting) is allowed, no operation shows a dialogue: one that would need the
/// user's consent is `StoreLocked`. The framework has no time limits, so each operation runs on its own thread, which
/// is abandoned at the deadline.
///
/// ```
/// # use std::any::Any;
/// # use tokenkeep::{Secret, keychain::{Item, SecurityFramework, Status}};
/// # #[derive(Debug)]
/// # struct Absent;
/// # impl SecurityFramework for Absent {
/// #     fn find(&self, item: &Item) -> Result<Secret, Status> { assert_eq!(item.service, "my-app"); Err(Status::ITEM_NOT_FOUND) }
/// #     fn update(&self, _: &Item, _: &[u8]) -> Result<(), Status> { Err(Status::ITEM_NOT_FOUND) }
/// #     fn add(&self, _: &Item, _: &[u8]) -> Result<(), Status> { Ok(()) }
/// #     fn delete(&self, _: &Item) -> Result<(), Status> { Err(Status::ITEM_NOT_FOUND) }
/// #     fn silence(&self) -> Result<Box<dyn Any>, Status> { Ok(Box::new(())) }
/// # }
/// # let framework = std::sync::Arc::new(Absent);
/// use std::time::Duration;
/// use tokenkeep::{keychain::KeychainItem, options::Prompting, storage::Keystore};
///
/// // On a Mac: `KeychainItem::new("my-app", "token_cache")`. `framework` is what stands in for Apple's functions.
/// let item = KeychainItem::over(framework, "my-app", "token_cache")?
///     .prompting(Prompting::allowed())
///     .deadline(Duration::from_secs(3))
///     .in_data_protection_keychain()
///     .access_group("TEAMID.com.example.shared");
/// assert_eq!(item.load()?, None);
/// # Ok::<(), tokenkeep::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct KeychainItem {
    framework: Arc<dyn SecurityFramework>,
    item: Item,
    deadline: Duration,
    prompting: Prompting,
    /// Whether a verification of this keychain has succeeded in this process.
    proven: Arc<AtomicBool>,
}

impl KeychainItem {
    /// The item with these attributes, accessed through `framework`. Makes no call yet.
    ///
    /// On macOS, use `KeychainItem::new`.
    ///
    /// # Errors
    /// `InvalidInput` if `service` or `account` is empty or contains a NUL.
    pub fn over(
        framework: Arc<dyn SecurityFramework>,
        service: impl Into<String>,
        account: impl Into<String>,
    ) -> Result<Self> {
        let item = Item {
            service: service.into(),
            account: account.into(),
            access_group: None,
            data_protection: false,
        };
        for (what, value) in [("service", &item.service), ("account", &item.account)] {
            let fault = match value.as_str() {
                "" => "is empty",
                text if text.contains('\0') => "holds a NUL character",
                _ => continue,
            };
            let what = format!("The {what} name of the keychain item {fault}");
            return Err(Error::new(ErrorKind::InvalidInput, what).remedy("Choose another name"));
        }
        Ok(Self { framework, item, deadline: DEADLINE, prompting: Prompting::Never, proven: Arc::default() })
    }

    /// Returns the same item, which records in `proven` whether a verification succeeded: one for all items of a
    /// process.
    #[allow(dead_code, reason = "only macOS has a keychain that a process shares")]
    pub(crate) fn proven_by(mut self, proven: Arc<AtomicBool>) -> Self {
        self.proven = proven;
        self
    }

    /// Returns the same item with a `deadline` for each operation without a prompt. Default: 5 s.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Returns the same item with or without dialogues. Default: never.
    #[must_use]
    pub fn prompting(mut self, prompting: Prompting) -> Self {
        self.prompting = prompting;
        self
    }

    /// Returns the item in the data protection keychain instead of the default one. The program must be signed with
    /// an application identifier; others get `StoreUnavailable`. The sibling libraries do not search there.
    #[must_use]
    pub fn in_data_protection_keychain(mut self) -> Self {
        self.item.data_protection = true;
        self
    }

    /// Returns the item in an access group of the data protection keychain, shared by the programs whose signature
    /// names it.
    #[must_use]
    pub fn access_group(mut self, group: impl Into<String>) -> Self {
        self.item.access_group = Some(group.into());
        self.item.data_protection = true;
        self
    }

    /// Runs `work` on its own thread, within the time limit of `prompting`.
    fn run<T: Send + 'static>(
        &self,
        what: &str,
        prompting: Prompting,
        work: impl Fn(&dyn SecurityFramework) -> Result<T, Status> + Send + 'static,
    ) -> Result<T> {
        let limit = match prompting {
            Prompting::Never => self.deadline,
            Prompting::Allowed { limit } => limit,
        };
        let framework = Arc::clone(&self.framework);
        let (sender, receiver) = mpsc::sync_channel(1);
        let perform = move || {
            let outcome = attempt(&*framework, prompting, &work);
            // There is no receiver any more when the deadline has passed.
            let _ = sender.send(outcome);
        };
        let started = thread::Builder::new().name("tokenkeep-keychain".into()).spawn(perform);
        started.map_err(|error| {
            Error::new(ErrorKind::Io, "Cannot start the thread that asks the Keychain").because(error)
        })?;
        // Longer than the deadline only a person is waited for, which is no work of the pool's.
        let person = || pool::waiting(|| receiver.recv_timeout(limit.saturating_sub(self.deadline)));
        match receiver.recv_timeout(limit.min(self.deadline)).or_else(|_| person()) {
            Ok(outcome) => outcome.map_err(|status| into_error(status, what, &self.item)),
            Err(mpsc::RecvTimeoutError::Timeout) => {
                Err(failure::too_late(what, &self.item, prompting, limit))
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                let text = format!("{what} the keychain item {}: the thread that asked it ended", self.item);
                Err(Error::new(ErrorKind::StoreFailed, text))
            }
        }
    }

    fn find(&self, item: Item, prompting: Prompting) -> Result<Option<Secret>> {
        self.run("Cannot read", prompting, move |framework| match framework.find(&item) {
            Ok(content) => Ok(Some(content)),
            Err(Status::ITEM_NOT_FOUND) => Ok(None),
            Err(status) => Err(status),
        })
    }

    fn put(&self, item: Item, content: Secret, prompting: Prompting) -> Result<()> {
        self.run("Cannot write", prompting, move |framework| {
            let bytes = content.expose();
            match framework.update(&item, bytes) {
                Err(Status::ITEM_NOT_FOUND) => match framework.add(&item, bytes) {
                    // Another program has added it.
                    Err(Status::DUPLICATE_ITEM) => framework.update(&item, bytes),
                    outcome => outcome,
                },
                outcome => outcome,
            }
        })
    }

    fn remove(&self, item: Item, prompting: Prompting) -> Result<bool> {
        self.run("Cannot remove", prompting, move |framework| match framework.delete(&item) {
            Ok(()) => Ok(true),
            Err(Status::ITEM_NOT_FOUND) => Ok(false),
            Err(status) => Err(status),
        })
    }

    /// Writes, reads and removes an item that no other program has, without a prompt.
    fn try_out(&self) -> Result<()> {
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| {
            Error::new(ErrorKind::Io, "The operating system gives no random bytes").because(error.to_string())
        })?;
        let account = format!("{:032x}", u128::from_le_bytes(random));
        let content = Secret::from(account.as_bytes());
        let probe = Item { service: PROBE_SERVICE.to_owned(), account, ..self.item.clone() };
        let added = self.put(probe.clone(), content.clone(), Prompting::Never);
        let found = added.and_then(|()| self.find(probe.clone(), Prompting::Never));
        // Remove the probe in any case: it may exist although an answer was lost.
        let removed = self.remove(probe, Prompting::Never);
        let found = found?;
        removed?;
        if found != Some(content) {
            return Err(Error::new(
                ErrorKind::NotVerified,
                "The Keychain did not give back what it was given",
            )
            .remedy("Look at the login keychain with Keychain Access, or store elsewhere"));
        }
        Ok(())
    }
}

/// Does `work`, with or without prompts.
fn attempt<T>(
    framework: &dyn SecurityFramework,
    prompting: Prompting,
    work: &dyn Fn(&dyn SecurityFramework) -> Result<T, Status>,
) -> Result<T, Status> {
    if prompting == Prompting::Never {
        let _silence = framework.silence()?;
        return work(framework);
    }
    for _ in 0..OVERLAPS {
        match work(framework) {
            // Another thread of this process is in a silent operation, which makes the whole process silent.
            Err(Status::INTERACTION_NOT_ALLOWED) => thread::sleep(OVERLAP_PAUSE),
            outcome => return outcome,
        }
    }
    work(framework)
}

impl Keystore for KeychainItem {
    fn load(&self) -> Result<Option<Secret>> {
        self.find(self.item.clone(), self.prompting)
    }

    fn save(&self, content: &Secret) -> Result<()> {
        self.put(self.item.clone(), content.clone(), self.prompting)
    }

    fn delete(&self) -> Result<bool> {
        self.remove(self.item.clone(), self.prompting)
    }

    fn set_aside(&self) -> Result<String> {
        let content = self
            .load()?
            .ok_or_else(|| Error::new(ErrorKind::Damaged, "There is no keychain item to set aside"))?;
        // Named after the content, so that the same damage found twice is copied once.
        let account = format!("{}.corrupt-{:016x}", self.item.account, names::fnv(content.expose()));
        let copy = Item { account, ..self.item.clone() };
        let location = copy.to_string();
        self.put(copy, content, self.prompting)?;
        Ok(location)
    }

    /// At most one trial per process, and none if the item itself can be read, because each could cause a dialogue.
    fn verify(&self) -> Result<()> {
        if self.load()?.is_some() || self.proven.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.try_out()?;
        self.proven.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn location(&self) -> String {
        self.item.to_string()
    }

    fn backend(&self) -> Backend {
        Backend::Keychain
    }
}
