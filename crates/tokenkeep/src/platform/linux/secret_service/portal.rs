//! The secret that the portal of a desktop keeps for a sandboxed program (`org.freedesktop.portal.Secret`).
//!
//! Every Flatpak and Snap may talk to the portal; the keyring itself needs a permission. The portal writes the secret of the
//! calling program into a pipe, then says that it is done.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::sync::mpsc;
use std::time::Duration;

use zbus::wire::{ObjectPath, OwnedObjectPath, Variant};
use zbus::{MatchRule, message};
use zeroize::Zeroizing;
use zruntime::SharedRuntime;

use super::body::{Body, Properties};
use super::bus::{self, Bus};
use super::bus_error::BusError;
use super::deadline::Deadline;
use super::failure::{self, Failure};
use super::worker;
use crate::names;
use crate::options::Prompting;

const NAME: &str = "org.freedesktop.portal.Desktop";
const PATH: &str = "/org/freedesktop/portal/desktop";
const SECRET: &str = "org.freedesktop.portal.Secret";
const REQUEST: &str = "org.freedesktop.portal.Request";

/// Longer than the secret of any portal: gnome-keyring's has 64 bytes.
const LONGEST: usize = 4096;

/// The time by which a request may exceed its limit.
const GRACE: Duration = Duration::from_millis(500);

/// How long to wait for bytes that have not arrived yet.
const NAP: Duration = Duration::from_millis(5);

/// Returns the secret of this program from the portal on the bus at `address`, or on the session bus.
///
/// # Errors
/// `StoreUnavailable` without a bus, or without a portal that keeps secrets; `StoreLocked` if a person did not let it;
/// `StoreTimeout`, `StoreFailed`, `Io`.
pub(crate) fn secret(
    address: Option<&str>,
    deadline: Duration,
    prompting: Prompting,
) -> crate::Result<Zeroizing<Vec<u8>>> {
    let patience = match prompting {
        Prompting::Never => deadline,
        Prompting::Allowed { limit } => limit.max(deadline),
    };
    let (address, limit) = (address.map(str::to_owned), Deadline::after(deadline));
    let (reply, answer) = mpsc::channel();
    let ask = move || {
        // The caller may have given up.
        let _ = reply.send(zruntime::block_on(retrieve(address.as_deref(), &limit, patience)));
    };
    let started = std::thread::Builder::new().name("tokenkeep-portal".to_owned()).spawn(ask);
    let outcome = match started {
        Err(error) => Err(Failure::Bus(BusError::System(error))),
        Ok(_) => answer
            .recv_timeout(patience.saturating_add(deadline).saturating_add(GRACE))
            .unwrap_or_else(|_| Err(worker::stuck(&limit))),
    };
    outcome.map_err(|failure| failure.into_portal_error())
}

async fn retrieve(
    address: Option<&str>,
    deadline: &Deadline,
    patience: Duration,
) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let bus = Bus::connect(address, deadline).await?;
    let token = format!("tokenkeep_{:016x}", names::random()?);
    let request = request_path(bus.own_name()?, &token)?;
    let answered = MatchRule::builder()
        .msg_type(message::Type::Signal)
        .path(request.as_ref())
        .interface(REQUEST)
        .member("Response")
        .build()
        .map_err(BusError::from)?;
    let gone = MatchRule::builder()
        .msg_type(message::Type::Signal)
        .sender("org.freedesktop.DBus")
        .member("NameOwnerChanged")
        .arg(0, NAME)
        .build()
        .map_err(BusError::from)?;
    let mut answered = bus.subscribe(answered, deadline).await?;
    let mut gone = bus.subscribe(gone, deadline).await?;

    let (reader, writer) = io::pipe().map_err(BusError::System)?;
    let mut options = Properties::new();
    options.insert("handle_token", Variant::from(token.as_str()));
    let body = Body::Retrieval(writer.as_fd(), options);
    let object = ObjectPath::from_str_unchecked(PATH);
    bus.call(NAME, object, SECRET, "RetrieveSecret", &body, deadline).await?;
    drop(writer);
    match bus.signal(&mut answered, &mut gone, &Deadline::after(patience)).await {
        Ok(Some(signal)) => {
            // It begins with a number. 0: done; 1: a person refused; 2: it ended in another way.
            if signal.body().data().bytes().get(..4) != Some(&[0; 4]) {
                return Err(failure::is_locked("the portal did not give the secret").into());
            }
        }
        Ok(None) => return Err(BusError::Closed("the portal ended".to_owned()).into()),
        Err(BusError::TimedOut(_)) => {
            let (nothing, second) = (Body::Nothing, Deadline::after(GRACE));
            match bus.call(NAME, request.as_ref(), REQUEST, "Close", &nothing, &second).await {
                // A request that ended in this moment is gone.
                Ok(_) | Err(BusError::Remote { .. }) => {}
                Err(error) => return Err(error.into()),
            }
            return Err(failure::is_locked(&format!("the portal did not answer within {patience:?}")).into());
        }
        Err(error) => return Err(error.into()),
    }
    let secret = read_all(reader, &Deadline::after(deadline.limit())).await?;
    if secret.is_empty() { Err(BusError::malformed("an empty secret").into()) } else { Ok(secret) }
}

/// The object that the answer comes from, by the rule of the portal's documents.
fn request_path(connection: &str, token: &str) -> Result<OwnedObjectPath, BusError> {
    let sender = connection.trim_start_matches(':').replace('.', "_");
    let path = format!("{PATH}/request/{sender}/{token}");
    OwnedObjectPath::try_from(path).map_err(|_| BusError::malformed("an unfit name of this connection"))
}

/// Reads to the end, which comes when the portal has closed its copy of the pipe.
async fn read_all(mut pipe: io::PipeReader, deadline: &Deadline) -> Result<Zeroizing<Vec<u8>>, BusError> {
    let runtime = SharedRuntime::current().map_err(BusError::System)?;
    rustix::io::ioctl_fionbio(&pipe, true).map_err(|error| BusError::System(error.into()))?;
    let mut secret = Zeroizing::new(vec![0; LONGEST]);
    let mut length = 0;
    let reading = async {
        while length < LONGEST {
            match pipe.read(&mut secret[length..]) {
                Ok(0) => return Ok(()),
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => runtime.sleep(NAP).await,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(BusError::System(error)),
            }
        }
        Err(BusError::malformed("a secret without an end"))
    };
    bus::timely(&runtime, deadline, reading).await?;
    secret.truncate(length);
    Ok(secret)
}
