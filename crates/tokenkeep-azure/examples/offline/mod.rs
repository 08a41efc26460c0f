//! A transport for machines without the real services: it sends requests for every host to one address.
//!
//! The clients of the Azure SDK demand https addresses. They keep the real addresses, and only the transport changes.

use std::sync::Arc;

use azure_core::error::{Error, ErrorKind};
use azure_core::http::{AsyncRawResponse, HttpClient, Request, Transport, Url, new_http_client};

/// Tells the service the host of the request.
const HOST: &str = "x-signin-host";

/// Sends requests to another address.
#[derive(Debug)]
struct Offline {
    origin: Url,
    client: Arc<dyn HttpClient>,
}

/// Returns a transport to `origin`, for example `http://127.0.0.1:8080`.
pub(crate) fn transport(origin: &str) -> azure_core::Result<Transport> {
    let origin = Url::parse(origin)
        .map_err(|error| Error::with_error(ErrorKind::Other, error, "the origin is no address"))?;
    Ok(Transport::new(Arc::new(Offline { origin, client: new_http_client(None) })))
}

#[async_trait::async_trait]
impl HttpClient for Offline {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let mut address = self.origin.clone();
        address.set_path(request.url().path());
        address.set_query(request.url().query());
        let mut there = Request::new(address, request.method());
        for (name, value) in request.headers().iter() {
            there.insert_header(name.clone(), value.clone());
        }
        there.insert_header(HOST, request.url().host_str().unwrap_or_default().to_owned());
        there.set_body(request.body().clone());
        self.client.execute_request(&there).await
    }
}
