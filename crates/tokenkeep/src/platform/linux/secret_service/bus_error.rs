//! The reason why a call over the bus failed.

use std::fmt;
use std::io;
use std::time::Duration;

use zbus::DBusError;

use crate::text::printable;

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
    /// The bus belongs to another user.
    Foreign(u32),
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
        /// The program that sent it, if known.
        by: Option<String>,
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

    fn remote(name: &str, text: Option<&str>) -> Self {
        Self::Remote { name: printable(name), text: printable(text.unwrap_or_default()), by: None }
    }

    /// Returns the error with the program that sent it.
    pub(super) fn said_by(mut self, program: Option<String>) -> Self {
        if let Self::Remote { by, .. } = &mut self {
            *by = program.map(|program| printable(&program));
        }
        self
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
            Self::Foreign(user) => write!(f, "it belongs to user {user}"),
            Self::Altered => f.write_str("other content than was written"),
            Self::NotListening(address, cause) => write!(f, "{address}: {cause}"),
            Self::TimedOut(limit) => write!(f, "no answer within {limit:?}"),
            Self::System(cause) => cause.fmt(f),
            Self::Remote { name, text, by } => {
                if let Some(program) = by {
                    write!(f, "{program} says ")?;
                }
                f.write_str(name)?;
                if text.is_empty() { Ok(()) } else { write!(f, ": {text}") }
            }
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
            zbus::Error::MethodError(name, text, _) => Self::remote(name.as_str(), text.as_deref()),
            zbus::Error::FDO(error) => match *error {
                // The library's own errors, wrapped again.
                zbus::fdo::Error::ZBus(error) => error.into(),
                error => Self::remote(error.name().as_str(), error.description()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_bus_is_not_one_of_the_service() {
        let of_the_service = |name: &str| BusError::remote(name, None).is_of_the_service();
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
}
