//! A sign-in service that is strict like the real one: refresh tokens rotate, a second use of one ends the whole
//! sign-in, and a test can order every kind of failure.
//!
//! | request | answer |
//! | --- | --- |
//! | `GET /common/discovery/instance` | the hosts that are one cloud |
//! | `GET /{tenant}/v2.0/.well-known/openid-configuration` | the addresses below |
//! | `POST /{tenant}/oauth2/v2.0/devicecode` | a code that the person named by `login_hint` approves by itself |
//! | `POST /{tenant}/oauth2/v2.0/token` | tokens for a device code or a refresh token, or an ordered fault |

use std::collections::{HashMap, VecDeque};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use azure_core::base64::encode_url_safe;
use serde_json::{Value, json};

/// The answer to a token request in place of tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Pending,
    SlowDown,
    InteractionRequired,
    InvalidGrant,
    /// With `Retry-After: 1`.
    TooMany,
    Unavailable,
    /// The connection is closed without an answer.
    HangUp,
}

/// The settings of the service and its records.
#[derive(Default)]
pub(crate) struct Behaviour {
    /// Seconds for which access tokens are valid.
    pub(crate) lifetime: u64,
    /// Sent in its place.
    pub(crate) odd_lifetime: Option<serde_json::Value>,
    /// Stands in the texts of a device code, whose sign-in it also ends, as a refusal.
    pub(crate) odd_text: Option<String>,
    /// Seconds after which they should be replaced.
    pub(crate) refresh_in: Option<u64>,
    /// Seconds by which the service's clock is ahead.
    pub(crate) skew: i64,
    /// Ordered faults, each for one grant, in order.
    pub(crate) faults: VecDeque<(&'static str, Fault)>,
    /// The token requests, by grant.
    pub(crate) seen: Vec<String>,
    /// Called while a refresh token is being redeemed, before the answer.
    pub(crate) on_refresh: Option<Hook>,
    /// Called as soon as the answer with new tokens has been written.
    pub(crate) answered: Option<Hook>,
    /// The user who will approve each code, and the scopes.
    codes: HashMap<String, (String, String)>,
    refresh_tokens: HashMap<String, Chain>,
    numbers: u64,
}

pub(crate) type Hook = Arc<dyn Fn() + Send + Sync>;

/// The sign-in that a refresh token belongs to, and whether it was redeemed.
#[derive(Clone)]
struct Chain {
    user: String,
    sign_in: u64,
    spent: bool,
}

/// A running service. It ends with the process.
#[derive(Clone)]
pub(crate) struct Service {
    behaviour: Arc<Mutex<Behaviour>>,
    pub(crate) origin: String,
}

impl Service {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let behaviour = Arc::new(Mutex::new(Behaviour { lifetime: 3600, ..Behaviour::default() }));
        let service = Self { behaviour, origin };
        let serving = service.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let service = serving.clone();
                thread::spawn(move || service.serve(stream));
            }
        });
        service
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.behaviour());
    }

    pub(crate) fn fail(&self, grant: &'static str, faults: &[Fault]) {
        self.behaviour().faults.extend(faults.iter().map(|fault| (grant, *fault)));
    }

    /// Returns the number of token requests with this grant, with any outcome.
    pub(crate) fn count(&self, grant: &str) -> usize {
        self.behaviour().seen.iter().filter(|seen| *seen == grant).count()
    }

    pub(crate) fn requests(&self) -> usize {
        self.behaviour().seen.len()
    }

    /// Returns a refresh token for a user who signed in elsewhere.
    pub(crate) fn refresh_token_for(&self, user: &str) -> String {
        let mut behaviour = self.behaviour();
        let sign_in = behaviour.number();
        behaviour.new_refresh_token(user, sign_in)
    }

    /// Returns whether a refresh token is still valid.
    pub(crate) fn takes(&self, token: &str) -> bool {
        self.behaviour().refresh_tokens.get(token).is_some_and(|chain| !chain.spent)
    }

    fn behaviour(&self) -> MutexGuard<'_, Behaviour> {
        self.behaviour.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, stream: TcpStream) {
        // A client that was killed is expected.
        let Ok(Some((target, form))) = read_request(&stream) else { return };
        let Some((status, body)) = self.answer(&target, &form) else { return };
        let gave_tokens = status == 200 && body.get("access_token").is_some();
        let body = body.to_string();
        let retry = if status == 429 { "Retry-After: 1\r\n" } else { "" };
        let mut stream = stream;
        let written = write!(
            stream,
            "HTTP/1.1 {status} X\r\n{retry}Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        );
        if written.is_ok() && gave_tokens {
            let hook = self.behaviour().answered.clone();
            hook.iter().for_each(|hook| hook());
        }
    }

    fn answer(&self, target: &str, form: &HashMap<String, String>) -> Option<(u16, Value)> {
        let path = target.split('?').next().unwrap_or_default();
        let tenant = path.split('/').nth(1).unwrap_or_default();
        let authority = format!("https://login.microsoftonline.com/{tenant}");
        if path.ends_with("/discovery/instance") {
            let names =
                ["login.microsoftonline.com", "login.windows.net", "login.microsoft.com", "sts.windows.net"];
            let cloud =
                json!({ "preferred_network": names[0], "preferred_cache": names[1], "aliases": names });
            return Some((200, json!({ "metadata": [cloud] })));
        }
        if path.ends_with("/.well-known/openid-configuration") {
            return Some((
                200,
                json!({
                    "issuer": format!("{authority}/v2.0"),
                    "token_endpoint": format!("{authority}/oauth2/v2.0/token"),
                    "authorization_endpoint": format!("{authority}/oauth2/v2.0/authorize"),
                    "device_authorization_endpoint": format!("{authority}/oauth2/v2.0/devicecode"),
                }),
            ));
        }
        if path.ends_with("/oauth2/v2.0/devicecode") {
            return Some((200, self.behaviour().device_code(form)));
        }
        if path.ends_with("/oauth2/v2.0/token") {
            return self.token(form);
        }
        Some((404, json!({ "error": "not_found" })))
    }

    fn token(&self, form: &HashMap<String, String>) -> Option<(u16, Value)> {
        let grant = form
            .get("grant_type")
            .map_or("", |grant| grant.rsplit(':').next().unwrap_or_default())
            .to_owned();
        let hook = {
            let mut behaviour = self.behaviour();
            behaviour.seen.push(grant.clone());
            if behaviour.faults.front().is_some_and(|fault| fault.0 == grant) {
                let (_, fault) = behaviour.faults.pop_front().unwrap();
                return faulty(fault);
            }
            behaviour.on_refresh.clone().filter(|_| grant == "refresh_token")
        };
        hook.iter().for_each(|hook| hook());
        let mut behaviour = self.behaviour();
        let scope = form.get("scope").cloned().unwrap_or_default();
        if let Some(odd) = &behaviour.odd_text {
            return Some(refusal(&format!("access_denied{odd}"), ""));
        }
        match &*grant {
            "device_code" => match behaviour.codes.remove(form.get("device_code")?) {
                Some((user, scope)) => {
                    let sign_in = behaviour.number();
                    Some((200, behaviour.tokens(&user, sign_in, &scope)))
                }
                None => Some(refusal("expired_token", "")),
            },
            "refresh_token" => Some(behaviour.redeem(form.get("refresh_token")?, &scope)),
            _ => Some(refusal("unsupported_grant_type", "")),
        }
    }
}

