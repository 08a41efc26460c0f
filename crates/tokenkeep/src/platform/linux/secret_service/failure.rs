//! Translates failures into the library's errors: kind, sentence, remedy.

use super::bus_error::BusError;
use super::sandbox::Sandbox;
use crate::{Error, ErrorKind};

/// The reason why an operation failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// A failed call; the end of the operation decides what it means.
    Bus(BusError),
    /// The operation cannot continue; the error is complete except for its item.
    Final(Error),
}

impl From<BusError> for Failure {
    fn from(error: BusError) -> Self {
        Self::Bus(error)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Final(error)
    }
}

/// D-Bus error names.
mod name {
    pub(super) const SERVICE_UNKNOWN: &str = "org.freedesktop.DBus.Error.ServiceUnknown";
    pub(super) const NO_OWNER: &str = "org.freedesktop.DBus.Error.NameHasNoOwner";
    pub(super) const NO_REPLY: &str = "org.freedesktop.DBus.Error.NoReply";
    pub(super) const DISCONNECTED: &str = "org.freedesktop.DBus.Error.Disconnected";
    pub(super) const TIMED_OUT: &str = "org.freedesktop.DBus.Error.TimedOut";
    pub(super) const ACCESS_DENIED: &str = "org.freedesktop.DBus.Error.AccessDenied";
    pub(super) const NOT_SUPPORTED: &str = "org.freedesktop.DBus.Error.NotSupported";
    pub(super) const FAILED: &str = "org.freedesktop.DBus.Error.Failed";
    pub(super) const INVALID_ARGS: &str = "org.freedesktop.DBus.Error.InvalidArgs";
    pub(super) const UNKNOWN_OBJECT: &str = "org.freedesktop.DBus.Error.UnknownObject";
    pub(super) const UNKNOWN_METHOD: &str = "org.freedesktop.DBus.Error.UnknownMethod";
    pub(super) const UNKNOWN_INTERFACE: &str = "org.freedesktop.DBus.Error.UnknownInterface";
    pub(super) const SPAWN: &str = "org.freedesktop.DBus.Error.Spawn.";
    pub(super) const NO_SESSION: &str = "org.freedesktop.Secret.Error.NoSession";
    /// The answer of kwalletd6 for a session that it does not know.
    pub(super) const INVALID_PATH: &str = "org.qtproject.QtDBus.Error.InvalidObjectPath";
    pub(super) const NO_SUCH_OBJECT: &str = "org.freedesktop.Secret.Error.NoSuchObject";
    pub(super) const IS_LOCKED: &str = "org.freedesktop.Secret.Error.IsLocked";
}

impl Failure {
    /// Returns whether the service or the bus ended during a connection, or its session has no good key, so that a new
    /// connection may work.
    pub(super) fn is_interruption(&self) -> bool {
        match self {
            Self::Bus(BusError::Closed(_) | BusError::Malformed(_) | BusError::Altered) => true,
            Self::Bus(error) => matches!(
                error.remote_name(),
                Some(
                    name::SERVICE_UNKNOWN
                        | name::NO_OWNER
                        | name::NO_REPLY
                        | name::DISCONNECTED
                        | name::NO_SESSION
                        | name::INVALID_PATH
                )
            ),
            Self::Final(_) => false,
        }
    }

    /// Returns whether the bus or the service did not answer in time.
    pub(super) fn is_silence(&self) -> bool {
        match self {
            Self::Bus(error) => matches!(error, BusError::TimedOut(_)),
            Self::Final(error) => error.kind() == ErrorKind::StoreTimeout,
        }
    }

    /// Returns whether the service could do nothing with a request: perhaps it could not decrypt a secret.
    pub(super) fn is_vague(&self) -> bool {
        matches!(self, Self::Bus(error) if matches!(error.remote_name(), Some(name::FAILED | name::INVALID_ARGS)))
    }

    /// Returns whether an item or collection that a search has just named is gone.
    pub(super) fn is_missing_object(&self) -> bool {
        // A service that has removed an object knows neither the object nor its methods.
        matches!(
            self,
            Self::Bus(error) if matches!(
                error.remote_name(),
                Some(
                    name::NO_SUCH_OBJECT
                        | name::UNKNOWN_OBJECT
                        | name::UNKNOWN_METHOD
                        | name::UNKNOWN_INTERFACE
                )
            )
        )
    }

