//! The states, and how each is made.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, SystemTime};

use crate::caches;
use crate::holder::Holder;
use crate::keyring::{Bus, Keyring};

/// The application of the tests: the service of its item.
pub(crate) const APP: &str = "contoso";

/// A state of the file at the cache's path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum File {
    Absent,
    Empty,
    Marker,
    Cache,
    Torn,
    Foreign,
    Sealed,
    DataProtection,
    ReadOnly,
    Linked,
}

impl File {
    pub(crate) const ALL: [Self; 10] = [
        Self::Absent,
        Self::Empty,
        Self::Marker,
        Self::Cache,
        Self::Torn,
        Self::Foreign,
        Self::Sealed,
        Self::DataProtection,
        Self::ReadOnly,
        Self::Linked,
    ];

    /// Those of the quick form: of each kind of file one.
    pub(crate) const QUICK: [Self; 4] = [Self::Marker, Self::Cache, Self::Torn, Self::Sealed];

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Absent => "no file",
            Self::Empty => "empty",
            Self::Marker => "`{}`",
            Self::Cache => "a plaintext token cache",
            Self::Torn => "a torn token cache",
            Self::Foreign => "another program's file",
            Self::Sealed => "encrypted, the key unknown",
            Self::DataProtection => "encrypted by Windows",
            Self::ReadOnly => "a plaintext token cache, mode 0400",
            Self::Linked => "a link to a file on another file system",
        }
    }

    pub(crate) fn place(self) -> &'static str {
        if self == Self::Cache { "a cache in a file" } else { "a cache in the keyring" }
    }

    fn content(self) -> Option<Vec<u8>> {
        let cache = caches::cache(true);
        Some(match self {
            Self::Absent => return None,
            Self::Empty => Vec::new(),
            Self::Marker | Self::Linked => b"{}".to_vec(),
            Self::Cache | Self::ReadOnly => cache,
            Self::Torn => cache[..cache.len() / 2].to_vec(),
            Self::Foreign => b"a person's notes".to_vec(),
            Self::Sealed => b"\x89TKS\r\n\x1a\nnone of the test's keys".to_vec(),
            Self::DataProtection => {
                let id = b"\x01\0\0\0\xd0\x8c\x9d\xdf\x01\x15\xd1\x11\x8c\x7a\0\xc0\x4f\xc2\x97\xeb";
                [&id[..], b"and what only Windows reads"].concat()
            }
        })
    }
}

/// A state of the keyring and its item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Absent,
    One,
    DoubledEqual,
    Torn,
    Locked,
    NoKeyring,
}

impl Item {
    pub(crate) const ALL: [Self; 6] =
        [Self::Absent, Self::One, Self::DoubledEqual, Self::Torn, Self::Locked, Self::NoKeyring];

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Absent => "no item",
            Self::One => "an item",
            Self::DoubledEqual => "two equal items",
            Self::Torn => "a torn item",
            Self::Locked => "keyring locked",
            Self::NoKeyring => "no keyring",
        }
    }
}

/// A state of the lock beside the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    Free,
    Held,
    OursDead,
    SiblingDead,
    SiblingAlive,
    Future,
    Nameless,
}

impl Lock {
    pub(crate) const ALL: [Self; 7] = [
        Self::Free,
        Self::Held,
        Self::OursDead,
        Self::SiblingDead,
        Self::SiblingAlive,
        Self::Future,
        Self::Nameless,
    ];

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Held => "held by a program with tokenkeep",
            Self::OursDead => "left by a dead program with tokenkeep",
            Self::SiblingDead => "left by a dead program with another library",
            Self::SiblingAlive => "held by a program with another library",
            Self::Future => "left by a dead program, dated in the future",
            Self::Nameless => "left without a process id",
        }
    }
}

/// A session with a keyring, and one without, which scenes use one after the other.
pub(crate) struct Sessions {
    keyring: Keyring,
    without: Bus,
}

impl Sessions {
    pub(crate) fn start() -> Self {
        Self { keyring: Keyring::start(), without: Bus::start() }
    }
}

/// A machine in these states.
pub(crate) struct Scene<'s> {
    states: (File, Item, Lock),
    sessions: &'s Sessions,
    folder: tempfile::TempDir,
    other: Option<tempfile::TempDir>,
    pub(crate) holder: Option<Holder>,
    pub(crate) sibling: Option<Child>,
    /// Whether the person has taken the remedy to allow a fallback.
    pub(crate) fallback: bool,
}

impl fmt::Display for Scene<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.states)
    }
}

