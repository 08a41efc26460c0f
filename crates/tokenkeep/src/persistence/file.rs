//! A cache in a file: a [`Protector`] over an atomic file.

mod exchange;
mod takeover;

use std::borrow::Cow;
use std::fs::{File, FileTimes};
use std::io::{ErrorKind as IoErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use zeroize::Zeroizing;

use crate::atomic_file::{self, Rest};
use crate::cache::motion::{self, STOPPED};
use crate::event::{Event, Events};
use crate::names;
use crate::options::Durability;
use crate::persistence::Loaded;
use crate::persistence::{BuiltIn, OldCopy, StoreKind};
use crate::platform::directory::{self, Entry};
use crate::platform::files::{self, Status, Tick};
use crate::platform::writing;
use crate::protector::Plain;
use crate::text;
use crate::{Error, ErrorKind, Info, LockGuard, Persistence, Protection, Protector, Result, Secret, Stamp};

/// The content of the probe; the sibling libraries write a similar harmless text.
const PROBE: &[u8] = b"tokenkeep probe: this file can be removed";
const PROBE_PREFIX: &str = ".tk-probe-";
/// An older probe was left by a process that was killed during its verification.
const ABANDONED: Duration = Duration::from_secs(60);

/// A cache in one file, as content or as what a [`Protector`] makes of it.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("cache.json");
///
/// use tokenkeep::key_source::{Cost, Passphrase};
/// use tokenkeep::options::{Durability, WaitOptions};
/// use tokenkeep::storage::{FilePersistence, Sealed};
/// use tokenkeep::{Persistence, TokenCache};
///
/// let plain = FilePersistence::new(&path)?.durability(Durability::Cached);
/// plain.prepare()?; // the directory, where it is missing
/// TokenCache::new(plain).update(|_| "{\"Account\":{}}")?;
///
/// // The same file, from now on encrypted:
/// let passphrase = Passphrase::new("correct horse battery staple").cost(Cost::new(19 * 1024, 2)?);
/// let sealed = FilePersistence::with_protector(&path, Sealed::new(passphrase, "my-app/token_cache"))?
///     .on_event(|event| println!("{event:?}"));
/// assert!(sealed.encrypt_plaintext(&WaitOptions::default())?);
/// assert_eq!(sealed.load(None)?.content.expect("still there").expose(), b"{\"Account\":{}}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FilePersistence {
    path: PathBuf,
    protector: Arc<dyn Protector>,
    durability: Durability,
    remote: bool,
    /// Whether a plaintext cache at the path is encrypted in its place.
    takes_plaintext: bool,
    state: Arc<State>,
    events: Events,
}

#[derive(Debug)]
struct State {
    /// Whether this process has looked for files of killed writers.
    swept: AtomicBool,
    /// Whether it has looked for the old copy of a killed move.
    looked: AtomicBool,
    /// Whether the file system keeps other users out of the file, as far as seen.
    owner_only: AtomicBool,
    /// Whether the last write used a rename.
    crash_safe: AtomicBool,
    /// Whether the loss of the key has been reported since the last write.
    lapsed: AtomicBool,
    /// Whether this process has seen protected content at the path.
    protected: AtomicBool,
}

impl FilePersistence {
    /// A plaintext cache in the file at `path`, which is made absolute. Creates no file yet.
    ///
    /// # Errors
    /// `InvalidInput` for a path that names no file.
    pub fn new(path: impl AsRef<Path>) -> Result<Self> {
        Self::with_protector(path, Plain)
    }

    /// A cache in the file at `path`, protected by `protector`.
    ///
    /// # Errors
    /// Like [`FilePersistence::new`].
    pub fn with_protector(path: impl AsRef<Path>, protector: impl Protector + 'static) -> Result<Self> {
        Self::over(path.as_ref(), Arc::new(protector))
    }

