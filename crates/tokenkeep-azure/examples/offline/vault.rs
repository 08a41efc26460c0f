//! A server that answers like Key Vault, as far as the example needs: a challenge without a token, a secret with one.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;

/// Serves on a free port of this machine until the process ends; returns the address.
pub(crate) fn start() -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let origin = format!("http://{}", listener.local_addr()?);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // The loss of one client must not stop the server.
            drop(answer(stream));
        }
    });
    Ok(origin)
}

fn answer(stream: TcpStream) -> io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let mut authorized = false;
    for line in &mut lines {
        let line = line?.to_ascii_lowercase();
        authorized |= line.starts_with("authorization: bearer token ");
        if line.is_empty() {
            break;
        }
    }
    let (status, more, body) = if authorized {
        let body = r#"{"id":"https://contoso.vault.azure.net/secrets/greeting/1","value":"hello"}"#;
        ("200 OK", "", body)
    } else {
        let challenge = "WWW-Authenticate: Bearer authorization=\"https://login.microsoftonline.com/contoso\", \
                         resource=\"https://vault.azure.net\"\r\n";
        ("401 Unauthorized", challenge, "{}")
    };
    let mut stream = stream;
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{more}Content-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}
