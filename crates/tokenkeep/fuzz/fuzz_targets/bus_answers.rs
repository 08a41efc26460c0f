//! Any bytes, as what a session bus sends after a right sign-in: an item is loaded and saved over it.
#![no_main]

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use tokenkeep::storage::{Keystore, SecretServiceItem};
use tokenkeep::{ErrorKind, Secret};

static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// The address of a bus that signs everybody in.
fn bus() -> &'static str {
    static BUS: OnceLock<String> = OnceLock::new();
    BUS.get_or_init(|| {
        let folder = PathBuf::from(format!("/tmp/tokenkeep-fuzz-bus-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let socket = folder.join("bus");
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).expect("a socket");
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || serve(stream));
            }
        });
        format!("unix:path={}", socket.display())
    })
}

fn serve(mut stream: UnixStream) {
    let _ = stream.set_read_timeout(Some(Duration::from_secs(2)));
    let mut buffer = [0; 4096];
    // The sign-in, line by line, however the client divides it.
    let mut said = Vec::new();
    'sign_in: loop {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(length) => said.extend_from_slice(&buffer[..length]),
        }
        while let Some(end) = said.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = said.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            let words: Vec<&str> = line.trim_start_matches('\0').split_whitespace().collect();
            let answer: &[u8] = match words.as_slice() {
                ["AUTH", "EXTERNAL"] => b"DATA\r\n",
                ["AUTH", ..] | ["DATA", ..] => b"OK 0123456789abcdef0123456789abcdef\r\n",
                ["NEGOTIATE_UNIX_FD"] => b"AGREE_UNIX_FD\r\n",
                ["BEGIN"] => break 'sign_in,
                _ => b"ERROR\r\n",
            };
            if stream.write_all(answer).is_err() {
                return;
            }
        }
    }
    let answer = ANSWER.lock().map(|answer| answer.clone()).unwrap_or_default();
    let _ = stream.write_all(&answer);
    let _ = stream.flush();
    // Until the client goes.
    while let Ok(length) = stream.read(&mut buffer) {
        if length == 0 {
            return;
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(mut answer) = ANSWER.lock() {
        *answer = bytes.to_vec();
    }
    let limit = Duration::from_millis(20);
    let item = SecretServiceItem::new("fuzz", "item").expect("names").on_bus(bus()).deadline(limit);
    let began = Instant::now();
    let kinds = [
        ErrorKind::StoreTimeout,
        ErrorKind::StoreUnavailable,
        ErrorKind::StoreFailed,
        ErrorKind::StoreLocked,
        ErrorKind::NotVerified,
        ErrorKind::Ambiguous,
    ];
    if let Err(error) = item.load() {
        assert!(kinds.contains(&error.kind()), "{error}");
    }
    if let Err(error) = item.save(&Secret::from(&b"content"[..])) {
        assert!(kinds.contains(&error.kind()), "{error}");
    }
    assert!(began.elapsed() < Duration::from_secs(10), "a call ends");
});