    pub(crate) fn over(path: &Path, protector: Arc<dyn Protector>) -> Result<Self> {
        let path = files::absolute(path)?;
        let remote = files::is_remote(files::directory_of(&path));
        let state = Arc::new(State {
            swept: AtomicBool::new(false),
            looked: AtomicBool::new(false),
            owner_only: AtomicBool::new(true),
            crash_safe: AtomicBool::new(true),
            lapsed: AtomicBool::new(false),
            protected: AtomicBool::new(false),
        });
        let durability = Durability::default();
        let takes_plaintext = false;
        Ok(Self { path, protector, durability, remote, takes_plaintext, state, events: Events::default() })
    }

    /// Returns the same persistence with another durability.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Returns the same persistence, which encrypts a plaintext cache that it finds at its path, or refuses it with
    /// `Unprotected`. Default: refuses it. A plaintext cache needs no key to be written: with `true`, each user and program
    /// that can write the file can put sign-ins of their own there. Once this process has read protected content, plaintext
    /// is refused in any case.
    ///
    /// ```
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("cache.json");
    /// use tokenkeep::storage::{FilePersistence, Sealed};
    /// use tokenkeep::{ErrorKind, TokenCache, key_source::Passphrase};
    ///
    /// let plain = TokenCache::new(FilePersistence::new(&path)?);
    /// plain.update(|_| "{\"Account\":{}}")?;
    ///
    /// let sealed = Sealed::new(Passphrase::new("correct horse battery staple"), "my-app/token_cache");
    /// let file = FilePersistence::with_protector(&path, sealed)?;
    /// assert_eq!(TokenCache::new(file.clone()).read().unwrap_err().kind(), ErrorKind::Unprotected);
    /// assert!(TokenCache::new(file.taking_over_plaintext(true)).read()?.is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn taking_over_plaintext(mut self, takes: bool) -> Self {
        self.takes_plaintext = takes;
        self
    }

    /// Returns the same persistence with a listener for its events.
    #[must_use]
    pub fn on_event(self, listener: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.with_events(Events::to(listener))
    }

    pub(crate) fn with_events(mut self, events: Events) -> Self {
        self.events = events;
        self
    }

    /// Creates missing directories (0700) and an empty file (0600), and sets an existing file to 0600. Never changes
    /// the content.
    ///
    /// # Errors
    /// `PermissionDenied`, `UnsafeFile`, `StorageFull`, `Io`.
    pub fn prepare(&self) -> Result<()> {
        let directory = files::directory_of(&self.path);
        self.create_directory(directory)?;
        if let Some(warning) = files::open_directory_warning(directory) {
            self.events.warn(|| warning);
        }
        let target = directory::resolve(&self.path)?;
        match self.create(&target) {
            Ok(file) => {
                files::tighten(&file, &target)?;
                self.note_modes(&target);
                // Dated back, so that no reader takes it for a file that a sibling has truncated and will fill, and
                // waits. If that fails, a reader waits for a moment.
                let created = SystemTime::now().checked_sub(2 * STOPPED);
                let _ = created.map(|time| file.set_times(FileTimes::new().set_modified(time)));
                Ok(())
            }
            Err(error) if error.kind() == IoErrorKind::AlreadyExists => {
                if let Some((file, _)) = files::open_existing(&target, files::careful().read(true))? {
                    files::tighten(&file, &target)?;
                }
                self.note_modes(&target);
                Ok(())
            }
            Err(error) => Err(files::open_failed(&target, error)),
        }
    }

    /// Warns once if other users may read a file that was made private: its file system has no modes.
    fn note_modes(&self, file: &Entry) {
        let open =
            files::status_at(file).is_ok_and(|status| status.is_some_and(|it| files::is_open_to_others(&it)));
        if open && !self.is_of_machine() && self.state.owner_only.swap(false, Ordering::Relaxed) {
            self.events.warn(|| {
                format!(
                    "Other users may read {:?}: its file system has no permissions of its own, or does not let them be set; \
                     keep the cache in your home directory, or encrypted",
                    self.path
                )
            });
        }
    }

    /// Whether every account of the machine uses the cache: then its directory says who may open it.
    fn is_of_machine(&self) -> bool {
        self.protector.protection() == Protection::OsMachine
    }

    fn create_directory(&self, directory: &Path) -> Result<()> {
        match self.is_of_machine() {
            true => files::create_shared_directory(directory),
            false => files::create_directory(directory),
        }
    }

    fn create(&self, target: &Entry) -> std::io::Result<File> {
        match self.is_of_machine() {
            true => writing::create_inheriting(target),
            false => writing::create_new(target, target),
        }
    }

    fn read(&self, target: &Entry, held: bool) -> Result<Loaded> {
        // Under the lock, only a sibling that ignores the lock can be writing; without it, the caller reads again
        // under the lock.
        let rounds = if held { 50 } else { 1 };
        for round in 0..rounds {
            if round > 0 {
                std::thread::sleep(Duration::from_millis(20));
            }
            match read_unchanged(target) {
                Ok(Some(loaded)) => return Ok(loaded),
                Ok(None) => {}
                // Another machine has replaced the file (ESTALE).
                Err(error) if error.io_kind() == Some(IoErrorKind::StaleNetworkFileHandle) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(ErrorKind::Busy, "The cache file kept changing while it was read")
            .at(target)
            .remedy("Another program writes it without the lock; try again"))
    }

    /// Looks at the file. A network file system answers for a file that is opened; for another one it answers from what it
    /// saw seconds ago.
    ///
    /// `at_rest` makes the stamp of a file that is neither a link nor remote.
    fn look(&self, at_rest: fn(Tick, &Path, &Status) -> Stamp) -> Result<Stamp> {
        let tick = Tick::now();
        let Some(status) = files::look_at(&self.path)? else { return Ok(Stamp::ABSENT) };
        if !status.is_symlink() && !self.remote {
            return Ok(at_rest(tick, &self.path, &status));
        }
        let target = directory::resolve(&self.path)?;
        let open = files::open_existing(&target, files::careful().read(true))?;
        Ok(open.map_or(Stamp::ABSENT, |(file, status)| tick.stamp(&file, &target, &status)))
    }

    /// Decrypts the bytes of a file; returns `None` if their key is lost.
    fn unprotect(&self, bytes: Secret) -> Result<Option<Secret>> {
        match self.protector.unprotect(bytes) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == ErrorKind::KeyGone => {
                if !self.state.lapsed.swap(true, Ordering::Relaxed) {
                    let (path, reason) = (self.path.clone(), error.to_string());
                    self.events.raise(|| Event::Lapsed { path, reason });
                }
                Ok(None)
            }
            Err(error) => Err(self.in_the_way(error)),
        }
    }

    /// Names the file of an error, and the way on for a person whose key is lost.
    fn in_the_way(&self, error: Error) -> Error {
        let error = error.about(&self.path);
        let holds = || {
            let status = directory::resolve(&self.path).and_then(|target| files::status_at(&target));
            status.is_ok_and(|status| status.is_some_and(|status| status.len() > 0))
        };
        match error.kind() {
            ErrorKind::MissingKey if holds() => {
                let command = text::move_away(&self.path, ".old");
                error.or(&format!("if the key is lost, move the file away: {command}"))
            }
            _ => error,
        }
    }

    /// Like `unprotect`, for a file that may be missing or empty.
    fn open(&self, bytes: Option<Secret>) -> Result<Option<Secret>> {
        match bytes {
            Some(bytes) if !bytes.is_empty() => self.unprotect(bytes),
            nothing => Ok(nothing),
        }
    }

    /// Reads the bytes of the file, written by any program.
    pub(crate) fn raw(&self, guard: Option<&LockGuard>) -> Result<Option<Secret>> {
        Ok(match guard {
            Some(guard) => self.read(guard.target(), true)?,
            None => self.read(&directory::resolve(&self.path)?, false)?,
        }
        .content)
    }

    /// Like [`FilePersistence::raw`] under the lock, and waits for the rest of what may be half of a write.
    pub(crate) fn raw_at_rest(&self, guard: &LockGuard) -> Result<Option<Secret>> {
        let read = || self.read(guard.target(), true);
        Ok(motion::load_at_rest(self, read, motion::is_complete)?.loaded.content)
    }

    /// Returns the bytes to write for `content` over the content of `target`, and whether the key of that is lost.
    fn protect<'a>(&self, content: &'a [u8], target: &Entry) -> Result<(Cow<'a, [u8]>, bool)> {
        let head = self.head(target)?;
        match self.protector.protect(content, head.as_ref().map(|head| head.expose())) {
            Ok(bytes) => Ok((bytes, false)),
            Err(error) if error.kind() == ErrorKind::KeyGone => {
                Ok((self.protector.protect(content, None)?, true))
            }
            Err(error) if error.kind() == ErrorKind::Unprotected && !self.is_plaintext_cache(target)? => {
                Ok((self.protector.protect(content, None)?, false))
            }
            Err(error) => Err(self.in_the_way(error)),
        }
    }

    /// Returns whether content that begins like a plaintext cache is one. Torn content was moved aside and may be
    /// replaced.
    fn is_plaintext_cache(&self, target: &Entry) -> Result<bool> {
        let Some(bytes) = self.read(target, true)?.content else { return Ok(false) };
        Ok(self.protector.unprotect(bytes).is_err_and(|error| error.kind() == ErrorKind::Unprotected))
    }

    /// Returns the first stored bytes, as many as the protector needs.
    fn head(&self, target: &Entry) -> Result<Option<Secret>> {
        let wanted = self.protector.head_length();
        if wanted == 0 {
            return Ok(None);
        }
        let Some((file, _)) = files::open_existing(target, files::careful().read(true))? else {
            return Ok(None);
        };
        let mut head = Zeroizing::new(Vec::with_capacity(wanted));
        file.take(wanted as u64)
            .read_to_end(&mut head)
            .map_err(|error| Error::io("Cannot read the file", target, error))?;
        Ok(Some(Secret::from_zeroizing(head)))
    }

    /// Replaces the content; the caller completes the rest.
    fn replace(&self, guard: &LockGuard, content: &[u8]) -> Result<(Stamp, Rest)> {
        guard.require(&self.path)?;
        let first = self.sweep_once(guard.target());
        let (bytes, lapsed) = self.protect(content, guard.target())?;
        if lapsed && let Some(old) = self.read(guard.target(), true)?.content {
            atomic_file::keep_lapsed(guard.target(), old.expose())?;
        }
        if self.is_of_machine() {
            // The new content gets the access list of the file that it replaces. Absent: the replacement says why.
            drop(self.create(guard.target()));
        }
        let replaced = atomic_file::replace_deferred(guard.target(), &bytes, self.durability)?;
        if first {
            self.note_modes(guard.target());
        }
        self.state.lapsed.store(false, Ordering::Relaxed);
        if !replaced.crash_safe && self.state.crash_safe.swap(false, Ordering::Relaxed) {
            self.events.warn(|| {
                format!("{:?} cannot be replaced by renaming (is it mounted?); it is written in place, which a crash can tear", self.path)
            });
        }
        Ok((replaced.stamp, replaced.rest))
    }

    /// At the first write: removes temporary files that a killed writer left, and returns true. Needs the lock.
    fn sweep_once(&self, target: &Entry) -> bool {
        let first = !self.state.swept.load(Ordering::Relaxed);
        if first {
            atomic_file::remove_left_over(target);
            self.state.swept.store(true, Ordering::Relaxed);
        }
        first
    }
}

