//! A stand-in for the five functions of Apple's Security framework: items in memory, and refusals on demand.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokenkeep::Secret;
use tokenkeep::keychain::{Item, SecurityFramework, Status};

/// A call of the framework.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) function: &'static str,
    pub(crate) item: Item,
    /// Whether the call forbids a prompt.
    pub(crate) silently: bool,
}

#[derive(Debug, Default)]
pub(crate) struct FakeKeychain {
    items: Mutex<HashMap<Item, Entry>>,
    asked: Mutex<Vec<Asked>>,
    /// The statuses that the next calls of a function return in place of their work.
    refusals: Mutex<HashMap<&'static str, VecDeque<Status>>>,
    silent: Arc<AtomicUsize>,
    /// The time that each search takes.
    delay: Mutex<Duration>,
}

/// An item keeps its number while it exists, with any content.
#[derive(Clone, Debug)]
struct Entry {
    number: usize,
    content: Secret,
}

struct Silence(Arc<AtomicUsize>);

impl Drop for Silence {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl FakeKeychain {
    pub(crate) fn refuse(&self, function: &'static str, status: Status) {
        self.refusals.lock().unwrap().entry(function).or_default().push_back(status);
    }

    pub(crate) fn delay(&self, delay: Duration) {
        *self.delay.lock().unwrap() = delay;
    }

    /// Returns the calls since the last time.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    pub(crate) fn functions(&self) -> Vec<&'static str> {
        self.asked().into_iter().map(|asked| asked.function).collect()
    }

    /// Returns the numbers and accounts of all items.
    pub(crate) fn items(&self) -> Vec<(usize, String)> {
        let entries = self.entries();
        let mut items: Vec<_> =
            entries.iter().map(|(item, entry)| (entry.number, item.account.clone())).collect();
        items.sort();
        items
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<Item, Entry>> {
        self.items.lock().unwrap()
    }

    fn ask(&self, function: &'static str, item: &Item) -> Result<(), Status> {
        let silently = self.silent.load(Ordering::SeqCst) > 0;
        self.asked.lock().unwrap().push(Asked { function, item: item.clone(), silently });
        match self.refusals.lock().unwrap().get_mut(function).and_then(VecDeque::pop_front) {
            Some(status) => Err(status),
            None => Ok(()),
        }
    }
}

impl SecurityFramework for FakeKeychain {
    fn find(&self, item: &Item) -> Result<Secret, Status> {
        std::thread::sleep(*self.delay.lock().unwrap());
        self.ask("find", item)?;
        self.entries().get(item).map(|entry| entry.content.clone()).ok_or(Status::ITEM_NOT_FOUND)
    }

    fn update(&self, item: &Item, content: &[u8]) -> Result<(), Status> {
        self.ask("update", item)?;
        let mut items = self.entries();
        items.get_mut(item).ok_or(Status::ITEM_NOT_FOUND)?.content = content.into();
        Ok(())
    }

    fn add(&self, item: &Item, content: &[u8]) -> Result<(), Status> {
        static NUMBERS: AtomicUsize = AtomicUsize::new(1);
        self.ask("add", item)?;
        let mut items = self.entries();
        if items.contains_key(item) {
            return Err(Status::DUPLICATE_ITEM);
        }
        let number = NUMBERS.fetch_add(1, Ordering::SeqCst);
        items.insert(item.clone(), Entry { number, content: content.into() });
        Ok(())
    }

    fn delete(&self, item: &Item) -> Result<(), Status> {
        self.ask("delete", item)?;
        self.entries().remove(item).map(drop).ok_or(Status::ITEM_NOT_FOUND)
    }

    fn silence(&self) -> Result<Box<dyn Any>, Status> {
        self.silent.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(Silence(Arc::clone(&self.silent))))
    }
}
