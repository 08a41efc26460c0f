//! Verifies that the store keeps an item.
//!
//! A probe is an item under a random name that no other process uses. It is removed at the end, after an error too.
//! Only a killed process leaves one behind, and a later verification removes it. Probes never prompt: the operation
//! that runs them does not allow it by then.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use zbus::wire::ObjectPath;

use super::bus::{BusError, Deadline};
use super::failure::Failure;
use super::operation::{NewItem, Operation};
use super::service::{Attributes, Client, attributes};
use super::{SCHEMA, SCHEMA_ATTRIBUTE};
use crate::{Error, ErrorKind, Secret};

/// The service name of all probes, by which abandoned ones are found.
const SERVICE: &str = "tokenkeep-probe";

const LABEL: &str = "tokenkeep probe, safe to remove";

/// A probe of this age belongs to a killed process: no verification has such a long deadline.
const ABANDONED: Duration = Duration::from_secs(60);

/// The number of abandoned probes removed at a time, so that most of the time limit is left for our own probe.
const CLEANING_LIMIT: usize = 8;

/// The time to remove the probe after a failure that may have used the whole time limit.
const CLEANING_TIME: Duration = Duration::from_secs(1);

/// Proves that `collection` returns, over another connection, the item that was stored.
pub(super) async fn try_out(
    operation: &mut Operation<'_>,
    bus: Option<&str>,
    collection: &ObjectPath<'_>,
) -> Result<(), Failure> {
    remove_abandoned(operation).await?;
    let account = random_hex()?;
    let attributes = attributes([(SCHEMA_ATTRIBUTE, SCHEMA), ("service", SERVICE), ("account", &account)]);
    let content = random_hex()?;

    let created = {
        let new = NewItem { attributes: &attributes, label: LABEL };
        operation.create(collection, &attributes, &new, content.as_bytes()).await
    };
    let outcome = match created {
        Ok(_) => read_elsewhere(bus, &operation.deadline, &attributes).await,
        Err(failure) => Err(failure),
    };
    match outcome {
        Ok(found) => {
            operation.remove(&attributes).await?;
            if found.as_ref().map(Secret::expose) == Some(content.as_bytes()) {
                return Ok(());
            }
            let what = "the Secret Service did not give back what it was given";
            let error = Error::new(ErrorKind::NotVerified, what);
            Err(error.remedy("Restart the keyring service").into())
        }
        Err(failure) => {
            // The probe may exist, even if the answer to its creation was lost. If it cannot be removed now, a later
            // verification does it. Report the first failure.
            let _ = remove_after_failure(bus, &attributes).await;
            Err(failure)
        }
    }
}

/// Reads the probe like another process: over a separate connection and session.
async fn read_elsewhere(
    bus: Option<&str>,
    deadline: &Deadline,
    attributes: &Attributes<'_>,
) -> Result<Option<Secret>, Failure> {
    let mut client = Client::connect(bus, deadline).await?;
    let mut reader = quiet(&mut client, *deadline);
    Ok(reader.read(attributes).await?.content)
}

async fn remove_after_failure(bus: Option<&str>, attributes: &Attributes<'_>) -> Result<(), Failure> {
    let deadline = Deadline::after(CLEANING_TIME);
    let mut client = Client::connect(bus, &deadline).await?;
    quiet(&mut client, deadline).remove(attributes).await.map(|_| ())
}

fn quiet(client: &mut Client, deadline: Deadline) -> Operation<'_> {
    Operation { client, deadline, prompting: crate::options::Prompting::Never }
}

async fn remove_abandoned(operation: &mut Operation<'_>) -> Result<(), Failure> {
    let attributes = attributes([(SCHEMA_ATTRIBUTE, SCHEMA), ("service", SERVICE)]);
    let probes = operation.client.search(&attributes, &operation.deadline).await?.unlocked;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    for probe in probes.iter().take(CLEANING_LIMIT) {
        let created = operation.client.created(probe, &operation.deadline).await.map_err(Failure::from);
        match created {
            // Compare in both directions, because a clock that was set back would keep a probe permanently.
            Ok(created) if created.abs_diff(now) > ABANDONED => {
                operation.remove_item(probe).await?;
            }
            Ok(_) => {}
            // Its owner has removed it.
            Err(failure) if failure.is_missing_object() => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(())
}

/// 128 random bits in hexadecimal.
fn random_hex() -> Result<String, BusError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(BusError::no_random)?;
    Ok(format!("{:032x}", u128::from_le_bytes(bytes)))
}
