//! An item of the macOS Keychain as a keystore.
//!
//! This file owns the steps of a read, a write, a removal and a verification, which do not depend on the framework
//! behind them: on macOS the [`SecurityFramework`] is Apple's, in the project's tests on other systems a stand-in.
//! `calls` owns their threads, limits and order.
//!
//! The item has the shape of keytar and the other MSAL libraries: a generic password found by service and account, by
//! default in the default keychain, with the content unencoded. An update keeps the list of the programs that may read
//! it, but since macOS 10.12 makes the writer's signature the only one to which that list applies: the other programs
//! are refused, or the user is asked, after each write. Programs that share a cache keep its key in the Keychain and
//! its content in an encrypted file: reading changes no permission.

mod calls;
mod failure;
mod framework;

use std::sync::Arc;
#[cfg(feature = "stand-in-keychain")]
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::options::Prompting;
use crate::persistence::keystore::{self, Keystore};
use crate::{Backend, Error, ErrorKind, Result, Secret, names};
use calls::{Call, Calls};
#[cfg(feature = "stand-in-keychain")]
pub use framework::{Item, SecurityFramework, Status};
#[cfg(not(feature = "stand-in-keychain"))]
pub(crate) use framework::{Item, SecurityFramework, Status};

/// The time limit of an operation, unless [`KeychainItem::deadline`] sets another. The Keychain answers within
/// milliseconds.
const DEADLINE: Duration = Duration::from_secs(5);

/// An update removes the item and inserts it. A reader that has found the old one looks again after this pause, so many
/// times.
const REPLACED_PAUSE: Duration = Duration::from_millis(5);
const LOOKS: u32 = 20;

/// The service name of probes.
const PROBE_SERVICE: &str = "tokenkeep-probe";

/// A probe that is older was left by a process that was killed.
const ABANDONED: Duration = Duration::from_secs(60);

#[cfg(feature = "stand-in-keychain")]
static STAND_IN: OnceLock<Arc<dyn SecurityFramework>> = OnceLock::new();

/// Makes this process use `framework` as a Mac uses its Keychain, once and for its whole life. For tests.
///
/// ```no_run
/// # fn of_this_test() -> std::sync::Arc<dyn tokenkeep::keychain::SecurityFramework> { unimplemented!() }
/// tokenkeep::keychain::install_stand_in(of_this_test());
/// let cache = tokenkeep::Config::new("my-app").open()?; // in that keychain, on every system
/// # Ok::<(), tokenkeep::Error>(())
/// ```
#[cfg(feature = "stand-in-keychain")]
pub fn install_stand_in(framework: Arc<dyn SecurityFramework>) {
    let _ = STAND_IN.set(framework);
}

/// Returns the installed stand-in.
#[cfg(feature = "stand-in-keychain")]
pub(crate) fn stand_in() -> Option<Arc<dyn SecurityFramework>> {
    STAND_IN.get().cloned()
}