impl Persistence for FilePersistence {
    fn path(&self) -> &Path {
        &self.path
    }

    fn kind(&self) -> StoreKind<'_> {
        StoreKind::File
    }

    fn stamp(&self) -> Result<Stamp> {
        unless_stale(self.look(Tick::stamp_at))
    }

    fn load(&self, guard: Option<&LockGuard>) -> Result<Loaded> {
        let Some(guard) = guard else {
            let target = directory::resolve(&self.path)?;
            if !self.state.looked.swap(true, Ordering::Relaxed) && self.is_unfinished(&target)? {
                return Err(
                    Error::new(ErrorKind::Unprotected, "An interrupted move left an old copy").at(&target)
                );
            }
            let loaded = self.read(&target, false)?;
            self.note_protection(loaded.content.as_ref());
            return Ok(Loaded { content: self.open(loaded.content)?, ..loaded });
        };
        guard.require(&self.path)?;
        let loaded = self.read(guard.target(), true)?;
        self.note_protection(loaded.content.as_ref());
        match self.open(loaded.content) {
            Ok(content) => {
                self.clear_remains(guard);
                Ok(Loaded { content, stamp: loaded.stamp })
            }
            Err(error) if error.kind() == ErrorKind::Unprotected => {
                self.require_plaintext_allowed(error)?;
                self.take_over(guard)
            }
            Err(error) => Err(error),
        }
    }

    fn save(&self, guard: &LockGuard, content: &[u8]) -> Result<Stamp> {
        let (stamp, rest) = self.replace(guard, content)?;
        rest.finish()?;
        Ok(stamp)
    }

    fn delete(&self, guard: &LockGuard) -> Result<bool> {
        guard.require(&self.path)?;
        atomic_file::remove(guard.target(), self.durability)
    }

    fn set_aside(&self, guard: &LockGuard) -> Result<String> {
        guard.require(&self.path)?;
        let stored = self.read(guard.target(), true)?;
        let Some(bytes) = stored.content else {
            return Err(Error::new(ErrorKind::Damaged, "There is nothing to set aside").at(&self.path));
        };
        let copy = atomic_file::keep_copy(guard.target(), bytes.expose())?;
        Ok(copy.display().to_string())
    }

    fn verify(&self) -> Result<()> {
        self.verify_replacing(true)
    }

    fn info(&self) -> Info {
        let location = self.path.display().to_string();
        let mut info = Info::new(self.protector.backend(), self.protector.protection(), location);
        info.survives_reboot = self.protector.survives_reboot();
        info.crash_safe = self.state.crash_safe.load(Ordering::Relaxed);
        info.owner_only = self.state.owner_only.load(Ordering::Relaxed);
        info
    }

    fn built_in(&self) -> Option<&dyn BuiltIn> {
        Some(self)
    }
}

