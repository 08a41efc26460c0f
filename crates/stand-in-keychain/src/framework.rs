//! The framework in one process of one program.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokenkeep::Secret;
use tokenkeep::keychain::{Item, SecurityFramework, Status};

use crate::{Answer, Entry, Keychain, World};

/// How long the framework keeps a keychain open after its last use.
const KEPT_OPEN: Duration = Duration::from_secs(5);

/// A call of the framework.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub function: &'static str,
    pub item: Item,
    /// Whether the call forbids a prompt.
    pub silently: bool,
}

/// One program's process on a [`Keychain`].
#[derive(Debug)]
pub struct Program {
    keychain: Keychain,
    name: String,
    /// Its partition: `teamid:...`, or `cdhash:...` of a program without a Developer ID.
    signature: String,
    process: Arc<Mutex<Process>>,
}

#[derive(Debug, Default)]
struct Process {
    silent: usize,
    /// When the keychain was last used, and whether its first use since it was opened allowed prompts.
    open: Option<(Instant, bool)>,
    asked: Vec<Asked>,
    /// The statuses that the next calls of a function return in place of their work.
    refusals: HashMap<&'static str, VecDeque<Status>>,
    /// The time that each search takes.
    delay: Duration,
}

struct Silence(Arc<Mutex<Process>>);

impl Drop for Silence {
    fn drop(&mut self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).silent -= 1;
    }
}

impl Default for Program {
    fn default() -> Self {
        Self::of(&Keychain::default(), "node", "teamid:node")
    }
}

impl Program {
    pub fn of(keychain: &Keychain, name: &str, signature: &str) -> Self {
        let (name, signature) = (name.to_owned(), signature.to_owned());
        Self { keychain: keychain.clone(), name, signature, process: Arc::default() }
    }

    pub fn keychain(&self) -> &Keychain {
        &self.keychain
    }

    /// Makes the next call of a function fail.
    pub fn refuse(&self, function: &'static str, status: Status) {
        self.process().refusals.entry(function).or_default().push_back(status);
    }

    /// Makes each search take this long.
    pub fn delay(&self, delay: Duration) {
        self.process().delay = delay;
    }

    /// Returns the calls since the last time.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.process().asked)
    }

    /// Returns the names of the functions called since the last time.
    pub fn functions(&self) -> Vec<&'static str> {
        self.asked().into_iter().map(|asked| asked.function).collect()
    }

    /// Returns whether the process is silent now.
    pub fn is_silent(&self) -> bool {
        self.process().silent > 0
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a call, and refuses it if the test wants that.
    fn note(&self, function: &'static str, item: &Item) -> Result<(), Status> {
        let mut process = self.process();
        let silently = process.silent > 0;
        process.asked.push(Asked { function, item: item.clone(), silently });
        match process.refusals.get_mut(function).and_then(VecDeque::pop_front) {
            Some(status) => Err(status),
            None => Ok(()),
        }
    }

    /// Opens the keychain for a use, and unlocks it with the permission of the use that opened it.
    fn open(&self, world: &mut World) -> Result<(), Status> {
        let may_ask = {
            let mut process = self.process();
            let now = process.silent == 0;
            let opened = process.open.filter(|(used, _)| used.elapsed() < KEPT_OPEN).map(|(_, asks)| asks);
            let may_ask = opened.unwrap_or(now);
            process.open = Some((Instant::now(), may_ask));
            may_ask
        };
        match world.locked {
            true => self.ask(world, "unlock", may_ask).map(|_| world.locked = false),
            false => Ok(()),
        }
    }

    fn ask(&self, world: &mut World, question: &str, may_ask: bool) -> Result<Answer, Status> {
        if !may_ask {
            return Err(Status::AUTH_FAILED);
        }
        if !world.screen {
            return Err(Status::INTERACTION_NOT_ALLOWED);
        }
        world.dialogues.push(format!("{}: {question}", self.name));
        match world.answers.pop_front().unwrap_or(Answer::Allow) {
            Answer::Deny => Err(Status::USER_CANCELED),
            answer => Ok(answer),
        }
    }

    fn may_read(&self, world: &mut World, at: usize) -> Result<(), Status> {
        let entry = &world.items[at];
        if entry.applications.contains(&self.name) && entry.partitions.contains(&self.signature) {
            return Ok(());
        }
        let may_ask = !self.is_silent();
        let question = format!("read {}/{}", entry.service, entry.account);
        if self.ask(world, &question, may_ask)? == Answer::AlwaysAllow {
            let entry = &mut world.items[at];
            entry.applications.push(self.name.clone());
            entry.partitions.push(self.signature.clone());
        }
        Ok(())
    }
}