    /// Returns whether the service answered, with an error.
    pub(super) fn is_of_the_service(&self) -> bool {
        matches!(self, Self::Bus(error) if error.is_of_the_service())
    }

    /// Returns whether the connection can carry another call.
    pub(super) fn leaves_connection_usable(&self) -> bool {
        match self {
            Self::Bus(error) => error.leaves_connection_usable(),
            Self::Final(_) => true,
        }
    }

    /// Returns whether an item or collection is locked.
    pub(super) fn is_locked(&self) -> bool {
        matches!(self, Self::Bus(error) if error.remote_name() == Some(name::IS_LOCKED))
    }

    /// The error to report: `what` failed for the item at `location`.
    pub(super) fn into_error(self, what: &str, location: &str) -> Error {
        // Debug form, because a name with a line break must not forge a log line.
        self.into_error_of(&format!("{what} keystore item {location:?}"))
    }

    /// The error to report if no item is concerned.
    pub(super) fn into_service_error(self) -> Error {
        self.into_error_of("Cannot use the Secret Service")
    }

    /// The error to report if the portal gave no secret.
    pub(super) fn into_portal_error(self) -> Error {
        const WHAT: &str = "Cannot get the secret of the desktop's portal";
        let is_missing = self.is_missing_object();
        match self {
            Self::Bus(error) if is_missing || error.is_for_want_of_a_service() => {
                let text = format!("{WHAT}: there is no portal that keeps secrets on the D-Bus session bus");
                let remedy = "Install and start xdg-desktop-portal with gnome-keyring or KWallet, or give the file another key";
                Error::new(ErrorKind::StoreUnavailable, text).remedy(remedy).because(error)
            }
            failure => failure.into_error_of(WHAT),
        }
    }

    fn into_error_of(self, what: &str) -> Error {
        match self {
            Self::Final(error) => error.within(what),
            Self::Bus(error) => {
                let (kind, reason, remedy) = explain(&error);
                let sandbox = Sandbox::around_us().filter(|_| error.is_for_want_of_a_service());
                let (reason, remedy) = match &sandbox {
                    Some(sandbox) => (
                        "this sandbox does not let the program talk to a Secret Service, or there is none",
                        sandbox.remedy(),
                    ),
                    None => (reason, remedy.to_owned()),
                };
                Error::new(kind, format!("{what}: {reason}")).remedy(remedy).because(error)
            }
        }
    }
}

impl BusError {
    /// Returns whether the bus or its service is missing for this program.
    fn is_for_want_of_a_service(&self) -> bool {
        match self {
            Self::NoAddress(_) | Self::NotListening(..) | Self::Refused(_) => true,
            _ => matches!(
                self.remote_name(),
                Some(name::SERVICE_UNKNOWN | name::NO_OWNER | name::ACCESS_DENIED)
            ),
        }
    }
}

const START_SESSION: &str = "Run the program in a desktop session or under dbus-run-session";
const INSTALL: &str = "Install and start gnome-keyring, KWallet or KeePassXC";

