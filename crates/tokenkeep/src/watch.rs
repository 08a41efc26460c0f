//! Events when another process, or another cache in this process, signs an account in or out.
//!
//! This file owns the public types; `accounts` has the signed-in accounts and their differences, `signs` the system's file
//! events, and `round` the thread that checks after one. It needs the feature `watch`, which is on by default.
//!
//! ```
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("cache.json");
//! # let open = || Ok::<_, tokenkeep::Error>(tokenkeep::TokenCache::new(
//! #     tokenkeep::storage::FilePersistence::new(&path)?));
//! let cache = open()?;
//! let (tell, told) = std::sync::mpsc::channel();
//! let watcher = cache.watch(move |event| drop(tell.send(event)))?;
//!
//! # let another_process = open()?;
//! another_process.update(|_| {
//!     br#"{"Account":{"key":{"home_account_id":"uid.utid","environment":"login.windows.net","username":"ada@example.com"}}}"#
//! })?;
//! let event = told.recv_timeout(std::time::Duration::from_secs(60)).expect("an event")?;
//! assert_eq!(event.added[0].username.as_deref(), Some("ada@example.com"));
//! drop(watcher); // no more events
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod accounts;
mod round;
mod signs;

use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use self::round::Round;
use crate::{Result, Snapshot, TokenCache};

/// The added, removed and changed accounts. At least one of the lists is not empty.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let file = tokenkeep::storage::FilePersistence::new(folder.path().join("cache.json"))?;
/// # let cache = tokenkeep::TokenCache::new(file);
/// use tokenkeep::watch::CacheChanged;
///
/// let _watcher = cache.watch(|event| match event {
///     Ok(CacheChanged { added, removed, .. }) => println!("{} added, {} removed", added.len(), removed.len()),
///     Err(error) => println!("the cache cannot be read at present: {error}"),
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheChanged {
    /// New accounts: a user signed in.
    pub added: Vec<WatchedAccount>,
    /// Removed accounts, with their last known fields: a user signed out.
    pub removed: Vec<WatchedAccount>,
    /// Accounts with another description or refresh token: a user signed in again, or a token was renewed.
    pub changed: Vec<WatchedAccount>,
}

/// An account in an event: one user in one cloud, with all tenants. Never a token.
///
/// ```
/// use tokenkeep::watch::WatchedAccount;
///
/// fn label(account: &WatchedAccount) -> &str {
///     account.name.as_deref().or(account.username.as_deref()).unwrap_or(&account.home_account_id)
/// }
/// # let _ = label;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WatchedAccount {
    /// The user's identifier across tenants: object id, a dot, home tenant id. Case does not matter.
    pub home_account_id: String,
    /// The host of the cloud in the cache.
    pub environment: String,
    /// The name with which the user signs in, mostly like a mail address.
    pub username: Option<String>,
    /// The display name of the user.
    pub name: Option<String>,
    /// The tenants with a profile in the cache, sorted.
    pub tenants: Vec<String>,
}

/// How to watch. Every field has a default.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let file = tokenkeep::storage::FilePersistence::new(folder.path().join("cache.json"))?;
/// # let cache = tokenkeep::TokenCache::new(file);
/// use std::time::Duration;
/// use tokenkeep::watch::WatchOptions;
///
/// let mut options = WatchOptions::default();
/// options.check_every = Some(Duration::from_secs(5)); // another machine writes to this directory
/// let _watcher = cache.watch_with(options, |event| println!("{event:?}"))?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct WatchOptions {
    /// The pause between the first sign of a change and the check, so that many writes in a row cause one event.
    /// Default: 200 ms, which is also the shortest time between two events.
    pub coalesce: Duration,
    /// The interval of checks without a sign, by one read of the file's status: they find changes whose events the
    /// system dropped. Default: a minute, but two seconds where there are no file events (a network file system).
    pub check_every: Option<Duration>,
    /// The interval at which the store is read although its file or marker is unchanged. Only needed for a keystore
    /// item written by programs that do not touch the marker file, such as keytar used directly. Default: never.
    pub reread_every: Option<Duration>,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self { coalesce: Duration::from_millis(200), check_every: None, reread_every: None }
    }
}

/// Watches a cache until it is dropped. A callback under way is then finished, and none is begun.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let file = tokenkeep::storage::FilePersistence::new(folder.path().join("cache.json"))?;
/// # let cache = tokenkeep::TokenCache::new(file);
/// let watcher = cache.watch(|_| println!("the accounts changed"))?;
/// // ... while it is kept ...
/// drop(watcher);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "dropping the watcher ends the watching"]
pub struct CacheWatcher {
    signals: Sender<Signal>,
}

impl Drop for CacheWatcher {
    fn drop(&mut self) {
        // The thread may have ended by a panic of the callback.
        let _ = self.signals.send(Signal::Stop);
    }
}

/// A signal for the watching thread.
#[derive(Debug)]
pub(crate) enum Signal {
    /// The system reports a change of the file, or, with `arm_again`, of a directory above it.
    Sign { arm_again: bool },
    /// This process read the stored content, or wrote it.
    Seen { own: bool, snapshot: Snapshot },
    /// The watcher was dropped.
    Stop,
}

impl TokenCache {
    /// Calls `on_change` whenever the accounts in the cache changed otherwise than through this handle and its clones:
    /// by another process, whatever library it uses, or by another handle in this one.
    ///
    /// The difference is that to the last call, so that none is missed and what was undone meanwhile is not told. It
    /// comes from a thread of its own, mostly within a third of a second. Content that is no token cache has no accounts.
    ///
    /// What cannot be read is told as an error, once, and tried again, at first after a second and in the end every
    /// minute; accounts are not taken for gone meanwhile. A file, or its directory, that is removed has no accounts; when
    /// it is made again that is noticed as well.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let file = tokenkeep::storage::FilePersistence::new(folder.path().join("cache.json"))?;
    /// # let cache = tokenkeep::TokenCache::new(file);
    /// let watcher = cache.watch(|event| println!("{event:?}"))?;
    /// # drop(watcher);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`TokenCache::snapshot`]; `Io` when no thread can be started.
    pub fn watch(
        &self,
        on_change: impl FnMut(Result<CacheChanged>) + Send + 'static,
    ) -> Result<CacheWatcher> {
        self.watch_with(WatchOptions::default(), on_change)
    }

    /// As [`TokenCache::watch`], with options.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let file = tokenkeep::storage::FilePersistence::new(folder.path().join("cache.json"))?;
    /// # let cache = tokenkeep::TokenCache::new(file);
    /// use std::time::Duration;
    /// use tokenkeep::watch::WatchOptions;
    ///
    /// let mut options = WatchOptions::default();
    /// options.reread_every = Some(Duration::from_secs(30)); // for programs that write the keyring item without its marker
    /// let _watcher = cache.watch_with(options, |event| println!("{event:?}"))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`TokenCache::watch`].
    pub fn watch_with(
        &self,
        options: WatchOptions,
        on_change: impl FnMut(Result<CacheChanged>) + Send + 'static,
    ) -> Result<CacheWatcher> {
        let (signals, received) = mpsc::channel();
        Round::start(self.clone(), options, Box::new(on_change), signals.clone(), received)?;
        Ok(CacheWatcher { signals })
    }
}
