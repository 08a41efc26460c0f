//! Verifies that the store keeps an item, and that a session has one key.
//!
//! A probe is an item under a random name that no other process uses. It is removed at the end, after an error too.
//! A killed process leaves one behind, and a later verification removes it; so does a KeePassXC without a recycle bin, where
//! only a person removes. Probes never ask a person: the operation that runs them does not allow it by then.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use zbus::wire::ObjectPath;

use super::bus::{BusError, Deadline};
use super::failure::Failure;
use super::operation::{NewItem, Operation};
use super::service::{Attributes, attributes};
use super::{SCHEMA, SCHEMA_ATTRIBUTE};
use crate::item_shape::Payload;
use crate::{ErrorKind, Secret};

/// The service name of all probes, by which abandoned ones are found.
const SERVICE: &str = "tokenkeep-probe";

const LABEL: &str = "tokenkeep probe, safe to remove";

/// A probe of this age belongs to a killed process: no verification has such a long deadline.
const ABANDONED: Duration = Duration::from_secs(60);

/// The number of abandoned probes removed at a time, so that most of the time limit is left for our own probe.
const CLEANING_LIMIT: usize = 8;

/// The time to remove the probe after a failure that may have used the whole time limit.
const CLEANING_TIME: Duration = Duration::from_secs(1);

/// Proves that `collection` returns an item that was stored.
pub(super) async fn try_out(
    operation: &mut Operation<'_>,
    collection: &ObjectPath<'_>,
) -> Result<(), Failure> {
    let removable = remove_abandoned(operation).await?;
    let account = random_hex()?;
    let attributes = attributes([(SCHEMA_ATTRIBUTE, SCHEMA), ("service", SERVICE), ("account", &account)]);
    let content = random_hex()?;
    let new = NewItem { attributes: &attributes, label: LABEL };
    let outcome = match operation.create(collection, &attributes, &new, content.as_bytes()).await {
        Ok(_) => operation.read(&attributes).await,
        Err(failure) => Err(failure),
    };
    match outcome {
        Ok(found) => {
            if removable {
                removed(operation.remove(&attributes).await)?;
            }
            if found.content.as_ref().map(Secret::expose) != Some(content.as_bytes()) {
                return Err(BusError::Altered.into());
            }
            operation.client.is_proven.set(true);
            Ok(())
        }
        Err(failure) => {
            // The probe may exist, even if the answer to its creation was lost. If it cannot be removed now, a later
            // verification does it. Report the first failure.
            if failure.leaves_connection_usable() {
                operation.deadline = Deadline::after(CLEANING_TIME);
                let _ = operation.remove(&attributes).await;
            }
            Err(failure)
        }
    }
}

/// Reads back the first write of a session: a service with another key for it can keep rubbish without an error.
pub(super) async fn read_back(
    operation: &mut Operation<'_>,
    attributes: &Attributes<'_>,
    payload: Payload,
    written: &Secret,
) -> Result<(), Failure> {
    let stored = operation.read(attributes).await?.content;
    if stored.is_some_and(|stored| stored == *written || payload.read(stored) == *written) {
        operation.client.is_proven.set(true);
        return Ok(());
    }
    // Another program has written in between, or the session has two keys.
    match operation.client.default_collection(&operation.deadline).await? {
        Some(collection) => try_out(operation, &collection).await,
        None => Err(BusError::Altered.into()),
    }
}

/// Returns whether a removal was made; `false` if only a person may remove, which is no fault of the store.
fn removed(outcome: Result<bool, Failure>) -> Result<bool, Failure> {
    match outcome {
        Ok(_) => Ok(true),
        Err(Failure::Final(error)) if error.kind() == ErrorKind::StoreLocked => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// Returns whether the service lets us remove without a person, as far as it has shown.
async fn remove_abandoned(operation: &mut Operation<'_>) -> Result<bool, Failure> {
    let attributes = attributes([(SCHEMA_ATTRIBUTE, SCHEMA), ("service", SERVICE)]);
    let probes = operation.client.search(&attributes, &operation.deadline).await?.unlocked;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    for probe in probes.iter().take(CLEANING_LIMIT) {
        let created = operation.client.created(probe, &operation.deadline).await.map_err(Failure::from);
        match created {
            // Compare in both directions, because a clock that was set back would keep a probe permanently.
            Ok(created) if created.abs_diff(now) > ABANDONED => {
                if !removed(operation.remove_item(probe).await)? {
                    return Ok(false);
                }
            }
            Ok(_) => {}
            // Its owner has removed it, or the service does not keep times.
            Err(failure) if failure.is_of_the_service() => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(true)
}

/// 128 random bits in hexadecimal.
fn random_hex() -> Result<String, BusError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(BusError::no_random)?;
    Ok(format!("{:032x}", u128::from_le_bytes(bytes)))
}