impl Drop for Scene<'_> {
    fn drop(&mut self) {
        self.end_sibling();
        if self.states.1 == Item::Locked {
            self.unlock();
        }
    }
}

impl<'s> Scene<'s> {
    pub(crate) fn new(sessions: &'s Sessions, file: File, item: Item, lock: Lock) -> Self {
        let folder = tempfile::Builder::new().prefix("tk-").tempdir_in("/tmp").unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let states = (file, item, lock);
        let mut scene =
            Self { states, sessions, folder, other: None, holder: None, sibling: None, fallback: false };
        scene.make_file(file);
        scene.make_item(item);
        scene.make_lock(lock);
        scene
    }

    pub(crate) fn home(&self) -> &std::path::Path {
        self.folder.path()
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("cache.json")
    }

    pub(crate) fn file(&self) -> File {
        self.states.0
    }

    pub(crate) fn address(&self) -> String {
        let bus = if self.states.1 == Item::NoKeyring {
            &self.sessions.without
        } else {
            &self.sessions.keyring.bus
        };
        bus.address().to_owned()
    }

    fn make_file(&mut self, file: File) {
        let Some(content) = file.content() else { return };
        let mut path = self.path();
        if file == File::Linked {
            let other = tempfile::tempdir_in("/dev/shm").unwrap();
            std::os::unix::fs::symlink(other.path().join("real.json"), &path).unwrap();
            path = other.path().join("real.json");
            self.other = Some(other);
        }
        fs::write(&path, content).unwrap();
        let mode = if file == File::ReadOnly { 0o400 } else { 0o600 };
        // Long ago, so that no writer can be at work on it.
        fs::File::open(&path).unwrap().set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn make_item(&self, item: Item) {
        if item == Item::NoKeyring {
            return;
        }
        let schema = crate::keyring::SCHEMA;
        let attributes = [("xdg:schema", schema), ("service", APP), ("account", "token_cache")];
        let whole = caches::cache(false);
        let contents: &[&[u8]] = match item {
            Item::Absent | Item::NoKeyring => &[],
            Item::One | Item::Locked => &[&whole],
            Item::DoubledEqual => &[&whole, &whole],
            Item::Torn => &[&whole[..whole.len() / 2]],
        };
        self.sessions.keyring.by_hand(async |hand| {
            for old in hand.search(&[]).await {
                hand.delete(&old).await;
            }
            let collection = hand.default_collection().await;
            for content in contents {
                hand.create(&collection, &attributes, content).await;
            }
            if item == Item::Locked {
                hand.lock(&collection).await;
            }
        });
    }

    fn make_lock(&mut self, lock: Lock) {
        let lock_file = self.folder.path().join("cache.json.lockfile");
        let ended = || {
            let mut child = Command::new("true").spawn().unwrap();
            child.wait().unwrap();
            child.id().to_string()
        };
        match lock {
            Lock::Free => {}
            Lock::Held => self.holder = Some(Holder::of(&self.path())),
            Lock::OursDead => Holder::of(&self.path()).kill(),
            Lock::SiblingDead => fs::write(lock_file, ended()).unwrap(),
            Lock::SiblingAlive => {
                let child = Command::new("sleep").arg("300").stdout(Stdio::null()).spawn().unwrap();
                fs::write(lock_file, child.id().to_string()).unwrap();
                self.sibling = Some(child);
            }
            Lock::Future => {
                fs::write(&lock_file, ended()).unwrap();
                let future = SystemTime::now() + Duration::from_secs(3600);
                fs::File::open(lock_file).unwrap().set_modified(future).unwrap();
            }
            Lock::Nameless => {
                fs::write(&lock_file, "").unwrap();
                let past = SystemTime::now() - Duration::from_secs(60);
                fs::File::open(lock_file).unwrap().set_modified(past).unwrap();
            }
        }
    }

    /// Ends the sibling's program, which removes its lock file.
    pub(crate) fn end_sibling(&mut self) {
        if let Some(mut child) = self.sibling.take() {
            let _ = child.kill();
            let _ = child.wait();
            let _ = fs::remove_file(self.folder.path().join("cache.json.lockfile"));
        }
    }

    /// Starts a keyring, in which there is nothing yet.
    pub(crate) fn start_keyring(&mut self) {
        self.states.1 = Item::Absent;
        self.make_item(Item::Absent);
    }

    /// Unlocks the keyring, as a person with the desktop's password program: gnome-keyring does so at its start.
    pub(crate) fn unlock(&self) {
        self.sessions.keyring.restart();
    }
}
