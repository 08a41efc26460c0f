//! Prompts: which are shown, how long each may take, and the meaning of its end.
//!
//! A prompt is a step of the protocol, not always a question to a person. KeePassXC answers every new item and every
//! removal with a prompt that completes by itself. A KWallet that the log-in opened calls itself locked until one did. So
//! a prompt is run where no person may be asked, too. Only a prompt that waits wants a person: it is dismissed after a
//! short time.

use std::time::{Duration, Instant};

use zbus::wire::{ObjectPath, OwnedObjectPath};

use super::bus::{BusError, Deadline};
use super::failure::{self, Failure};
use super::operation::Operation;
use super::service::Answer;
use crate::options::Prompting;

/// The time for an unlocking without a person. KWallet takes some milliseconds; a window disappears soon.
const UNLOCKING: Duration = Duration::from_millis(500);

/// The time for a change of an open collection without a person. KeePassXC writes its database in it.
const CHANGING: Duration = Duration::from_secs(2);

/// The time for a look after a prompt that was dismissed.
const LOOK: Duration = Duration::from_millis(250);

/// The time to remove a prompt from the screen.
const DISMISSAL: Duration = Duration::from_secs(1);

/// The name that `secret-tool` and libsecret give a collection that they create.
const COLLECTION_LABEL: &str = "Default keyring";

/// The end of a prompt.
enum Ending {
    /// The object that it created, if it created one.
    Completed(Option<OwnedObjectPath>),
    /// The reason why it did not complete.
    Refused(String),
}

impl Operation<'_> {
    /// Unlocks objects, once in an operation.
    pub(super) async fn unlock(
        &mut self,
        objects: &[OwnedObjectPath],
        open: bool,
        asked: &mut bool,
    ) -> Result<(), Failure> {
        let stays = |why: &str| {
            if open { failure::is_unconfirmed("the access to an item", why) } else { failure::is_locked(why) }
        };
        if std::mem::replace(asked, true) {
            return Err(stays("stayed so after it was to be unlocked").into());
        }
        if self.prompting == Prompting::Never && !open && self.surely_asks(objects).await? {
            return Err(stays(NOT_ALLOWED).into());
        }
        match self.client.unlock(objects, &self.deadline).await? {
            Answer::Done(()) => Ok(()),
            Answer::AfterPrompt(prompt) => match self.run(&prompt, UNLOCKING).await? {
                Ending::Completed(_) => Ok(()),
                Ending::Refused(why) => Err(stays(&why).into()),
            },
        }
    }

    /// Returns whether the prompt to unlock `objects` is known to ask a person, so that no window has to flash.
    async fn surely_asks(&mut self, objects: &[OwnedObjectPath]) -> Result<bool, Failure> {
        if self.client.is_gnome_keyring {
            return Ok(true);
        }
        // KeePassXC tells the time of an open database only.
        let Some(first) = objects.first() else { return Ok(false) };
        let created = self.client.collection_created(first, &self.deadline).await.map_err(Failure::from);
        Ok(created.is_err_and(|failure| failure.is_locked()))
    }

    /// Creates the default collection, once in an operation: the service asks for its password.
    pub(super) async fn create_collection(&mut self, asked: &mut bool) -> Result<(), Failure> {
        if self.prompting == Prompting::Never || std::mem::replace(asked, true) {
            return Err(failure::no_default_collection().into());
        }
        match self.client.create_default_collection(COLLECTION_LABEL, &self.deadline).await? {
            Answer::Done(_) => Ok(()),
            Answer::AfterPrompt(prompt) => match self.run(&prompt, UNLOCKING).await? {
                Ending::Completed(_) => Ok(()),
                Ending::Refused(why) => Err(failure::is_locked(&why).into()),
            },
        }
    }

    /// Runs the prompt with which an open collection answered a change, or finds that the change was made. Returns the
    /// object that it created, if it says so.
    pub(super) async fn confirm(
        &mut self,
        prompt: &ObjectPath<'_>,
        change: &str,
        made: impl AsyncFn(&mut Self) -> Result<bool, Failure>,
    ) -> Result<Option<OwnedObjectPath>, Failure> {
        let why = match self.run(prompt, CHANGING).await? {
            Ending::Completed(object) => return Ok(object),
            Ending::Refused(why) => why,
        };
        // It may have completed while it was dismissed.
        let deadline = std::mem::replace(&mut self.deadline, Deadline::after(LOOK));
        let is_made = made(self).await;
        self.deadline = deadline;
        match is_made {
            Ok(true) => Ok(None),
            _ => Err(failure::is_unconfirmed(change, &why).into()),
        }
    }

    /// Shows a prompt and waits for its end: as long as a person may take, or without a person for `unasked`, within the
    /// time of the operation.
    async fn run(&mut self, prompt: &ObjectPath<'_>, unasked: Duration) -> Result<Ending, Failure> {
        let limit = match self.prompting {
            Prompting::Never => unasked.min(self.deadline.left()),
            Prompting::Allowed { limit } => limit,
        };
        let asked = Instant::now();
        let answer = self.client.show_prompt(prompt, &self.deadline, &Deadline::after(limit)).await;
        let unanswered = asked.elapsed() >= limit;
        if self.prompting != Prompting::Never {
            self.deadline = self.deadline.without_time_since(asked);
        }
        let why = match answer {
            Ok(Some(result)) => return Ok(Ending::Completed(result.try_into().ok())),
            Ok(None) => "the prompt was dismissed".to_owned(),
            Err(BusError::TimedOut(_)) if unanswered => {
                match self.client.dismiss_prompt(prompt, &Deadline::after(DISMISSAL)).await {
                    // A prompt that ended in this moment is gone.
                    Ok(()) | Err(BusError::Remote { .. }) => {}
                    Err(error) => return Err(error.into()),
                }
                match self.prompting {
                    Prompting::Never => NOT_ALLOWED.to_owned(),
                    Prompting::Allowed { .. } => format!("nobody answered the prompt within {limit:?}"),
                }
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Ending::Refused(why))
    }
}

const NOT_ALLOWED: &str = "prompts are not allowed here";
