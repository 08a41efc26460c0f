//! One read, write or removal: find the item, change it in place, and change nothing else.
//!
//! An item without a schema matches if no item has ours. If several items have our attributes:
//! - An unlocked one is taken, as in libsecret, even if others are locked.
//! - Several with equal content are one item stored twice. A read takes the first, like libsecret. A write updates all, and
//!   removes those with the attributes of the first, which are of no use to a program that searches for others.
//! - Several with different content are [`ErrorKind::Ambiguous`]: whichever one were taken, a program that takes another
//!   would lose its content. A removal takes all of them, like libsecret's, if they differ in content only: equal attributes
//!   mean the same entry, all of which must be removed.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use zbus::wire::{ObjectPath, OwnedObjectPath};

use super::SCHEMA_ATTRIBUTE;
use super::bus::{BusError, Deadline};
use super::failure::Failure;
use super::service::{Answer, Attributes, Client, is_inside};
use crate::item_shape::{GENERIC, Payload};
use crate::options::Prompting;
use crate::{Error, ErrorKind, Secret};

/// The number of starts of an operation when the store changes under it. Each needs a change by another program.
const ATTEMPTS: u32 = 4;

/// More items than this with equal attributes are refused without a comparison.
const DUPLICATE_LIMIT: usize = 16;

/// A connection in use, with the limits of the operation.
#[derive(Debug)]
pub(super) struct Operation<'c> {
    pub(super) client: &'c Client,
    pub(super) deadline: Deadline,
    pub(super) prompting: Prompting,
}

/// The properties of a new item.
#[derive(Debug)]
pub(super) struct NewItem<'n> {
    pub(super) attributes: &'n Attributes<'n>,
    pub(super) label: &'n str,
}

/// An item and its content.
#[derive(Debug)]
pub(super) struct Found {
    /// The item, or the collection for a new one.
    pub(super) place: OwnedObjectPath,
    pub(super) content: Option<Secret>,
}

/// The result of a search.
#[derive(Debug)]
enum Place {
    /// Items in unlocked collections; more than one only until they are compared.
    Items { first: OwnedObjectPath, others: Vec<OwnedObjectPath> },
    /// No item; a new one would be created in this collection.
    Nowhere(OwnedObjectPath),
}

