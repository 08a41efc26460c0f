//! An item of the macOS Keychain as a keystore.
//!
//! This file owns the steps of a read, a write, a removal and a verification, which do not depend on the framework
//! behind them: on macOS the [`SecurityFramework`] is Apple's, in the project's tests on other systems a stand-in.
//!
//! The item has the shape of keytar and the other MSAL libraries: a generic password found by service and account, by
//! default in the default keychain, with the content unencoded. It is updated in place, so that its access list
//! stays, and added only if there is none.

mod failure;
mod framework;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use crate::options::Prompting;
use crate::persistence::keystore::Keystore;
use crate::threads::pool;
use crate::{Backend, Error, ErrorKind, Result, Secret, names};
use failure::into_error;
#[cfg(feature = "stand-in-keychain")]
pub use framework::{Item, SecurityFramework, Status};
#[cfg(not(feature = "stand-in-keychain"))]
pub(crate) use framework::{Item, SecurityFramework, Status};

/// The time limit of an operation, unless [`KeychainItem::deadline`] sets another. The Keychain answers within
/// milliseconds.
const DEADLINE: Duration = Duration::from_secs(5);

/// The pause before a prompting operation is repeated that overlapped a silent one of the same process, and the
/// number of repetitions.
const OVERLAP_PAUSE: Duration = Duration::from_millis(50);
const OVERLAPS: u32 = 20;

/// The service name of probes.
const PROBE_SERVICE: &str = "tokenkeep-probe";

/// One item of the macOS Keychain, found by its service and account.
///
/// Unless [prompting](KeychainItem::prompting) is allowed, no operation shows a dialogue: one that would need the
/// user's consent is `StoreLocked`. The framework has no time limits, so each operation runs on its own thread, which
/// is abandoned at the deadline.
///
/// ```no_run
/// # #[cfg(target_os = "macos")]
/// # fn main() -> tokenkeep::Result<()> {
/// use std::time::Duration;
/// use tokenkeep::{keychain::KeychainItem, options::Prompting, storage::Keystore};
///
/// let item = KeychainItem::new("my-app", "token_cache")?
///     .prompting(Prompting::allowed())
///     .deadline(Duration::from_secs(3))
///     .in_data_protection_keychain()
///     .access_group("TEAMID.com.example.shared");
/// assert_eq!(item.load()?, None);
/// # Ok(())
/// # }
/// # #[cfg(not(target_os = "macos"))]
/// # fn main() {}
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
    /// The item with these attributes, accessed through a stand-in for Apple's framework. For tests.
    ///
    /// # Errors
    /// As `KeychainItem::new` on macOS.
    #[cfg(feature = "stand-in-keychain")]
    pub fn over(
        framework: Arc<dyn SecurityFramework>,
        service: impl Into<String>,
        account: impl Into<String>,
    ) -> Result<Self> {
        Self::through(framework, service.into(), account.into())
    }

    /// The item with these attributes, accessed through `framework`. Makes no call yet.
    ///
    /// # Errors
    /// `InvalidInput` if `service` or `account` is empty or contains a NUL.
    pub(crate) fn through(
        framework: Arc<dyn SecurityFramework>,
        service: String,
        account: String,
    ) -> Result<Self> {
        let item = Item { service, account, access_group: None, data_protection: false };
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
