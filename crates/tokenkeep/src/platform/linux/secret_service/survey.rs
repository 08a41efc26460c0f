//! Reads the state of the Secret Service without accessing an item: its process and its default collection. For tools
//! that explain why a keyring works or does not.

use std::sync::mpsc;
use std::time::Duration;

use super::bus::{Bus, BusError, Deadline};
use super::failure::Failure;
use super::service::Overview;
use super::worker;
use crate::Error;
use crate::platform::process;
use crate::text::printable;

/// The time by which a survey may exceed its deadline.
const GRACE: Duration = Duration::from_millis(500);

/// The state of a machine's Secret Service, as far as it could be read.
///
/// ```no_run
/// use std::time::Duration;
/// use tokenkeep::inspect::SecretServiceSurvey;
///
/// let survey = SecretServiceSurvey::take(Duration::from_secs(3));
/// if let Some(failure) = &survey.failure {
///     eprintln!("the keyring cannot be used: {failure}");
/// }
/// let elsewhere = SecretServiceSurvey::on_bus("unix:path=/run/user/1000/bus", Duration::from_secs(3));
/// ```
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct SecretServiceSurvey {
    /// Whether the session bus accepted this process.
    pub bus: bool,
    /// The process that provides the service; `None` if there is none, or the bus does not say.
    pub provider: Option<SecretServiceProvider>,
    /// The collection for new items; `None` if there is none.
    pub default_collection: Option<SecretServiceCollection>,
    /// The error that ended the survey: `StoreUnavailable`, `StoreTimeout`, `StoreFailed`, `Io`. The fields read
    /// before it are valid.
    pub failure: Option<Error>,
}

/// A process that provides the Secret Service.
///
/// ```
/// use tokenkeep::inspect::SecretServiceProvider;
///
/// fn tell(provider: &SecretServiceProvider) {
///     println!("{} has the keyring", provider.command.as_deref().unwrap_or("a process without a name"));
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecretServiceProvider {
    /// Its process id on the bus.
    pub pid: u32,
    /// Its short name, such as `gnome-keyring-d`, if known.
    pub command: Option<String>,
}

/// A collection of the Secret Service: a keyring, in the user's words.
///
/// ```
/// use tokenkeep::inspect::SecretServiceCollection;
///
/// fn tell(keyring: &SecretServiceCollection) {
///     println!("{} is {}", keyring.label, if keyring.locked { "locked" } else { "open" });
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SecretServiceCollection {
    /// The name that users see, such as `Login`; empty if it has none.
    pub label: String,
    /// Whether its items cannot be read until the user unlocks it.
    pub locked: bool,
    /// Whether it is lost, with its items, when the user logs out.
    pub ends_with_login: bool,
}

impl SecretServiceSurvey {
    /// Reads the state of the Secret Service on the session bus, for at most about `deadline`. Starts the service if
    /// the bus can, like any use of it; never unlocks anything and never prompts.
    pub fn take(deadline: Duration) -> Self {
        Self::on(None, deadline)
    }

    /// Like [`SecretServiceSurvey::take`], on another bus, by its D-Bus address.
    pub fn on_bus(address: impl Into<String>, deadline: Duration) -> Self {
        Self::on(Some(address.into()), deadline)
    }

    fn on(address: Option<String>, limit: Duration) -> Self {
        let deadline = Deadline::after(limit);
        let (reply, answer) = mpsc::channel();
        // A connection belongs to the thread that created it, and a stuck thread can be abandoned.
        let look = move || {
            zruntime::block_on(look(address.as_deref(), &deadline, &mut |survey| {
                // The caller may have given up.
                let _ = reply.send(survey);
            }));
        };
        let started = std::thread::Builder::new().name("tokenkeep-survey".to_owned()).spawn(look);
        if let Err(error) = started {
            let failure = Failure::Bus(BusError::System(error)).into_service_error();
            return Self { failure: Some(failure), ..Self::default() };
        }
        match answer.recv_timeout(limit.saturating_add(GRACE)) {
            Ok(survey) => survey,
            Err(_) => {
                Self { failure: Some(worker::stuck(&deadline).into_service_error()), ..Self::default() }
            }
        }
    }
}

async fn look(address: Option<&str>, deadline: &Deadline, report: &mut dyn FnMut(SecretServiceSurvey)) {
    let mut survey = SecretServiceSurvey::default();
    let outcome = fill(&mut survey, address, deadline).await;
    survey.failure = outcome.err().map(|error| Failure::Bus(error).into_service_error());
    report(survey);
}

async fn fill(
    survey: &mut SecretServiceSurvey,
    address: Option<&str>,
    deadline: &Deadline,
) -> Result<(), BusError> {
    let overview = Overview::of(Bus::connect(address, deadline).await?);
    survey.bus = true;
    // The bus answers this even if the service hangs. A service that is not running yet is not a failure: the
    // introduction starts it.
    survey.provider = overview.provider(deadline).await.ok().map(provider);
    overview.introduce(deadline).await?;
    let collection = overview.default_collection(deadline).await?;
    if survey.provider.is_none() {
        survey.provider = overview.provider(deadline).await.ok().map(provider);
    }
    survey.default_collection = match collection {
        Some(path) => Some(SecretServiceCollection {
            // A service does not have to keep a label, or to know the alias of the session.
            label: match overview.label(&path, deadline).await {
                Err(error) if error.is_of_the_service() => String::new(),
                label => printable(&label?),
            },
            locked: overview.is_locked(&path, deadline).await?,
            ends_with_login: match overview.ends_with_login(&path, deadline).await {
                Err(error) if error.is_of_the_service() => false,
                ends => ends?,
            },
        }),
        None => None,
    };
    Ok(())
}

fn provider(pid: u32) -> SecretServiceProvider {
    SecretServiceProvider { pid, command: process::command(pid).map(|name| printable(&name)) }
}