/// One item of the macOS Keychain, found by its service and account.
///
/// Unless [prompting](KeychainItem::prompting) is allowed, no operation asks about an item: one that would need the
/// user's consent is `StoreLocked`. (A keychain that another part of the process has opened with prompts may still ask
/// for its password.) The framework has no time limits, so each operation runs on its own thread, which is abandoned at
/// the deadline. A dialogue stays until it is answered; meanwhile no operation of the process asks about the item again.
///
/// Every program that only links this library, without a Developer ID, is a new program to the Keychain after each
/// build: allow it again, or sign it.
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
    calls: Arc<Calls>,
    item: Item,
    deadline: Duration,
    prompting: Prompting,
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
        Self::through(&framework, service.into(), account.into())
    }

    /// The item with these attributes, accessed through `framework`. Makes no call yet.
    ///
    /// # Errors
    /// `InvalidInput` if `service` or `account` is empty or contains a NUL.
    pub(crate) fn through(
        framework: &Arc<dyn SecurityFramework>,
        service: String,
        account: String,
    ) -> Result<Self> {
        let item = Item { service, account, access_group: None, data_protection: false, only_default: false };
        for (what, value) in [("service", &item.service), ("account", &item.account)] {
            let fault = match value.as_str() {
                "" => "is empty",
                text if text.contains('\0') => "holds a NUL character",
                _ => continue,
            };
            let what = format!("The {what} name of the keychain item {fault}");
            return Err(Error::new(ErrorKind::InvalidInput, what).remedy("Choose another name"));
        }
        Ok(Self { calls: Calls::of(framework), item, deadline: DEADLINE, prompting: Prompting::Never })
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

    /// Runs `work`, which does `what` to `item`.
    fn run<T: Send + 'static>(
        &self,
        what: &str,
        item: &Item,
        work: impl Fn(&Call<'_>) -> Result<T, Status> + Send + 'static,
    ) -> Result<T> {
        let outcome = self.calls.run(item, self.prompting, self.deadline, work);
        outcome.map_err(|why| failure::into_error(why, what, item, self.prompting, self.deadline))
    }

    fn find(&self, item: &Item) -> Result<Option<Secret>> {
        let wanted = item.clone();
        self.run("Cannot read", item, move |call| find(call, &wanted))
    }

    fn put(&self, item: &Item, content: Secret) -> Result<()> {
        let wanted = item.clone();
        self.run("Cannot write", item, move |call| put(call, &wanted, content.expose()))
    }

    fn copy(&self, name: &str) -> Item {
        Item { account: format!("{}.{name}", self.item.account), ..self.item.clone() }
    }

    fn remove(&self, item: &Item) -> Result<bool> {
        let wanted = item.clone();
        self.run("Cannot remove", item, move |call| remove(call, &wanted))
    }

    /// Writes, reads and removes an item that no other program has. It belongs to this program, so that only a locked
    /// keychain can cause a dialogue.
    fn try_out(&self) -> Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let account = format!("{now:x}-{:016x}{:016x}", names::random()?, names::random()?);
        let content = Secret::from(account.as_bytes());
        let probe = Item { service: PROBE_SERVICE.to_owned(), account, ..self.item.clone() };
        let added = self.put(&probe, content.clone());
        let found = added.and_then(|()| self.find(&probe));
        // Remove the probe in any case: it may exist although an answer was lost.
        let removed = self.remove(&probe);
        let found = found?;
        removed?;
        if found != Some(content) {
            return Err(Error::new(
                ErrorKind::NotVerified,
                "The Keychain did not give back what it was given",
            )
            .remedy("Look at the login keychain with Keychain Access"));
        }
        let kind = self.item.clone();
        // A probe that stays is found by the next verification.
        let _ = self.run("Cannot remove", &probe, move |call| sweep(call, &kind, now));
        Ok(())
    }
}

/// Reads an item.
fn find(call: &Call<'_>, item: &Item) -> Result<Option<Secret>, Status> {
    for look in 0..LOOKS {
        match call.find(item) {
            Ok(content) => return Ok(Some(content)),
            // It may have been replaced between the framework's search and its read.
            Err(Status::ITEM_NOT_FOUND) if call.exists(item)? => {}
            Err(Status::INVALID_ITEM_REF | Status::INVALID_RECORD) if look + 1 < LOOKS => {}
            Err(Status::ITEM_NOT_FOUND) => return find_in_default(call, item),
            Err(status) => return Err(status),
        }
        thread::sleep(REPLACED_PAUSE);
    }
    Err(Status::INVALID_ITEM_REF)
}

/// The framework also says "not found" if it cannot search: then there is no default keychain. And a default keychain
/// need not be in the list that is searched.
fn find_in_default(call: &Call<'_>, item: &Item) -> Result<Option<Secret>, Status> {
    if item.data_protection {
        return Ok(None);
    }
    call.default_keychain()?;
    let item = item.in_default();
    match call.exists(&item)? {
        true => call.find(&item).map(Some),
        false => Ok(None),
    }
}