impl BuiltIn for FilePersistence {
    fn save_deferred(&self, guard: &LockGuard, content: &Secret) -> Result<Stamp> {
        let (stamp, rest) = self.replace(guard, content.expose())?;
        guard.finish_later(rest);
        Ok(stamp)
    }

    fn glance(&self) -> Result<Stamp> {
        unless_stale(self.look(|tick, _, status| tick.glance(status)))
    }

    fn load_own(&self, guard: &LockGuard) -> Result<Option<Secret>> {
        guard.require(&self.path)?;
        self.open(self.read(guard.target(), true)?.content)
    }

    fn import(&self, guard: &LockGuard, content: &[u8]) -> Result<OldCopy> {
        guard.require(&self.path)?;
        self.exchange(guard, content).map(|(_, retired)| retired)
    }

    fn empty(&self, guard: &LockGuard) -> Result<OldCopy> {
        guard.require(&self.path)?;
        self.leave_empty(guard)
    }

    fn wipe_copies(&self, guard: &LockGuard) -> Result<usize> {
        guard.require(&self.path)?;
        atomic_file::wipe_copies(guard.target())
    }

    fn wipe_leftover(&self, guard: &LockGuard) -> Result<bool> {
        guard.require(&self.path)?;
        // The present content must be readable before the old file is destroyed.
        self.open(self.read(guard.target(), true)?.content)?;
        Ok(self.clear_remains(guard))
    }
}

