//! A connection to the session bus on which every wait has a limit: zbus under a deadline.
//!
//! Finding the bus, connecting, signing in and each call are futures of zbus that run against the operation's
//! [`Deadline`] on zbus's own timers. This file never starts a bus ("autolaunch"): on a bus that only this process
//! knows, no other program would see the keyring.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::str::FromStr;
use std::task::Poll;
use std::time::{Duration, Instant};

use zbus::address::Transport;
use zbus::address::transport::{Unix, UnixSocket};
use zbus::export::futures_core::Stream;
use zbus::message::Message;
use zbus::wire::ObjectPath;
use zbus::{Address, Connection, DBusError, MatchRule, MessageStream, connection};
use zruntime::SharedRuntime;

use super::body::Body;

/// The moment at which an operation must end, with all of its calls.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    end: Instant,
    limit: Duration,
}

impl Deadline {
    /// Returns the deadline `limit` from now.
    pub(super) fn after(limit: Duration) -> Self {
        // A limit beyond the range of the clock counts as unlimited.
        let now = Instant::now();
        let end = now.checked_add(limit).unwrap_or(now + Duration::from_secs(60 * 60 * 24 * 365));
        Self { end, limit }
    }

    /// Returns the remaining time.
    pub(super) fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// Returns the deadline moved by the time since `start`: the user's time is not the service's.
    pub(super) fn without_time_since(&self, start: Instant) -> Self {
        Self { end: self.end + start.elapsed(), limit: self.limit }
    }

    /// Returns the whole time of the operation.
    pub(super) fn limit(&self) -> Duration {
        self.limit
    }
}

/// The reason why a call failed.
#[derive(Debug)]
pub(super) enum BusError {
    /// No address of a session bus is known; the text lists the places searched.
    NoAddress(String),
    /// The address is not valid.
    BadAddress(String),
    /// The address has no listener.
    NotListening(String, io::Error),
    /// The bus refused this user.
    Refused(String),
    /// The deadline passed, after this time.
    TimedOut(Duration),
    /// The connection ended.
    Closed(String),
    /// The answer breaks the Secret Service's protocol.
    Malformed(String),
    /// The service gave back other content than was written to it.
    Altered,
    /// This process has no more threads, descriptors or random numbers.
    System(io::Error),
    /// The bus or the service answered with an error.
    Remote {
        /// The error's D-Bus name, such as `org.freedesktop.DBus.Error.ServiceUnknown`.
        name: String,
        /// The sender's text.
        text: String,
    },
}

impl BusError {
    /// An answer that breaks the protocol.
    pub(super) fn malformed(what: &str) -> Self {
        Self::Malformed(what.to_owned())
    }

    /// The system returned no random numbers.
    pub(super) fn no_random(error: getrandom::Error) -> Self {
        Self::System(io::Error::other(error.to_string()))
    }

    /// Returns the D-Bus name of the other side's error.
    pub(super) fn remote_name(&self) -> Option<&str> {
        match self {
            Self::Remote { name, .. } => Some(name),
            _ => None,
        }
    }

    /// Returns whether the service itself sent this error, as opposed to the bus.
    pub(super) fn is_of_the_service(&self) -> bool {
        self.remote_name().is_some_and(|name| match name.strip_prefix("org.freedesktop.DBus.Error.") {
            None => true,
            Some(general) => {
                general.starts_with("Unknown") || ["Failed", "InvalidArgs", "NotSupported"].contains(&general)
            }
        })
    }

    /// Returns whether the connection can carry another call after this error.
    pub(super) fn leaves_connection_usable(&self) -> bool {
        matches!(self, Self::Remote { .. })
    }
}

