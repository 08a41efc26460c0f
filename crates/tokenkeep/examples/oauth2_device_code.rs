//! The `oauth2` crate with a device code, and its token in a cache: the second run needs no sign-in.
//!
//! `cargo run --example oauth2_device_code -- CACHE`
//!
//! The content is that crate's own JSON, not the cache of an MSAL library, so it is replaced as a whole. The sign-in
//! service is a few lines below; for a real one, change the three addresses and give `oauth2` an HTTP client with
//! TLS.

use std::collections::HashMap;
use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

use oauth2::basic::{BasicClient, BasicTokenResponse};
use oauth2::http::{HeaderValue, Response, header::CONTENT_TYPE};
use oauth2::{
    ClientId, DeviceAuthorizationUrl, HttpRequest, HttpResponse, Scope, StandardDeviceAuthorizationResponse,
    TokenResponse, TokenUrl,
};
use tokenkeep::{TokenCache, storage::FilePersistence};

#[allow(clippy::print_stdout, reason = "an example may print")]
fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("where is the cache?")?;
    // A program of yours would rather say tokenkeep::Config::new("my-app").open()?
    let cache = TokenCache::new(FilePersistence::new(path)?);

    if let Some(content) = cache.read()? {
        let token: BasicTokenResponse = serde_json::from_slice(content.expose())?;
        println!("signed in already; the token has {} bytes", token.access_token().secret().len());
        return Ok(());
    }

    let origin = serve()?;
    let client = BasicClient::new(ClientId::new("my-app".to_owned()))
        .set_token_uri(TokenUrl::new(format!("{origin}/token"))?)
        .set_device_authorization_url(DeviceAuthorizationUrl::new(format!("{origin}/device"))?);
    // The lock keeps other processes from signing in at the same time: the next one finds the token.
    let write = cache.begin_write()?;
    let code: StandardDeviceAuthorizationResponse =
        client.exchange_device_code().add_scope(Scope::new("read".to_owned())).request(&send)?;
    println!("open {} and enter {}", code.verification_uri().as_str(), code.user_code().secret());
    let token = client.exchange_device_access_token(&code).request(&send, thread::sleep, None)?;
    write.commit(serde_json::to_vec(&token)?)?;
    println!("signed in");
    Ok(())
}

/// One request over a plain connection.
fn send(request: HttpRequest) -> Result<HttpResponse, io::Error> {
    let host = request.uri().authority().map(ToString::to_string).unwrap_or_default();
    let mut stream = TcpStream::connect(&host)?;
    write!(
        stream,
        "POST {} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        request.uri().path(),
        request.body().len()
    )?;
    stream.write_all(request.body())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let status: u16 = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(500);
    let mut response = Response::new(body.as_bytes().to_vec());
    *response.status_mut() = status.try_into().map_err(io::Error::other)?;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}

/// A sign-in service that approves every code at the second request.
fn serve() -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let origin = format!("http://{}", listener.local_addr()?);
    thread::spawn(move || {
        let mut asked = 0;
        for stream in listener.incoming().flatten() {
            // The loss of one client must not stop the server.
            drop(answer(stream, &mut asked));
        }
    });
    Ok(origin)
}

fn answer(mut stream: TcpStream, asked: &mut u32) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = HashMap::new();
    let mut first = String::new();
    reader.read_line(&mut first)?;
    for line in reader.by_ref().lines() {
        let line = line?;
        match line.split_once(": ") {
            Some((name, value)) => _ = head.insert(name.to_ascii_lowercase(), value.to_owned()),
            None => break,
        }
    }
    let length = head.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    reader.take(length).read_to_end(&mut Vec::new())?;
    let (status, body) = if first.contains("/device") {
        let code = r#"{"device_code":"d","user_code":"ABCD-EFGH","verification_uri":"https://example.com/device","expires_in":60,"interval":1}"#;
        (200, code)
    } else if std::mem::replace(asked, 1) == 0 {
        (400, r#"{"error":"authorization_pending"}"#)
    } else {
        (
            200,
            r#"{"access_token":"a token","token_type":"bearer","expires_in":3600,"refresh_token":"another"}"#,
        )
    };
    write!(
        stream,
        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}