impl FilePersistence {
    /// Verifies the path and, if `replacing`, that its content can be replaced.
    pub(crate) fn verify_replacing(&self, replacing: bool) -> Result<()> {
        self.create_directory(files::directory_of(&self.path))?;
        let target = directory::resolve(&self.path)?;
        let directory = files::directory_of(&target);
        if let Some(warning) = files::open_directory_warning(directory) {
            self.events.warn(|| warning);
        }
        for remark in self.protector.remarks()? {
            self.events.warn(|| remark);
        }
        remove_abandoned_probes(&target);
        let probe = target.named(format!("{PROBE_PREFIX}{:016x}", names::random()?));
        let outcome = self.write_and_read_back(&probe, replacing.then_some(&target));
        let removed = writing::remove(&probe);
        outcome?;
        removed.map_err(|error| Error::io("Cannot remove the probe file", &probe, error))
    }

    /// The probe is encrypted as if it replaced the content of `target`, so that a wrong key is detected before a
    /// sign-in.
    fn write_and_read_back(&self, probe: &Entry, target: Option<&Entry>) -> Result<()> {
        let protected = target.map_or_else(
            || Ok((self.protector.protect(PROBE, None)?, false)),
            |target| self.protect(PROBE, target),
        );
        let bytes = match protected {
            Ok((bytes, _)) => bytes,
            // A load encrypts it. The verification must only show that the key works.
            Err(error) if error.kind() == ErrorKind::Unprotected => self.protector.protect(PROBE, None)?,
            Err(error) => return Err(error),
        };
        let failed = |error| Error::io("Cannot write the probe file", probe, error);
        let mut file = writing::create_new(probe, target.unwrap_or(probe)).map_err(failed)?;
        // Not synced: the probe verifies access and protection, and need not survive a crash.
        file.write_all(&bytes).map_err(failed)?;
        files::tighten(&file, probe)?;
        self.note_modes(probe);
        let read = self.read(probe, true)?.content;
        let back = read.map(|bytes| self.protector.unprotect(bytes)).transpose()?;
        if back.is_some_and(|back| back.expose() == PROBE) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::NotVerified, "The probe file did not read back as it was written")
            .at(probe))
    }
}