impl fmt::Display for BusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAddress(text)
            | Self::BadAddress(text)
            | Self::Refused(text)
            | Self::Closed(text)
            | Self::Malformed(text) => f.write_str(text),
            Self::Altered => f.write_str("other content than was written"),
            Self::NotListening(address, cause) => write!(f, "{address}: {cause}"),
            Self::TimedOut(limit) => write!(f, "no answer within {limit:?}"),
            Self::System(cause) => cause.fmt(f),
            Self::Remote { name, text } if text.is_empty() => f.write_str(name),
            Self::Remote { name, text } => write!(f, "{name}: {text}"),
        }
    }
}

impl std::error::Error for BusError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NotListening(_, cause) | Self::System(cause) => Some(cause),
            _ => None,
        }
    }
}

impl From<zbus::Error> for BusError {
    fn from(error: zbus::Error) -> Self {
        match error {
            zbus::Error::MethodError(name, text, _) => {
                Self::Remote { name: printable(name.as_str()), text: printable(&text.unwrap_or_default()) }
            }
            zbus::Error::FDO(error) => match *error {
                // The library's own errors, wrapped again.
                zbus::fdo::Error::ZBus(error) => error.into(),
                error => Self::Remote {
                    name: printable(error.name().as_str()),
                    text: printable(error.description().unwrap_or_default()),
                },
            },
            zbus::Error::InputOutput(cause) => Self::Closed(cause.to_string()),
            zbus::Error::Handshake(text) => Self::Refused(printable(&text)),
            zbus::Error::Address(text) => Self::BadAddress(printable(&text)),
            zbus::Error::Unsupported => Self::BadAddress("only unix: addresses are supported".to_owned()),
            zbus::Error::Connection(cause, address) => {
                let cause =
                    cause.raw_os_error().map_or_else(|| cause.kind().into(), io::Error::from_raw_os_error);
                Self::NotListening(printable(&address.to_string()), cause)
            }
            // The remaining errors concern the form of messages. Their content is ciphertext and not in the text.
            error => Self::Malformed(printable(&error.to_string())),
        }
    }
}

/// Makes foreign text fit for a log line: short, without control characters.
fn printable(text: &str) -> String {
    const LONGEST: usize = 300;
    text.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

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
            let building = connection::Builder::address(address).build();
            match within(&runtime, deadline, building).await {
                Ok(connection) => return Ok(Self { connection, runtime }),
                Err(error @ (BusError::NotListening(..) | BusError::BadAddress(_))) => failure = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(failure.unwrap_or_else(|| BusError::BadAddress("the list of addresses is empty".to_owned())))
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

    /// Returns the connection that owns `name`.
    pub(super) async fn owner(&self, name: &str, deadline: &Deadline) -> Result<String, BusError> {
        const BUS: &str = "org.freedesktop.DBus";
        let object = ObjectPath::from_str_unchecked("/org/freedesktop/DBus");
        let answer = self.call(BUS, object, BUS, "GetNameOwner", &Body::Text(name), deadline).await?;
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
    match runtime.timeout_at(deadline.end, future).await {
        Ok(outcome) => Ok(outcome?),
        Err(_) => Err(BusError::TimedOut(deadline.limit)),
    }
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

    #[test]
    fn an_error_of_the_bus_is_not_one_of_the_service() {
        let of_the_service =
            |name: &str| BusError::Remote { name: name.to_owned(), text: String::new() }.is_of_the_service();
        for name in
            ["ServiceUnknown", "NameHasNoOwner", "NoReply", "AccessDenied", "Spawn.ExecFailed", "TimedOut"]
        {
            assert!(!of_the_service(&format!("org.freedesktop.DBus.Error.{name}")), "{name}");
        }
        for name in ["UnknownMethod", "InvalidArgs"] {
            assert!(of_the_service(&format!("org.freedesktop.DBus.Error.{name}")), "{name}");
        }
        assert!(of_the_service("org.freedesktop.Secret.Error.NoSuchObject"));
    }

    #[test]
    fn an_error_from_elsewhere_cannot_forge_a_line() {
        assert_eq!(printable("a\nb\u{1b}[1mc"), "a b [1mc");
        assert_eq!(printable(&"x".repeat(5000)).len(), 300);
    }
}
