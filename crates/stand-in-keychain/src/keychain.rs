//! The keychain itself: items, its lock, and the person in front of it.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// A person's answer to a dialogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Answer {
    /// This once; for a locked keychain its password.
    Allow,
    /// From now on.
    AlwaysAllow,
    Deny,
}

/// One item.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Entry {
    pub service: String,
    pub account: String,
    pub content: String,
    /// The program that added it.
    pub owner: String,
    /// The programs that may read it.
    pub applications: Vec<String>,
    /// The signatures to which that list applies.
    pub partitions: Vec<String>,
    /// Whether it is in the data protection keychain, and in which access group.
    #[serde(default)]
    pub data_protection: bool,
    #[serde(default)]
    pub access_group: Option<String>,
    /// Whether it is in the default keychain although that is not searched.
    #[serde(default)]
    pub outside_the_list: bool,
}

impl fmt::Debug for Entry {
    /// Without the content, which no part of the library may print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} of {} for {:?}", self.service, self.account, self.owner, self.applications)
    }
}

/// The state of a user's keychain.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct World {
    pub items: Vec<Entry>,
    pub locked: bool,
    /// Whether there is a default keychain.
    pub exists: bool,
    /// Whether the default keychain is in the list that is searched.
    pub searched: bool,
    /// Whether the session has a screen.
    pub screen: bool,
    /// Whether `SecKeychainItemDelete` does nothing, and says nothing.
    pub undeletable: bool,
    /// The dialogues that were shown: the program and the question.
    pub dialogues: Vec<String>,
    /// The next answers; without any, the person allows it once.
    pub answers: VecDeque<Answer>,
}

impl Default for World {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            locked: false,
            exists: true,
            searched: true,
            screen: true,
            undeletable: false,
            dialogues: Vec::new(),
            answers: VecDeque::new(),
        }
    }
}

/// A user's keychain.
#[derive(Clone, Debug)]
pub struct Keychain(Arc<Home>);

#[derive(Debug)]
enum Home {
    Memory(Mutex<World>),
    File(PathBuf),
}

impl Default for Keychain {
    fn default() -> Self {
        Self(Arc::new(Home::Memory(Mutex::default())))
    }
}

impl Keychain {
    /// The keychain in a file of JSON, shared by all processes that name it.
    pub fn in_file(path: impl Into<PathBuf>) -> Self {
        Self(Arc::new(Home::File(path.into())))
    }

    /// Looks at the state, or changes it.
    ///
    /// # Panics
    /// If the file cannot be used.
    pub fn with<R>(&self, work: impl FnOnce(&mut World) -> R) -> R {
        match &*self.0 {
            Home::Memory(world) => work(&mut world.lock().unwrap_or_else(PoisonError::into_inner)),
            Home::File(path) => {
                let options = File::options().read(true).write(true).create(true).truncate(false).open(path);
                let mut file = options.expect("the stand-in keychain's file");
                file.lock().expect("the lock of the stand-in keychain's file");
                let mut text = String::new();
                file.read_to_string(&mut text).expect("the stand-in keychain's text");
                let mut world = match text.trim() {
                    "" => World::default(),
                    text => serde_json::from_str(text).expect("the stand-in keychain's JSON"),
                };
                let result = work(&mut world);
                let text = serde_json::to_string(&world).expect("JSON of the stand-in keychain");
                file.rewind().and_then(|()| file.set_len(0)).expect("an empty file");
                file.write_all(text.as_bytes()).expect("a written file");
                result
            }
        }
    }

    /// The dialogues since the last time.
    pub fn dialogues(&self) -> Vec<String> {
        self.with(|world| std::mem::take(&mut world.dialogues))
    }
}