impl Operation<'_> {
    /// Reads the content of the item.
    pub(super) async fn read(&mut self, attributes: &Attributes<'_>) -> Result<Found, Failure> {
        let mut attempt = 1;
        loop {
            match self.try_read(attributes).await {
                Err(failure) if failure.is_missing_object() && attempt < ATTEMPTS => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    async fn try_read(&mut self, attributes: &Attributes<'_>) -> Result<Found, Failure> {
        if let Some(found) = self.read_where_it_was(attributes).await? {
            return Ok(found);
        }
        match self.locate(attributes).await? {
            Place::Nowhere(collection) => Ok(Found { place: collection, content: None }),
            Place::Items { first, others } => {
                let content = self.agreed_content(&first, &others).await?;
                Ok(Found { place: first, content: Some(content) })
            }
        }
    }

    /// Searches the item and reads it at its last path in one go. Returns `None` if it is not there alone any more,
    /// or cannot be read there.
    async fn read_where_it_was(&mut self, attributes: &Attributes<'_>) -> Result<Option<Found>, Failure> {
        let Some(item) = self.client.whereabouts.probable(attributes) else { return Ok(None) };
        if self.default_that_hides().await?.is_some() {
            return Ok(None);
        }
        let searched = Instant::now();
        let (content, found) = self.client.secret_and_search(attributes, &item, &self.deadline).await;
        match content {
            Ok(content) if found?.unlocked == [item.clone()] => {
                self.client.whereabouts.note(attributes, &item, searched);
                Ok(Some(Found { place: item, content: Some(content) }))
            }
            _ => {
                self.client.whereabouts.forget(attributes);
                Ok(None)
            }
        }
    }

    /// Replaces the content of the item, or creates it. Returns its path.
    pub(super) async fn write(
        &mut self,
        sought: &Attributes<'_>,
        new: &NewItem<'_>,
        payload: Payload,
        content: &[u8],
    ) -> Result<OwnedObjectPath, Failure> {
        let mut attempt = 1;
        loop {
            match self.try_write(sought, new, payload, content).await {
                Err(failure) if failure.is_missing_object() && attempt < ATTEMPTS => attempt += 1,
                outcome => return outcome,
            }
        }
    }

    async fn try_write(
        &mut self,
        sought: &Attributes<'_>,
        new: &NewItem<'_>,
        payload: Payload,
        content: &[u8],
    ) -> Result<OwnedObjectPath, Failure> {
        // The stored content, which decides the encoding, must be read first.
        if !payload.follows()
            && let Some(item) = self.client.whereabouts.fresh(sought)
        {
            match self.client.set_secret(&item, content, &self.deadline).await.map_err(Failure::from) {
                Err(failure) if failure.is_missing_object() || failure.is_locked() => {
                    self.client.whereabouts.forget(sought);
                }
                outcome => return outcome.map(|()| item),
            }
        }
        match self.locate(sought).await? {
            Place::Nowhere(collection) => {
                let encoded = payload.encoded(content, None);
                self.create(&collection, sought, new, encoded.as_ref().map_or(content, Secret::expose)).await
            }
            Place::Items { first, others } => {
                let mut stored = None;
                if payload.follows() || !others.is_empty() {
                    stored = Some(self.agreed_content(&first, &others).await?);
                }
                let encoded = payload.encoded(content, stored.as_ref());
                let content = encoded.as_ref().map_or(content, Secret::expose);
                let copies = self.with_attributes_of(&first, &others).await?;
                for item in std::iter::once(&first).chain(&others).filter(|item| !copies.contains(item)) {
                    self.client.set_secret(item, content, &self.deadline).await?;
                }
                for copy in copies {
                    self.remove_item(copy).await?;
                }
                Ok(first)
            }
        }
    }

    /// Removes the item; returns `false` if there was none.
    pub(super) async fn remove(&mut self, attributes: &Attributes<'_>) -> Result<bool, Failure> {
        match self.locate(attributes).await? {
            Place::Nowhere(_) => Ok(false),
            Place::Items { first, others } => {
                if self.with_attributes_of(&first, &others).await?.len() < others.len() {
                    self.agreed_content(&first, &others).await?;
                }
                self.client.whereabouts.forget(attributes);
                let mut removed = false;
                for item in std::iter::once(&first).chain(&others) {
                    removed |= self.remove_item(item).await?;
                }
                Ok(removed)
            }
        }
    }

    /// Creates the item. If another program created one at the same moment, one of the two is kept, by a rule that
    /// both follow, with our content, as if we had come later.
    pub(super) async fn create(
        &mut self,
        collection: &ObjectPath<'_>,
        sought: &Attributes<'_>,
        new: &NewItem<'_>,
        content: &[u8],
    ) -> Result<OwnedObjectPath, Failure> {
        let NewItem { attributes, label } = new;
        let answer = self.client.create_item(collection, label, attributes, content, &self.deadline).await?;
        let ours = match answer {
            Answer::Done(item) => Some(item),
            Answer::AfterPrompt(prompt) => {
                let is_there = async |operation: &mut Self| {
                    let found = operation.client.search(sought, &operation.deadline).await?;
                    Ok(!found.unlocked.is_empty())
                };
                self.confirm(&prompt, "the new item", is_there).await?
            }
        };
        let mut found = self.client.search(sought, &self.deadline).await?.unlocked;
        // The older one where paths are numbered, as in gnome-keyring; otherwise the same one in every process.
        let first = (0..found.len()).min_by_key(|at| (found[*at].len(), found[*at].as_str().to_owned()));
        let first = first.ok_or_else(|| BusError::malformed("an item that was just created is not there"))?;
        let kept = found.swap_remove(first);
        let others = found;
        if ours.as_ref() == Some(&kept) && others.is_empty() {
            return Ok(kept);
        }
        if self.with_attributes_of(&kept, &others).await?.len() < others.len() {
            return Err(self.ambiguous(&kept, &others).await);
        }
        self.client.set_secret(&kept, content, &self.deadline).await?;
        for other in &others {
            self.remove_item(other).await?;
        }
        Ok(kept)
    }

    /// Returns the default collection if it is locked and the service could wait for a person in a search, as KeePassXC
    /// does. gnome-keyring never waits there.
    async fn default_that_hides(&mut self) -> Result<Option<OwnedObjectPath>, Failure> {
        if self.client.is_gnome_keyring {
            return Ok(None);
        }
        match self.locked_default().await {
            // A service that does not say so does not hide anything.
            Err(error) if error.is_of_the_service() => Ok(None),
            outcome => Ok(outcome?),
        }
    }

    async fn locked_default(&mut self) -> Result<Option<OwnedObjectPath>, BusError> {
        let Some(collection) = self.client.default_collection(&self.deadline).await? else { return Ok(None) };
        Ok(self.client.is_locked(&collection, &self.deadline).await?.then_some(collection))
    }

    /// Finds the item, and unlocks its collection if that needs no person, or prompts are allowed.
    ///
    /// "No item" is certain only if the default collection exists and is unlocked: a locked keyring may hide its
    /// items.
    async fn locate(&mut self, attributes: &Attributes<'_>) -> Result<Place, Failure> {
        let mut asked = false;
        loop {
            if let Some(collection) = self.default_that_hides().await? {
                self.client.whereabouts.forget(attributes);
                self.unlock(&[collection], false, &mut asked).await?;
                continue;
            }
            let searched = Instant::now();
            let found = self.client.search(attributes, &self.deadline).await?;
            let mut unlocked = found.unlocked.into_iter();
            if let Some(first) = unlocked.next() {
                let others: Vec<_> = unlocked.collect();
                if others.is_empty() {
                    self.client.whereabouts.note(attributes, &first, searched);
                } else {
                    self.client.whereabouts.forget(attributes);
                }
                return Ok(Place::Items { first, others });
            }
            self.client.whereabouts.forget(attributes);
            if found.locked.is_empty()
                && let Some(place) = self.locate_without_schema(attributes).await?
            {
                return Ok(place);
            }
            let default = self.client.default_collection(&self.deadline).await?;
            let locked = match &default {
                Some(collection) => self.client.is_locked(collection, &self.deadline).await?,
                None => true,
            };
            match default {
                _ if !found.locked.is_empty() => {
                    // KeePassXC asks for each item of its open database whether this connection may read it.
                    let inside = |collection: &OwnedObjectPath| {
                        found.locked.iter().all(|item| is_inside(item, collection))
                    };
                    let open = !locked && default.as_ref().is_some_and(inside);
                    self.unlock(&found.locked, open, &mut asked).await?;
                }
                None => self.create_collection(&mut asked).await?,
                Some(collection) if locked => self.unlock(&[collection], false, &mut asked).await?,
                Some(collection) => return Ok(Place::Nowhere(collection)),
            }
        }
    }

    /// Finds an item that was stored without a schema, as by secret-tool. gnome-keyring adds the generic schema to
    /// such an item at some time, and a second item of ours would then be a duplicate.
    async fn locate_without_schema(&mut self, attributes: &Attributes<'_>) -> Result<Option<Place>, Failure> {
        let mut without = attributes.clone();
        if without.remove(SCHEMA_ATTRIBUTE) != Some(GENERIC) {
            return Ok(None);
        }
        let mut found = Vec::new();
        for item in self.client.search(&without, &self.deadline).await?.unlocked {
            if !self.client.attributes(&item, &self.deadline).await?.contains_key(SCHEMA_ATTRIBUTE) {
                found.push(item);
            }
        }
        let mut found = found.into_iter();
        Ok(found.next().map(|first| Place::Items { first, others: found.collect() }))
    }

    /// Removes one item; returns `false` if it is already gone.
    pub(super) async fn remove_item(&mut self, item: &ObjectPath<'_>) -> Result<bool, Failure> {
        match self.client.delete(item, &self.deadline).await.map_err(Failure::from) {
            Ok(Answer::Done(())) => Ok(true),
            Ok(Answer::AfterPrompt(prompt)) => {
                let is_gone = async |operation: &mut Self| {
                    let looked =
                        operation.client.label(item, &operation.deadline).await.map_err(Failure::from);
                    Ok(looked.is_err_and(|failure| failure.is_missing_object()))
                };
                self.confirm(&prompt, "the removal of an item", is_gone).await.map(|_| true)
            }
            Err(failure) if failure.is_missing_object() => Ok(false),
            Err(failure) => Err(failure),
        }
    }

    /// Returns the content that all items share; a single item agrees with itself.
    async fn agreed_content(
        &mut self,
        first: &OwnedObjectPath,
        others: &[OwnedObjectPath],
    ) -> Result<Secret, Failure> {
        if others.len() >= DUPLICATE_LIMIT {
            return Err(self.ambiguous(first, others).await);
        }
        let content = self.client.secret(first, &self.deadline).await?;
        for other in others {
            if self.client.secret(other, &self.deadline).await? != content {
                return Err(self.ambiguous(first, others).await);
            }
        }
        Ok(content)
    }

    /// Returns those of `others` that have exactly the attributes of `first`.
    async fn with_attributes_of<'o>(
        &mut self,
        first: &OwnedObjectPath,
        others: &'o [OwnedObjectPath],
    ) -> Result<Vec<&'o OwnedObjectPath>, Failure> {
        let mut equal = Vec::new();
        if others.is_empty() {
            return Ok(equal);
        }
        if others.len() >= DUPLICATE_LIMIT {
            return Err(self.ambiguous(first, others).await);
        }
        let attributes = self.client.attributes(first, &self.deadline).await?;
        for other in others {
            if self.client.attributes(other, &self.deadline).await? == attributes {
                equal.push(other);
            }
        }
        Ok(equal)
    }

    /// The error that lists the matching items.
    async fn ambiguous(&mut self, first: &OwnedObjectPath, others: &[OwnedObjectPath]) -> Failure {
        let mut candidates = Vec::new();
        for item in std::iter::once(first).chain(others).take(DUPLICATE_LIMIT) {
            match self.described(item).await {
                Ok(line) => candidates.push(line),
                Err(error) => return error.into(),
            }
        }
        let what = format!("{} items match and differ: {}", others.len() + 1, candidates.join("; "));
        let error = Error::new(ErrorKind::Ambiguous, what)
            .remedy("Remove all but the right one with the desktop's password program, such as Seahorse");
        error.among(candidates).into()
    }

    async fn described(&mut self, item: &OwnedObjectPath) -> Result<String, BusError> {
        let label = self.client.label(item, &self.deadline).await?;
        let mut line = format!("{item} {label:?}");
        for (name, value) in self.client.attributes(item, &self.deadline).await? {
            // Debug form: another program's text must not forge a line.
            line.push_str(&format!(" {}={value:?}", name.escape_debug()));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        match self.client.modified(item, &self.deadline).await {
            Ok(modified) => {
                let age = now.saturating_sub(modified).as_secs();
                line.push_str(&format!(", changed {} days {} min ago", age / 86_400, age % 86_400 / 60));
            }
            // A service does not have to keep times.
            Err(error) if error.is_of_the_service() => {}
            Err(error) => return Err(error),
        }
        Ok(line)
    }
}
