//! The thread that talks to the bus.
//!
//! A connection of zbus belongs to the thread that created it, and is served only while that thread runs. So each
//! connection has its own thread, which sleeps between requests and ends with its [`Worker`]. The thread also
//! enforces the deadline: the caller waits for an answer, not for the bus.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use zruntime::mpmc;

use super::Identity;
use super::bus::{BusError, Deadline};
use super::failure::Failure;
use super::operation::{NewItem, Operation};
use super::probe;
use super::service::Client;
use crate::options::Prompting;
use crate::threads::pool;
use crate::{Error, ErrorKind, Secret};

/// The time by which an operation may exceed its deadline, to report it and to clean up.
const GRACE: Duration = Duration::from_millis(1500);

/// The operation on the item.
#[derive(Clone, Debug)]
pub(super) enum Work {
    Load,
    Save(Secret),
    Delete,
    /// Verifies that the store keeps an item, unless the item can be read.
    Verify,
}

/// One operation, with its limits.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) item: Identity,
    /// The address of the bus, if it is not the session's.
    pub(super) bus: Option<String>,
    pub(super) work: Work,
    pub(super) deadline: Deadline,
    pub(super) prompting: Prompting,
}

/// The result of an operation.
#[derive(Debug)]
pub(super) struct Report {
    /// The content of the item, after a load.
    pub(super) content: Option<Secret>,
    /// Whether there was an item, after a removal.
    pub(super) removed: bool,
    /// Whether the item is, or would be created, in a collection that ends with the log-in session; unknown after a
    /// removal, and if the service does not say.
    pub(super) ends_with_login: Option<bool>,
}

type Reply = mpsc::Sender<Result<Report, Failure>>;

/// A thread with a connection, or before its first one.
#[derive(Debug)]
pub(super) struct Worker {
    requests: mpmc::Sender<(Request, Reply)>,
    process: u32,
}

impl Worker {
    /// Starts the thread. It connects at its first request.
    pub(super) fn start() -> Result<Self, BusError> {
        let (requests, inbox) = mpmc::unbounded();
        thread::Builder::new()
            .name("tokenkeep-dbus".to_owned())
            .spawn(move || zruntime::block_on(serve(inbox)))
            .map_err(BusError::System)?;
        Ok(Self { requests, process: std::process::id() })
    }

    /// Returns whether this process started the thread: a forked child has none of its parent's threads.
    pub(super) fn is_ours(&self) -> bool {
        self.process == std::process::id()
    }

    /// Runs an operation and waits for its result. Returns `None` if the thread is stuck or dead and cannot be used
    /// again.
    pub(super) fn ask(&self, request: Request) -> Option<Result<Report, Failure>> {
        let patience = match request.prompting {
            Prompting::Never => Duration::ZERO,
            Prompting::Allowed { limit } => limit,
        };
        let wait = request.deadline.left().saturating_add(GRACE);
        let (reply, answer) = mpsc::channel();
        self.requests.try_send((request, reply)).ok()?;
        // Longer than that only a person is waited for, which is no work of the pool's.
        answer.recv_timeout(wait).or_else(|_| pool::waiting(|| answer.recv_timeout(patience))).ok()
    }
}

async fn serve(inbox: mpmc::Receiver<(Request, Reply)>) {
    let mut kept = None;
    while let Ok((request, reply)) = inbox.recv().await {
        let outcome = perform(&request, &mut kept).await;
        // The caller may have given up.
        let _ = reply.send(outcome);
    }
}

/// Runs the operation on the kept or a new connection, and once more on a new one if the service went away during it or
/// has another key for its session.
///
/// Repeating is safe: each operation reads the present state first and ends in the same state after any number of
/// runs. After a timeout nothing is repeated.
async fn perform(request: &Request, kept: &mut Option<Client>) -> Result<Report, Failure> {
    let mut repeated = false;
    loop {
        let mut client = match kept.take() {
            Some(client) => client,
            None => Client::connect(request.bus.as_deref(), &request.deadline).await?,
        };
        let mut operation =
            Operation { client: &mut client, deadline: request.deadline, prompting: request.prompting };
        let outcome = request.item.perform(&request.work, &mut operation).await;
        match &outcome {
            Err(failure)
                if !repeated && (failure.is_interruption() || (failure.is_vague() && !client.is_proven)) =>
            {
                repeated = true;
                continue;
            }
            Err(failure) if !failure.leaves_connection_usable() => {}
            _ => *kept = Some(client),
        }
        return outcome;
    }
}

impl Identity {
    async fn perform(&self, work: &Work, operation: &mut Operation<'_>) -> Result<Report, Failure> {
        let attributes = self.sought();
        let (content, place) = match work {
            Work::Load => {
                let found = operation.read(&attributes).await?;
                (found.content.map(|content| self.payload.read(content)), found.place)
            }
            Work::Save(content) => {
                let given = self.given();
                let new = NewItem { attributes: &given, label: self.shape.label() };
                let place = operation.write(&attributes, &new, self.payload, content.expose()).await?;
                if !operation.client.is_proven {
                    probe::read_back(operation, &attributes, self.payload, content).await?;
                }
                (None, place)
            }
            Work::Delete => {
                let removed = operation.remove(&attributes).await?;
                return Ok(Report { content: None, removed, ends_with_login: None });
            }
            Work::Verify => {
                let found = operation.read(&attributes).await?;
                // An item that can be read is sufficient proof, and no probe is needed.
                if found.content.is_none() {
                    // Prompts were allowed for the real item only.
                    operation.prompting = Prompting::Never;
                    probe::try_out(operation, &found.place).await?;
                }
                (None, found.place)
            }
        };
        let ends_with_login = operation.client.ends_with_login(&place, &operation.deadline).await;
        Ok(Report { content, removed: false, ends_with_login })
    }
}

/// The thread gave no answer at all.
pub(super) fn stuck(deadline: &Deadline) -> Failure {
    let what = format!("the connection to the session bus did not come back within {:?}", deadline.limit());
    Failure::Final(
        Error::new(ErrorKind::StoreTimeout, what)
            .remedy("Restart the keyring service; whether a write arrived is unknown"),
    )
}