impl Behaviour {
    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Forgets a refresh token, as after another client has redeemed it.
    pub(crate) fn forget(&mut self, token: &str) {
        self.refresh_tokens.remove(token).expect("the token was given out");
    }

    fn device_code(&mut self, form: &HashMap<String, String>) -> Value {
        let user = form.get("login_hint").filter(|hint| !hint.is_empty());
        let code = format!("device code {}", self.number());
        let user = user.map_or("ada@contoso.example", |user| user).to_owned();
        let scope = form.get("scope").cloned().unwrap_or_default();
        self.codes.insert(code.clone(), (user, scope));
        let odd = self.odd_text.clone().unwrap_or_default();
        json!({
            "device_code": code,
            "user_code": format!("ABCD-EFGH{odd}"),
            "verification_uri": format!("https://microsoft.com/devicelogin{odd}"),
            "message": format!("Open the page and enter ABCD-EFGH.{odd}"),
            "expires_in": "900",
            "interval": 0,
        })
    }

    fn new_refresh_token(&mut self, user: &str, sign_in: u64) -> String {
        let token = format!("refresh token {} of {user}", self.number());
        self.refresh_tokens.insert(token.clone(), Chain { user: user.to_owned(), sign_in, spent: false });
        token
    }

    fn redeem(&mut self, token: &str, scope: &str) -> (u16, Value) {
        let Some(chain) = self.refresh_tokens.get_mut(token) else {
            return refusal("invalid_grant", "bad_token");
        };
        let Chain { user, sign_in, spent } = chain.clone();
        chain.spent = true;
        if spent {
            // It was stolen, or two processes redeemed it: end the whole sign-in.
            self.refresh_tokens.retain(|_, other| other.sign_in != sign_in);
            return refusal("invalid_grant", "bad_token");
        }
        (200, self.tokens(&user, sign_in, scope))
    }

