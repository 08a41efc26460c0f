//! One read, write or removal: find the item, change it in place, and change nothing else.
//!
//! An item without a schema matches if no item has ours. If several items have our attributes:
//! - An unlocked one is taken, as in libsecret, even if others are locked.
//! - Several with equal attributes and content are one item stored twice. A read takes the first, like libsecret. A write
//!   updates it and removes the others, which would otherwise be found with old content.
//! - Several that differ are [`ErrorKind::Ambiguous`]: whichever one were taken, a program that takes another would lose its
//!   content. A removal may take all of them, like libsecret's, if they differ in content only: equal attributes mean
//!   the same entry, all of which must be removed.

use std::time::{Duration, Instant};

use zbus::wire::{ObjectPath, OwnedObjectPath};

use super::SCHEMA_ATTRIBUTE;
use super::bus::{BusError, Deadline};
use super::failure::{self, Failure};
use super::service::{Answer, Attributes, Client};
use crate::item_shape::{GENERIC, Payload};
use crate::options::Prompting;
use crate::{Error, ErrorKind, Secret};

/// The number of starts of an operation when the store changes under it. Each needs a change by another program.
const ATTEMPTS: u32 = 4;

/// More items than this with equal attributes are refused without a comparison.
const DUPLICATE_LIMIT: usize = 16;

/// The name that `secret-tool` and libsecret give a collection that they create.
const COLLECTION_LABEL: &str = "Default keyring";

