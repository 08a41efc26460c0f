//! A connection to the session bus on which every wait has a limit: zbus under a deadline.
//!
//! Finding the bus, connecting, signing in and each call are futures of zbus that run against the operation's
//! [`Deadline`] on zbus's own timers. This file never starts a bus ("autolaunch"): on a bus that only this process
//! knows, no other program would see the keyring.

use std::ffi::{OsStr, OsString};
use std::future::{Future, poll_fn};
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::str::FromStr;
use std::task::Poll;

use zbus::address::Transport;
use zbus::address::transport::{Unix, UnixSocket};
use zbus::export::futures_core::Stream;
use zbus::message::Message;
use zbus::wire::ObjectPath;
use zbus::{Address, Connection, MatchRule, MessageStream, connection};
use zruntime::SharedRuntime;

use super::body::Body;
pub(super) use super::bus_error::BusError;
pub(super) use super::deadline::Deadline;
use super::socket;

/// A signed-in connection to the session bus. It belongs to the thread that created it.
#[derive(Debug)]
pub(super) struct Bus {
    connection: Connection,
    runtime: SharedRuntime,
}

impl Bus {
    /// Connects and signs in to the bus at `address`, or to the session bus.
    pub(super) async fn connect(address: Option<&str>, deadline: &Deadline) -> Result<Self, BusError> {
        let runtime = SharedRuntime::current().map_err(BusError::System)?;
        let mut failure = None;
        for address in addresses(address)? {
            match Self::over(&runtime, &address, deadline).await {
                Ok(connection) => return Ok(Self { connection, runtime }),
                Err(error @ (BusError::NotListening(..) | BusError::BadAddress(_))) => failure = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(failure.unwrap_or_else(|| BusError::BadAddress("the list of addresses is empty".to_owned())))
    }

    async fn over(
        runtime: &SharedRuntime,
        address: &Address,
        deadline: &Deadline,
    ) -> Result<Connection, BusError> {
        let stream = timely(runtime, deadline, socket::connect(runtime, address)).await?;
        let building = connection::Builder::unix_stream(stream).build();
        let connection = match within(runtime, deadline, building).await {
            Err(first @ (BusError::Closed(_) | BusError::Refused(_))) => {
                // It may be an old proxy of a sandbox. If it is not, the first answer tells more.
                let again = async {
                    let stream = timely(runtime, deadline, socket::connect(runtime, address)).await?;
                    let stream = socket::line_by_line(stream, deadline).map_err(BusError::System)?;
                    within(runtime, deadline, connection::Builder::unix_stream(stream).build()).await
                };
                again.await.map_err(|_| first)?
            }
            outcome => outcome?,
        };
        match address.guid() {
            Some(guid) if guid != connection.server_guid().inner() => {
                Err(BusError::Refused(format!("another bus than {address} listens there")))
            }
            _ => Ok(connection),
        }
    }

    /// Calls `interface.member` on the object `path` of `destination` and waits for the answer.
    pub(super) async fn call(
        &self,
        destination: &str,
        path: ObjectPath<'_>,
        interface: &'static str,
        member: &'static str,
        body: &Body<'_>,
        deadline: &Deadline,
    ) -> Result<Message, BusError> {
        let call = self.connection.call_method(Some(destination), path, Some(interface), member, body);
        within(&self.runtime, deadline, call).await
    }

    /// Returns the name of this connection on the bus.
    pub(super) fn own_name(&self) -> Result<&str, BusError> {
        let name = self.connection.unique_name();
        name.map(|name| name.as_str()).ok_or_else(|| BusError::malformed("a connection without a name"))
    }

    /// Returns the connection that owns `name`.
    pub(super) async fn owner(&self, name: &str, deadline: &Deadline) -> Result<String, BusError> {
        const BUS: &str = "org.freedesktop.DBus";
        let object = ObjectPath::from_str_unchecked("/org/freedesktop/DBus");
        let answer = self.call(BUS, object, BUS, "GetNameOwner", &Body::Text(name), deadline).await?;
        Ok(answer.body().deserialize()?)
    }

    /// Returns the process behind `name`, an owner or a connection.
    pub(super) async fn process(&self, name: &str, deadline: &Deadline) -> Result<u32, BusError> {
        const BUS: &str = "org.freedesktop.DBus";
        let object = ObjectPath::from_str_unchecked("/org/freedesktop/DBus");
        let body = Body::Text(name);
        let answer = self.call(BUS, object, BUS, "GetConnectionUnixProcessID", &body, deadline).await?;
        Ok(answer.body().deserialize()?)
    }

    /// Subscribes to the signals that match `rule`.
    pub(super) async fn subscribe(
        &self,
        rule: MatchRule<'_>,
        deadline: &Deadline,
    ) -> Result<MessageStream, BusError> {
        let subscribing = MessageStream::for_match_rule(rule, &self.connection, None);
        within(&self.runtime, deadline, subscribing).await
    }

    /// Waits for the next signal of `wanted`; returns `None` if one of `unwanted` comes first.
    pub(super) async fn signal(
        &self,
        wanted: &mut MessageStream,
        unwanted: &mut MessageStream,
        deadline: &Deadline,
    ) -> Result<Option<Message>, BusError> {
        let ended = || zbus::Error::InputOutput(std::sync::Arc::new(io::ErrorKind::UnexpectedEof.into()));
        let waiting = poll_fn(|context| {
            if let Poll::Ready(signal) = Pin::new(&mut *wanted).poll_next(context) {
                return Poll::Ready(signal.unwrap_or_else(|| Err(ended())).map(Some));
            }
            Pin::new(&mut *unwanted).poll_next(context).map(|_| Ok(None))
        });
        within(&self.runtime, deadline, waiting).await
    }
}

/// Returns the result of `future` if it comes before the deadline; otherwise drops it.
async fn within<T>(
    runtime: &SharedRuntime,
    deadline: &Deadline,
    future: impl Future<Output = zbus::Result<T>>,
) -> Result<T, BusError> {
    timely(runtime, deadline, async { Ok(future.await?) }).await
}

/// Like [`within`], for work of ours.
pub(super) async fn timely<T>(
    runtime: &SharedRuntime,
    deadline: &Deadline,
    future: impl Future<Output = Result<T, BusError>>,
) -> Result<T, BusError> {
    let timed_out = Err(BusError::TimedOut(deadline.limit()));
    // A request of a caller that has given up must not go out: the lock may be another process's by now.
    if deadline.left().is_zero() {
        return timed_out;
    }
    runtime.timeout_at(deadline.end, future).await.unwrap_or(timed_out)
}

/// Returns the possible addresses of the bus at `address`, or of the session bus.
///
/// # Errors
/// `NoAddress` and `BadAddress`: a connection is impossible, which is known without a try.
pub(super) fn addresses(address: Option<&str>) -> Result<Vec<Address>, BusError> {
    match address {
        Some(address) => sockets(address),
        None => session_addresses(|name| std::env::var_os(name)),
    }
}

/// Returns the addresses of the session bus from the environment `variable`, in the order of tries: those in
/// `DBUS_SESSION_BUS_ADDRESS`, or without it `$XDG_RUNTIME_DIR/bus`, where systemd puts the bus.
fn session_addresses(variable: impl Fn(&str) -> Option<OsString>) -> Result<Vec<Address>, BusError> {
    let variable = |name| variable(name).filter(|value| !value.is_empty());
    if let Some(list) = variable("DBUS_SESSION_BUS_ADDRESS") {
        return sockets(list.to_str().ok_or_else(|| no_socket(&list))?);
    }
    let Some(directory) = variable("XDG_RUNTIME_DIR") else {
        let text = "neither DBUS_SESSION_BUS_ADDRESS nor XDG_RUNTIME_DIR is set";
        return Err(BusError::NoAddress(text.to_owned()));
    };
    let socket = Path::new(&directory).join("bus");
    if !socket.exists() {
        let text = format!("DBUS_SESSION_BUS_ADDRESS is not set and {socket:?} does not exist");
        return Err(BusError::NoAddress(text));
    }
    Ok(vec![Transport::Unix(Unix::new(UnixSocket::File(socket))).into()])
}

/// Returns the sockets in a list of addresses. Other kinds start a program, or cross a network without encryption.
fn sockets(list: &str) -> Result<Vec<Address>, BusError> {
    let addresses: Vec<_> = list
        .split(';')
        .filter(|address| address.starts_with("unix:"))
        .filter_map(|address| Address::from_str(address).ok())
        .collect();
    if addresses.is_empty() { Err(no_socket(OsStr::new(list))) } else { Ok(addresses) }
}

/// The text is foreign, so it is shown in a form that cannot forge a log line.
fn no_socket(list: &OsStr) -> BusError {
    BusError::BadAddress(format!("{list:?} names no Unix socket"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)]) -> Result<Vec<String>, BusError> {
        let variable = |name: &str| variables.iter().find(|v| v.0 == name).map(|v| v.1.into());
        Ok(session_addresses(variable)?.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn of_a_list_of_addresses_the_sockets_are_taken_in_order() {
        let list =
            "tcp:host=localhost,port=1;unix:path=/a;unix:abstract=b,guid=0123456789abcdef0123456789abcdef";
        let found = found(&[("DBUS_SESSION_BUS_ADDRESS", list), ("XDG_RUNTIME_DIR", "/")]).unwrap();
        assert_eq!(found[0], "unix:path=/a");
        assert!(found[1].starts_with("unix:abstract=b"), "{found:?}");
        for none in ["autolaunch:", "disabled:", "unixexec:path=/bin/false", "/just/a/path", "unix:path"] {
            assert!(matches!(sockets(none), Err(BusError::BadAddress(_))), "{none}");
        }
    }

    #[test]
    fn without_an_address_the_socket_in_the_runtime_directory_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let variables =
            [("DBUS_SESSION_BUS_ADDRESS", ""), ("XDG_RUNTIME_DIR", directory.path().to_str().unwrap())];
        assert!(matches!(found(&variables), Err(BusError::NoAddress(_))));
        let socket = directory.path().join("bus");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert_eq!(found(&variables).unwrap(), [format!("unix:path={}", socket.display())]);
    }

    #[test]
    fn an_empty_environment_is_an_error_that_names_what_is_missing() {
        let error = found(&[]).unwrap_err().to_string();
        assert!(error.contains("DBUS_SESSION_BUS_ADDRESS") && error.contains("XDG_RUNTIME_DIR"), "{error}");
    }
}
