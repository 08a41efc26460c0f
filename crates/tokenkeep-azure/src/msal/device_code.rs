//! Signs a user in with a code on another device.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use azure_core::error::{Error, ErrorKind};
use azure_core::http::Context;
use azure_core::sleep::sleep;
use tokenkeep::inspect::printable;

use super::answer::SignIn;
use super::service::{Answer, Service};

/// The code and the text to show to the user who signs in.
///
/// ```
/// use tokenkeep_azure::{DeviceCode, Prompt};
///
/// fn show(code: &DeviceCode) {
///     let minutes = code.lifetime.as_secs() / 60;
///     eprintln!("Within {minutes} minutes, enter {} at {}", code.user_code, code.verification_uri);
/// }
/// let prompt = Prompt::new(show);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeviceCode {
    /// The code to enter.
    pub user_code: String,
    /// The web address at which to enter it.
    pub verification_uri: String,
    /// A whole sentence with both, written by the service.
    pub message: String,
    /// How long the code is valid.
    pub lifetime: Duration,
}

/// Shows a [`DeviceCode`] to the user: prints it, for example, or opens a browser. It is called on the task that
/// requests a token, so it must not block.
///
/// ```
/// use tokenkeep_azure::Prompt;
///
/// let prompt = Prompt::new(|code| eprintln!("{}", code.message));
/// ```
#[derive(Clone)]
pub struct Prompt(Arc<Show>);

type Show = dyn Fn(&DeviceCode) + Send + Sync;

impl Prompt {
    /// Creates a prompt that calls `show`.
    pub fn new(show: impl Fn(&DeviceCode) + Send + Sync + 'static) -> Self {
        Self(Arc::new(show))
    }
}

impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Prompt")
    }
}

/// RFC 8628: the pause grows by this time when the service says `slow_down`.
const SLOWER: Duration = Duration::from_secs(5);

/// Nobody signs in a day later.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Signs a user in.
pub(super) async fn sign_in(
    service: &Service,
    prompt: &Prompt,
    scopes: &[&str],
    login_hint: Option<&str>,
    context: &Context<'_>,
) -> azure_core::Result<SignIn> {
    let began = Instant::now();
    let code = match service.device_code(scopes, login_hint, context).await? {
        Answer::Granted(code) => code,
        Answer::Refused(refusal) => {
            return Err(failed(format!("the sign-in service gives no device code: {}", refusal.explain())));
        }
    };
    (prompt.0)(&DeviceCode {
        user_code: printable(&code.user_code),
        verification_uri: printable(&code.verification_uri),
        message: printable(&code.message),
        lifetime: code.expires_in.min(LONGEST),
    });
    let lifetime = code.expires_in.min(LONGEST);
    let mut pause = code.interval.min(lifetime);
    loop {
        sleep(pause.try_into().unwrap_or(azure_core::time::Duration::seconds(5))).await;
        match service.redeem_device_code(&code.device_code, context).await {
            Ok(Answer::Granted(sign_in)) => return Ok(sign_in),
            Ok(Answer::Refused(refusal)) => match &*refusal.error {
                "authorization_pending" => {}
                "slow_down" => pause = pause.saturating_add(SLOWER),
                _ => return Err(failed(format!("the sign-in did not succeed: {}", refusal.explain()))),
            },
            // The user may be signing in at this moment, and the code stays valid while the network fails for a time.
            Err(error) if began.elapsed().saturating_add(pause) < lifetime && is_of_the_moment(&error) => {}
            Err(error) => return Err(error),
        }
        if began.elapsed().saturating_add(pause) >= lifetime {
            return Err(failed("nobody signed in before the code expired".to_owned()));
        }
    }
}

/// Returns whether a repeated request may succeed: the network failed, or the service is down.
pub(super) fn is_of_the_moment(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::Io | ErrorKind::Connection => true,
        ErrorKind::HttpResponse { status, .. } => status.is_server_error() || u16::from(*status) == 429,
        _ => false,
    }
}

pub(super) fn failed(message: String) -> Error {
    Error::with_message(ErrorKind::Credential, message)
}