/// A connection in use, with the limits of the operation.
#[derive(Debug)]
pub(super) struct Operation<'c> {
    pub(super) client: &'c mut Client,
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
        let searched = Instant::now();
        let (content, found) = self.client.secret_and_search(attributes, &item, &self.deadline).await;
        match content {
            Ok(content) if found?.unlocked == [item.clone()] => {
                self.client.whereabouts.note(attributes, &item, searched);
                Ok(Some(Found { place: item, content: Some(content) }))
            }
            _ => {
                self.client.whereabouts.forget();
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
                    self.client.whereabouts.forget();
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
                self.client.set_secret(&first, content, &self.deadline).await?;
                for copy in &others {
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
                self.agree_in_attributes(&first, &others).await?;
                self.client.whereabouts.forget();
                let mut removed = false;
                for item in std::iter::once(&first).chain(&others) {
                    removed |= self.remove_item(item).await?;
                }
                Ok(removed)
            }
        }
    }

    /// Returns whether an item or a collection is lost when its user logs out.
    pub(super) async fn ends_with_login(&mut self, place: &ObjectPath<'_>) -> Result<bool, Failure> {
        Ok(self.client.ends_with_login(place, &self.deadline).await?)
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
                self.ask(&prompt).await?;
                None
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
        self.agree_in_attributes(&kept, &others).await?;
        self.client.set_secret(&kept, content, &self.deadline).await?;
        for other in &others {
            self.remove_item(other).await?;
        }
        Ok(kept)
    }

    /// Finds the item, and unlocks its collection if prompts are allowed.
    ///
    /// "No item" is certain only if the default collection exists and is unlocked: a locked keyring may hide its
    /// items.
    async fn locate(&mut self, attributes: &Attributes<'_>) -> Result<Place, Failure> {
        let mut asked = false;
        loop {
            let searched = Instant::now();
            let found = self.client.search(attributes, &self.deadline).await?;
            let mut unlocked = found.unlocked.into_iter();
            if let Some(first) = unlocked.next() {
                let others: Vec<_> = unlocked.collect();
                if others.is_empty() {
                    self.client.whereabouts.note(attributes, &first, searched);
                } else {
                    self.client.whereabouts.forget();
                }
                return Ok(Place::Items { first, others });
            }
            self.client.whereabouts.forget();
            if !found.locked.is_empty() {
                self.unlock(&found.locked, &mut asked).await?;
                continue;
            }
            if let Some(place) = self.locate_without_schema(attributes).await? {
                return Ok(place);
            }
            match self.client.default_collection(&self.deadline).await? {
                None => self.create_collection(&mut asked).await?,
                Some(collection) if self.client.is_locked(&collection, &self.deadline).await? => {
                    self.unlock(&[collection], &mut asked).await?;
                }
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

    async fn unlock(&mut self, objects: &[OwnedObjectPath], asked: &mut bool) -> Result<(), Failure> {
        if self.prompting == Prompting::Never {
            return Err(failure::is_locked("prompts are not allowed here").into());
        }
        if std::mem::replace(asked, true) {
            return Err(failure::is_locked("stayed so after it was to be unlocked").into());
        }
        match self.client.unlock(objects, &self.deadline).await? {
            Answer::Done(()) => Ok(()),
            Answer::AfterPrompt(prompt) => self.ask(&prompt).await,
        }
    }

    async fn create_collection(&mut self, asked: &mut bool) -> Result<(), Failure> {
        if self.prompting == Prompting::Never || std::mem::replace(asked, true) {
            return Err(failure::no_default_collection().into());
        }
        match self.client.create_default_collection(COLLECTION_LABEL, &self.deadline).await? {
            Answer::Done(_) => Ok(()),
            Answer::AfterPrompt(prompt) => self.ask(&prompt).await,
        }
    }

    /// Shows a prompt, if allowed, and waits for the user.
    async fn ask(&mut self, prompt: &ObjectPath<'_>) -> Result<(), Failure> {
        let Prompting::Allowed { limit } = self.prompting else {
            self.client.dismiss_prompt(prompt, &self.deadline).await?;
            return Err(failure::is_locked("prompts are not allowed here").into());
        };
        let asked = Instant::now();
        let answer = self.client.show_prompt(prompt, &self.deadline, &Deadline::after(limit)).await;
        let unanswered = asked.elapsed() >= limit;
        self.deadline = self.deadline.without_time_since(asked);
        match answer {
            Ok(true) => Ok(()),
            Ok(false) => Err(failure::is_locked("the prompt was dismissed").into()),
            Err(BusError::TimedOut(_)) if unanswered => {
                // The user is away, so close the window. The connection is usable, because no call is pending.
                self.client.dismiss_prompt(prompt, &Deadline::after(Duration::from_secs(1))).await?;
                Err(failure::is_locked(&format!("nobody answered the prompt within {limit:?}")).into())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Removes one item; returns `false` if it is already gone.
    pub(super) async fn remove_item(&mut self, item: &ObjectPath<'_>) -> Result<bool, Failure> {
        match self.client.delete(item, &self.deadline).await.map_err(Failure::from) {
            Ok(Answer::Done(())) => Ok(true),
            Ok(Answer::AfterPrompt(prompt)) => self.ask(&prompt).await.map(|()| true),
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
        self.agree_in_attributes(first, others).await?;
        let content = self.client.secret(first, &self.deadline).await?;
        for other in others {
            if self.client.secret(other, &self.deadline).await? != content {
                return Err(self.ambiguous(first, others).await);
            }
        }
        Ok(content)
    }

    async fn agree_in_attributes(
        &mut self,
        first: &OwnedObjectPath,
        others: &[OwnedObjectPath],
    ) -> Result<(), Failure> {
        if others.is_empty() {
            return Ok(());
        }
        if others.len() >= DUPLICATE_LIMIT {
            return Err(self.ambiguous(first, others).await);
        }
        let attributes = self.client.attributes(first, &self.deadline).await?;
        for other in others {
            if self.client.attributes(other, &self.deadline).await? != attributes {
                return Err(self.ambiguous(first, others).await);
            }
        }
        Ok(())
    }

    /// The error that lists the matching items.
    async fn ambiguous(&mut self, first: &OwnedObjectPath, others: &[OwnedObjectPath]) -> Failure {
        let all = || std::iter::once(first).chain(others).take(DUPLICATE_LIMIT);
        let names: Vec<_> = all().map(|item| item.as_str()).collect();
        let what = format!("{} items match and differ: {}", others.len() + 1, names.join(", "));
        let mut candidates = Vec::new();
        for item in all() {
            match self.described(item).await {
                Ok(line) => candidates.push(line),
                Err(error) => return error.into(),
            }
        }
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
        Ok(line)
    }
}