fn explain(error: &BusError) -> (ErrorKind, &'static str, &'static str) {
    use BusError as Bus;
    match error {
        Bus::NoAddress(_) => (ErrorKind::StoreUnavailable, "there is no D-Bus session bus", START_SESSION),
        Bus::BadAddress(_) => (
            ErrorKind::StoreUnavailable,
            "the address of the D-Bus session bus cannot be used",
            "Set DBUS_SESSION_BUS_ADDRESS to a unix: address of a running bus, or unset it",
        ),
        Bus::NotListening(..) => (
            ErrorKind::StoreUnavailable,
            "nobody listens at the address of the D-Bus session bus",
            "The session that DBUS_SESSION_BUS_ADDRESS names has probably ended; sign in again",
        ),
        Bus::Refused(_) => (
            ErrorKind::StoreUnavailable,
            "the D-Bus session bus refused the connection",
            "Run the program as the user whose session it is",
        ),
        Bus::Foreign(_) => (
            ErrorKind::StoreUnavailable,
            "the D-Bus session bus belongs to another user",
            "Run the program as the user whose session it is, or set DBUS_SESSION_BUS_ADDRESS to a bus of this user",
        ),
        Bus::TimedOut(_) => (
            ErrorKind::StoreTimeout,
            "the D-Bus session bus or the Secret Service on it did not answer",
            "Restart the keyring service; whether a write arrived is unknown",
        ),
        Bus::Closed(_) => (
            ErrorKind::StoreUnavailable,
            "the D-Bus session bus or the Secret Service ended in the middle",
            "Try again; if it happens again, look into the log of the keyring service",
        ),
        Bus::Malformed(_) => (
            ErrorKind::StoreFailed,
            "the Secret Service gave an answer that breaks its protocol",
            "Report this with the name and version of the keyring service",
        ),
        Bus::Altered => (
            ErrorKind::NotVerified,
            "the Secret Service gave back other content than was written to it",
            "Restart the keyring service",
        ),
        Bus::System(_) => (
            ErrorKind::Io,
            "the operating system refused this process what it takes",
            "Look for a limit on threads or open files that this process has reached",
        ),
        Bus::Remote { name, .. } => explain_remote(name),
    }
}

fn explain_remote(error: &str) -> (ErrorKind, &'static str, &'static str) {
    match error {
        name::SERVICE_UNKNOWN | name::NO_OWNER => {
            (ErrorKind::StoreUnavailable, "there is no Secret Service on the D-Bus session bus", INSTALL)
        }
        name::NO_REPLY | name::DISCONNECTED => (
            ErrorKind::StoreUnavailable,
            "the Secret Service ended in the middle",
            "Try again; if it happens again, look into the log of the keyring service",
        ),
        name::TIMED_OUT => (
            ErrorKind::StoreTimeout,
            "the Secret Service did not start in time",
            "Start the keyring service by hand to see why",
        ),
        name::ACCESS_DENIED => (
            ErrorKind::StoreUnavailable,
            "this program may not talk to the Secret Service",
            "Allow org.freedesktop.secrets in the policy of the bus or of the sandbox",
        ),
        name::NOT_SUPPORTED => (
            ErrorKind::StoreFailed,
            "the Secret Service lacks what is needed, such as encrypted sessions",
            "Use gnome-keyring, KWallet or KeePassXC",
        ),
        name::IS_LOCKED => locked("the keyring was locked in the middle"),
        _ if error.starts_with(name::SPAWN) => {
            (ErrorKind::StoreUnavailable, "the Secret Service could not be started", INSTALL)
        }
        _ => (
            ErrorKind::StoreFailed,
            "the Secret Service reported a failure",
            "Look into the log of the keyring service",
        ),
    }
}

const UNLOCK: &str =
    "Unlock the keyring, for example by signing in with a password or with the desktop's password program";

fn locked(reason: &'static str) -> (ErrorKind, &'static str, &'static str) {
    (ErrorKind::StoreLocked, reason, UNLOCK)
}

/// The keyring is locked; `why` says why it stays so.
pub(super) fn is_locked(why: &str) -> Error {
    Error::new(ErrorKind::StoreLocked, format!("the keyring is locked and {why}")).remedy(UNLOCK)
}

/// The keyring is open, and does not do what it was asked without a person.
pub(super) fn is_unconfirmed(change: &str, why: &str) -> Error {
    let what = format!("the keyring is open, but wants a person to confirm {change}: {why}");
    Error::new(ErrorKind::StoreLocked, what).remedy(
        "Confirm it where a person can be asked, or let programs in without: in KeePassXC, switch the confirmations off \
         under Settings, Secret Service Integration",
    )
}

/// There is no collection for a new item.
pub(super) fn no_default_collection() -> Error {
    Error::new(ErrorKind::StoreUnavailable, "the Secret Service has no default collection").remedy(
        "Create a keyring and make it the default with the desktop's password program, such as Seahorse; \
         with KeePassXC, open the database and choose a group under Database settings, Secret Service Integration",
    )
}