    fn tokens(&mut self, user: &str, sign_in: u64, scope: &str) -> Value {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let now = i64::try_from(now).unwrap() + self.skew;
        let name = user.split('@').next().unwrap_or_default();
        let (object, tenant) = (format!("object-of-{name}"), "tenant-of-contoso");
        let claims = json!({
            "oid": object, "tid": tenant, "sub": object, "preferred_username": user, "name": name,
            "iat": now, "nbf": now, "exp": now + 3600, "iss": "https://login.microsoftonline.com/tenant/v2.0",
        });
        let part = |value: &Value| encode_url_safe(value.to_string()).trim_end_matches('=').to_owned();
        json!({
            "token_type": "Bearer",
            "scope": scope,
            "expires_in": self.odd_lifetime.clone().unwrap_or_else(|| self.lifetime.into()),
            "ext_expires_in": self.odd_lifetime.clone().unwrap_or_else(|| self.lifetime.into()),
            "refresh_in": self.refresh_in,
            "access_token": format!("access token {} of {user}", self.number()),
            "refresh_token": self.new_refresh_token(user, sign_in),
            "id_token": format!("{}.{}.none", part(&json!({ "alg": "none" })), part(&claims)),
            "client_info": part(&json!({ "uid": object, "utid": tenant })),
            "foci": "",
        })
    }
}

fn refusal(error: &str, suberror: &str) -> (u16, Value) {
    let description = format!("AADSTS00000: {error}\r\nTrace ID: 1");
    (400, json!({ "error": error, "error_description": description, "suberror": suberror }))
}

fn faulty(fault: Fault) -> Option<(u16, Value)> {
    Some(match fault {
        Fault::Pending => refusal("authorization_pending", ""),
        Fault::SlowDown => refusal("slow_down", ""),
        Fault::InteractionRequired => refusal("interaction_required", "basic_action"),
        Fault::InvalidGrant => refusal("invalid_grant", "bad_token"),
        Fault::TooMany => (429, json!({ "error": "temporarily_unavailable" })),
        Fault::Unavailable => (503, json!({ "error": "temporarily_unavailable" })),
        Fault::HangUp => return None,
    })
}

/// Reads the target and the form of a request; `None` for a connection without a request.
fn read_request(stream: &TcpStream) -> io::Result<Option<(String, HashMap<String, String>)>> {
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    if reader.read_line(&mut first)? == 0 {
        return Ok(None);
    }
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        if let Some(text) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = text.trim().parse().unwrap_or(0);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let form = url::form_urlencoded::parse(&body).into_owned().collect();
    Ok(Some((first.split(' ').nth(1).unwrap_or_default().to_owned(), form)))
}