fn unless_stale(looked: Result<Stamp>) -> Result<Stamp> {
    match looked {
        // Another machine has replaced the file.
        Err(error) if error.io_kind() == Some(IoErrorKind::StaleNetworkFileHandle) => Ok(Stamp::UNKNOWN),
        looked => looked,
    }
}

/// Reads the file at `target`; `None` if it changed meanwhile.
fn read_unchanged(target: &Entry) -> Result<Option<Loaded>> {
    let tick = Tick::now();
    let Some((mut file, before)) = files::open_existing(target, files::careful().read(true))? else {
        return Ok(Some(Loaded { content: None, stamp: Stamp::ABSENT }));
    };
    let read = files::read_whole(&mut file, target, &before)?;
    Ok(read.map(|(bytes, after)| Loaded {
        content: Some(Secret::from_zeroizing(bytes)),
        stamp: tick.stamp(&file, target, &after),
    }))
}

/// Removes probes of killed processes and no others: young ones belong to processes that are verifying now.
fn remove_abandoned_probes(target: &Entry) {
    for name in target.names_beside() {
        if !name.as_encoded_bytes().starts_with(PROBE_PREFIX.as_bytes()) {
            continue;
        }
        let probe = target.named(name);
        let status = files::status_at(&probe).ok().flatten();
        let age = status.and_then(|status| status.modified().ok()?.elapsed().ok());
        if age.is_some_and(|age| age > ABANDONED) {
            let _ = writing::remove(&probe);
        }
    }
}