/// Any bytes as text, of which ASCII stays as it is.
fn text(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

fn bytes(text: &str) -> Vec<u8> {
    text.chars().filter_map(|letter| u8::try_from(letter).ok()).collect()
}

fn place(world: &World, item: &Item) -> Option<usize> {
    world.items.iter().position(|entry| {
        let searched = item.only_default || !entry.outside_the_list;
        (&entry.service, &entry.account) == (&item.service, &item.account)
            && entry.data_protection == item.data_protection
            && entry.access_group == item.access_group
            && searched
    })
}

impl SecurityFramework for Program {
    fn find(&self, item: &Item) -> Result<Secret, Status> {
        let delay = self.process().delay;
        std::thread::sleep(delay);
        self.note("find", item)?;
        self.keychain.with(|world| {
            let at = place(world, item).ok_or(Status::ITEM_NOT_FOUND)?;
            self.open(world)?;
            self.may_read(world, at)?;
            Ok(Secret::from(&*bytes(&world.items[at].content)))
        })
    }

    fn exists(&self, item: &Item) -> Result<bool, Status> {
        self.note("exists", item)?;
        Ok(self.keychain.with(|world| place(world, item).is_some()))
    }

    fn accounts(&self, service: &str) -> Result<Vec<String>, Status> {
        Ok(self.keychain.with(|world| {
            let of_service = world.items.iter().filter(|entry| entry.service == service);
            of_service.map(|entry| entry.account.clone()).collect()
        }))
    }

    fn update(&self, item: &Item, content: &[u8]) -> Result<(), Status> {
        self.note("update", item)?;
        self.keychain.with(|world| {
            let at = place(world, item).ok_or(Status::ITEM_NOT_FOUND)?;
            self.open(world)?;
            // Removed and inserted: the new record is the last one.
            let mut entry = world.items.remove(at);
            entry.content = text(content);
            entry.partitions = vec![self.signature.clone()];
            world.items.push(entry);
            Ok(())
        })
    }

    fn add(&self, item: &Item, content: &[u8]) -> Result<(), Status> {
        self.note("add", item)?;
        self.keychain.with(|world| {
            if !world.exists {
                let may_ask = !self.is_silent();
                let asked =
                    if may_ask { self.ask(world, "reset to defaults", true) } else { Ok(Answer::Deny) };
                return Err(asked.err().unwrap_or(Status::INTERACTION_NOT_ALLOWED));
            }
            self.open(world)?;
            let mut anywhere = item.clone();
            anywhere.only_default = true;
            if place(world, &anywhere).is_some() {
                return Err(Status::DUPLICATE_ITEM);
            }
            world.items.push(Entry {
                service: item.service.clone(),
                account: item.account.clone(),
                content: text(content),
                owner: self.name.clone(),
                applications: vec![self.name.clone()],
                partitions: vec![self.signature.clone()],
                data_protection: item.data_protection,
                access_group: item.access_group.clone(),
                outside_the_list: !world.searched && !item.data_protection,
            });
            Ok(())
        })
    }

    fn delete(&self, item: &Item) -> Result<(), Status> {
        self.note("delete", item)?;
        self.keychain.with(|world| {
            let at = place(world, item).ok_or(Status::ITEM_NOT_FOUND)?;
            if !world.items[at].applications.contains(&self.name) {
                return Err(Status::INVALID_OWNER_EDIT);
            }
            self.open(world)?;
            world.items.remove(at);
            Ok(())
        })
    }

    fn delete_reference(&self, item: &Item) -> Result<(), Status> {
        self.note("delete_reference", item)?;
        self.keychain.with(|world| {
            let at = place(world, item).ok_or(Status::ITEM_NOT_FOUND)?;
            self.open(world)?;
            if !world.undeletable {
                world.items.remove(at);
            }
            Ok(())
        })
    }

    fn default_keychain(&self) -> Result<(), Status> {
        let exists = self.keychain.with(|world| world.exists);
        exists.then_some(()).ok_or(Status::NO_DEFAULT_KEYCHAIN)
    }

    fn unlock(&self) -> Result<(), Status> {
        let may_ask = !self.is_silent();
        self.keychain.with(|world| match world.locked {
            true => self.ask(world, "unlock", may_ask).map(|_| world.locked = false),
            false => Ok(()),
        })
    }

    fn silence(&self) -> Result<Box<dyn Any>, Status> {
        self.process().silent += 1;
        Ok(Box::new(Silence(Arc::clone(&self.process))))
    }
}
