//! The sign-in service: its addresses and the requests of this crate.

use std::time::{Duration, SystemTime};

use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::{self, content_type};
use azure_core::http::{
    ClientOptions, Context, Method, Pipeline, PipelineSendOptions, RawResponse, Request, Url,
};
use azure_core::json;
use serde::Deserialize;
use tokenkeep::Secret;
use url::form_urlencoded::Serializer;

use super::answer::{Refusal, SignIn, Tokens, seconds};
use crate::limit::{REQUEST, within};

/// Scopes of every sign-in: the identity of the user, and a refresh token.
const ALWAYS: [&str; 3] = ["openid", "profile", "offline_access"];

/// One tenant of a sign-in service, for one application.
#[derive(Debug)]
pub(super) struct Service {
    tokens: Url,
    device_codes: Url,
    client_id: String,
    pipeline: Pipeline,
}

/// An answer of the service, success or refusal.
pub(super) enum Answer<T> {
    Granted(T),
    Refused(Refusal),
}

/// A device code as the service sends it.
#[derive(Deserialize)]
pub(super) struct DeviceCodeAnswer {
    pub(super) device_code: String,
    pub(super) user_code: String,
    #[serde(alias = "verification_url")]
    pub(super) verification_uri: String,
    #[serde(default)]
    pub(super) message: String,
    #[serde(default = "quarter_of_an_hour", deserialize_with = "seconds")]
    pub(super) expires_in: Duration,
    #[serde(default = "five_seconds", deserialize_with = "seconds")]
    pub(super) interval: Duration,
}

fn quarter_of_an_hour() -> Duration {
    Duration::from_secs(15 * 60)
}

/// The default interval of RFC 8628.
fn five_seconds() -> Duration {
    Duration::from_secs(5)
}

impl Service {
    pub(super) fn new(
        authority_host: &Url,
        tenant: &str,
        client_id: &str,
        options: ClientOptions,
    ) -> azure_core::Result<Self> {
        let odd = |text: &str| {
            text.is_empty() || !text.chars().all(|c| c.is_ascii_alphanumeric() || "-.".contains(c))
        };
        if odd(tenant) {
            return Err(Error::with_message(
                ErrorKind::Other,
                format!("{tenant:?} is no tenant id or domain"),
            ));
        }
        if client_id.is_empty() {
            return Err(Error::with_message(ErrorKind::Other, "the client id is empty"));
        }
        if authority_host.scheme() != "https" || authority_host.host_str().is_none() {
            return Err(Error::with_message(
                ErrorKind::Other,
                "the address of the sign-in service must be https",
            ));
        }
        let address = |end: &str| {
            authority_host.join(&format!("/{tenant}/oauth2/v2.0/{end}")).map_err(|error| {
                Error::with_error(
                    ErrorKind::Other,
                    error,
                    "the address of the sign-in service cannot be used",
                )
            })
        };
        Ok(Self {
            tokens: address("token")?,
            device_codes: address("devicecode")?,
            client_id: client_id.to_owned(),
            pipeline: Pipeline::new(
                option_env!("CARGO_PKG_NAME"),
                option_env!("CARGO_PKG_VERSION"),
                options,
                Vec::new(),
                Vec::new(),
                None,
            ),
        })
    }

    /// Redeems a refresh token.
    pub(super) async fn refresh(
        &self,
        token: &Secret,
        scopes: &[&str],
        context: &Context<'_>,
    ) -> azure_core::Result<Answer<SignIn>> {
        let token = text(token)?;
        let scope = with_always(scopes);
        let form = [("grant_type", "refresh_token"), ("refresh_token", token), ("scope", &*scope)];
        self.tokens(&form, context).await
    }

    /// Requests a device code.
    pub(super) async fn device_code(
        &self,
        scopes: &[&str],
        login_hint: Option<&str>,
        context: &Context<'_>,
    ) -> azure_core::Result<Answer<DeviceCodeAnswer>> {
        let scope = with_always(scopes);
        let mut form = vec![("scope", &*scope)];
        form.extend(login_hint.map(|hint| ("login_hint", hint)));
        let response = self.post(&self.device_codes, &form, context).await?;
        understood(&response)
    }

    /// Polls whether the user has approved the device code.
    pub(super) async fn redeem_device_code(
        &self,
        code: &str,
        context: &Context<'_>,
    ) -> azure_core::Result<Answer<SignIn>> {
        let grant = "urn:ietf:params:oauth:grant-type:device_code";
        self.tokens(&[("grant_type", grant), ("device_code", code)], context).await
    }

    async fn tokens(
        &self,
        form: &[(&str, &str)],
        context: &Context<'_>,
    ) -> azure_core::Result<Answer<SignIn>> {
        let asked = SystemTime::now();
        let response = self.post(&self.tokens, form, context).await?;
        Ok(match understood::<Tokens>(&response)? {
            Answer::Granted(tokens) => Answer::Granted(tokens.understand(asked)),
            Answer::Refused(refusal) => Answer::Refused(refusal),
        })
    }

    /// Sends a request. The pipeline repeats it while the service is busy, after the time that the service names.
    async fn post(
        &self,
        address: &Url,
        form: &[(&str, &str)],
        context: &Context<'_>,
    ) -> azure_core::Result<RawResponse> {
        // client_info makes the service return the account's identifier.
        let always = [("client_id", &*self.client_id), ("client_info", "1")];
        let body = Serializer::new(String::new()).extend_pairs(always).extend_pairs(form).finish();
        let mut request = Request::new(address.clone(), Method::Post);
        request.insert_header(headers::CONTENT_TYPE, content_type::APPLICATION_X_WWW_FORM_URLENCODED);
        request.insert_header(headers::ACCEPT, "application/json");
        request.set_body(body);
        let options = PipelineSendOptions { skip_checks: true, ..PipelineSendOptions::default() };
        // The lock of the account is held meanwhile, and others wait.
        within(REQUEST, self.pipeline.send(context, &mut request, Some(options))).await
    }
}

/// Returns a token as text.
///
/// # Errors
/// `DataConversion` for bytes that are not UTF-8: replaced by others, they would be another token.
pub(super) fn text(token: &Secret) -> azure_core::Result<&str> {
    std::str::from_utf8(token.expose())
        .map_err(|_| Error::with_message(ErrorKind::DataConversion, "a token is not text in UTF-8"))
}

fn with_always(scopes: &[&str]) -> String {
    let more = ALWAYS.iter().filter(|always| !scopes.iter().any(|scope| scope.eq_ignore_ascii_case(always)));
    scopes.iter().chain(more).copied().collect::<Vec<_>>().join(" ")
}

fn understood<T: serde::de::DeserializeOwned>(response: &RawResponse) -> azure_core::Result<Answer<T>> {
    let status = response.status();
    if status.is_success() {
        return json::from_json(response.body()).map(Answer::Granted).map_err(|_| {
            // Leave out the cause: its text quotes the unreadable answer, which may contain a token.
            Error::with_message(
                ErrorKind::DataConversion,
                "the answer of the sign-in service cannot be understood",
            )
        });
    }
    match json::from_json::<_, Refusal>(response.body()) {
        Ok(refusal) if !refusal.error.is_empty() && status.is_client_error() => Ok(Answer::Refused(refusal)),
        _ => {
            let kind = ErrorKind::HttpResponse { status, error_code: None, raw_response: None };
            Err(Error::with_message(kind, format!("the sign-in service answers {status}")))
        }
    }
}