/// Updates the item, or adds it if there is none.
fn put(call: &Call<'_>, item: &Item, content: &[u8]) -> Result<(), Status> {
    match update(call, item, content) {
        Err(Status::ITEM_NOT_FOUND) => {}
        outcome => return outcome,
    }
    if !item.data_protection {
        // Without one, the framework would offer to reset all keychains.
        call.default_keychain()?;
    }
    match call.add(item, content) {
        Err(Status::DUPLICATE_ITEM) => {}
        outcome => return outcome,
    }
    // Another program has added it, or it is in the default keychain, which is not in the list that is searched.
    match update(call, item, content) {
        Err(Status::ITEM_NOT_FOUND) => update(call, &item.in_default(), content),
        outcome => outcome,
    }
}

fn update(call: &Call<'_>, item: &Item, content: &[u8]) -> Result<(), Status> {
    for _ in 1..LOOKS {
        match call.update(item, content) {
            // Replaced by another program between the search and the write.
            Err(Status::INVALID_ITEM_REF | Status::INVALID_RECORD) => thread::sleep(REPLACED_PAUSE),
            outcome => return outcome,
        }
    }
    call.update(item, content)
}

/// Removes an item of any program. One that cannot be removed is emptied, which needs no permission: a sign-out is
/// always possible.
fn remove(call: &Call<'_>, item: &Item) -> Result<bool, Status> {
    if item.data_protection {
        return removed(call.delete(item));
    }
    let mut item = item.clone();
    if !call.exists(&item)? {
        call.default_keychain()?;
        item = item.in_default();
        if !call.exists(&item)? {
            return Ok(false);
        }
    }
    // Not `delete` first: it refuses items of other programs, and searches the data protection keychain as well.
    removed(call.delete_reference(&item))?;
    if !call.exists(&item)? {
        return Ok(true);
    }
    match call.delete(&item) {
        Err(Status::INVALID_OWNER_EDIT | Status::AUTH_FAILED) => update(call, &item, b"{}").map(|()| true),
        outcome => removed(outcome),
    }
}

fn removed(outcome: Result<(), Status>) -> Result<bool, Status> {
    match outcome {
        Ok(()) => Ok(true),
        Err(Status::ITEM_NOT_FOUND) => Ok(false),
        Err(status) => Err(status),
    }
}

/// Removes probes of killed processes.
fn sweep(call: &Call<'_>, kind: &Item, now: u64) -> Result<(), Status> {
    for account in call.accounts(PROBE_SERVICE)? {
        let made = account.split_once('-').and_then(|(time, _)| u64::from_str_radix(time, 16).ok());
        if made.is_some_and(|made| made + ABANDONED.as_secs() < now) {
            remove(call, &Item { service: PROBE_SERVICE.to_owned(), account, ..kind.clone() })?;
        }
    }
    Ok(())
}

impl Keystore for KeychainItem {
    fn load(&self) -> Result<Option<Secret>> {
        self.find(&self.item)
    }

    fn save(&self, content: &Secret) -> Result<()> {
        self.put(&self.item, content.clone())
    }

    fn delete(&self) -> Result<bool> {
        self.remove(&self.item)
    }

    fn set_aside(&self) -> Result<String> {
        let content = self
            .load()?
            .ok_or_else(|| Error::new(ErrorKind::Damaged, "There is no keychain item to set aside"))?;
        let copy = self.copy(&keystore::copy_name(content.expose()));
        let location = copy.to_string();
        self.put(&copy, content)?;
        Ok(location)
    }

    fn remove_copies(&self) -> Result<usize> {
        let mut removed = 0;
        for name in keystore::copy_names() {
            removed += usize::from(self.remove(&self.copy(&name))?);
        }
        Ok(removed)
    }

    /// Each time: the keychain may have been locked since. The item itself is not read: for another program's item that
    /// would cause a dialogue, and the first read one more.
    fn verify(&self) -> Result<()> {
        self.try_out()
    }

    fn location(&self) -> String {
        self.item.to_string()
    }

    fn backend(&self) -> Backend {
        Backend::Keychain
    }
}
