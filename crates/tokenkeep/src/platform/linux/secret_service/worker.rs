//! The thread that talks to the bus.
//!
//! A connection of zbus belongs to the thread that created it, and is served only while that thread runs. So each
//! connection has its own thread, which sleeps between requests and ends with its [`Worker`]. It works on all requests at
//! the same time: one that waits for a person keeps no other waiting. The thread also enforces the deadline: the caller
//! waits for an answer, not for the bus.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use zbus::export::futures_core::Stream;
use zruntime::lock::Mutex;
use zruntime::{SharedRuntime, mpmc};

use super::Identity;
use super::bus::{self, BusError, Deadline};
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
    pub(super) work: Work,
    /// Whether the connection is opened anew for it.
    pub(super) anew: bool,
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

/// The time that a connection is kept after its last item: a program may open the next one.
const LINGERING: Duration = Duration::from_secs(5);

#[derive(Debug)]
enum Message {
    Work(Box<Request>, Reply),
    /// An item is gone.
    Released,
}

type Reply = mpsc::Sender<Result<Report, Failure>>;

/// A thread with a connection, or before its first one.
#[derive(Debug)]
pub(super) struct Worker {
    messages: mpmc::Sender<Message>,
    process: u32,
}

impl Worker {
    /// Starts the thread. It connects to the bus at these addresses at its first request, and calls `unused` some time after an
    /// item was released.
    pub(super) fn start(bus: String, unused: fn(&str)) -> Result<Self, BusError> {
        let (messages, inbox) = mpmc::unbounded();
        thread::Builder::new()
            .name("tokenkeep-dbus".to_owned())
            .spawn(move || zruntime::block_on(serve(inbox, bus, unused)))
            .map_err(BusError::System)?;
        Ok(Self { messages, process: std::process::id() })
    }

    /// Tells the thread that an item does not need it any more.
    pub(super) fn release(&self) {
        // A thread that has ended has nothing to close.
        let _ = self.messages.try_send(Message::Released);
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
        self.messages.try_send(Message::Work(Box::new(request), reply)).ok()?;
        // Longer than that only a person is waited for, which is no work of the pool's.
        answer.recv_timeout(wait).or_else(|_| pool::waiting(|| answer.recv_timeout(patience))).ok()
    }
}

async fn serve(mut inbox: mpmc::Receiver<Message>, bus: String, unused: fn(&str)) {
    let Ok(runtime) = SharedRuntime::current() else { return };
    let line = Line { bus, client: Mutex::new(None) };
    let mut works: Vec<Pin<Box<dyn Future<Output = ()> + '_>>> = Vec::new();
    let mut lingering = None;
    let mut open = true;
    poll_fn(|context| {
        while open {
            match Pin::new(&mut inbox).poll_next(context) {
                Poll::Ready(Some(Message::Work(request, reply))) => {
                    works.push(Box::pin(line.answer(request, reply)));
                }
                Poll::Ready(Some(Message::Released)) => lingering = Some(Box::pin(runtime.sleep(LINGERING))),
                Poll::Ready(None) => open = false,
                Poll::Pending => break,
            }
        }
        // zbus panics at some answers of a bus. That ends the operation that got the answer, and no other one.
        works.retain_mut(|work| {
            catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context))).is_ok_and(|poll| poll.is_pending())
        });
        if lingering.as_mut().is_some_and(|sleep| sleep.as_mut().poll(context).is_ready()) {
            lingering = None;
            unused(&line.bus);
        }
        if open || !works.is_empty() { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
}

/// The connection of a thread, and the way to it.
struct Line {
    bus: String,
    client: Mutex<Option<Rc<Client>>>,
}

impl Line {
    async fn answer(&self, request: Box<Request>, reply: Reply) {
        let outcome = self.perform(&request).await;
        // The caller may have given up.
        let _ = reply.send(outcome);
    }

    /// Runs the operation on the kept or a new connection, and once more on a new one if the service went away during it or
    /// has another key for its session.
    ///
    /// Repeating is safe: each operation reads the present state first and ends in the same state after any number of
    /// runs. After a timeout nothing is repeated.
    async fn perform(&self, request: &Request) -> Result<Report, Failure> {
        let mut anew = request.anew;
        let mut repeated = false;
        loop {
            let client = self.connected(&request.deadline, anew).await?;
            let mut operation =
                Operation { client: &client, deadline: request.deadline, prompting: request.prompting };
            let outcome = request.item.perform(&request.work, &mut operation).await;
            let Err(failure) = outcome else { return outcome };
            let again = failure.is_interruption() || (failure.is_vague() && !client.is_proven.get());
            if (again || !failure.leaves_connection_usable())
                && let Some(mut kept) = self.client.try_lock()
            {
                // Another request may have replaced it.
                kept.take_if(|kept| Rc::ptr_eq(kept, &client));
            }
            if !again || std::mem::replace(&mut repeated, true) {
                return Err(match failure {
                    Failure::Bus(error) if error.is_of_the_service() => {
                        Failure::Bus(client.explained(error).await)
                    }
                    failure => failure,
                });
            }
            anew = false;
        }
    }

    /// Returns the connection, made now if there is none.
    async fn connected(&self, deadline: &Deadline, anew: bool) -> Result<Rc<Client>, BusError> {
        let runtime = SharedRuntime::current().map_err(BusError::System)?;
        let locking = async { Ok(self.client.lock().await) };
        let mut kept = bus::timely(&runtime, deadline, locking).await?;
        match &*kept {
            Some(client) if !anew => Ok(Rc::clone(client)),
            _ => {
                let client = Rc::new(Client::connect(&self.bus, deadline).await?);
                Ok(Rc::clone(kept.insert(client)))
            }
        }
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
                if !operation.client.is_proven.get() {
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
                // An item that can be read is sufficient proof, and so is an earlier one over this connection.
                if found.content.is_none() && !operation.client.is_proven.get() {
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
