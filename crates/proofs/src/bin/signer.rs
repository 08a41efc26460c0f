//! The Rust process of `bindings/node/test/mixed`, beside Node, the original and Python on one cache file.
//!
//! `tokenkeep-proofs-signer sign-in PATH WITNESS NAME COUNT` waits for a line, then signs in COUNT accounts, one
//! transaction each. `tokenkeep-proofs-signer read PATH` reads until its standard input closes. Both report in lines
//! of JSON, which the tests check.

use std::error::Error;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, thread};

use serde_json::{Map, Value, json};
use tokenkeep::{ErrorKind, TokenCache, storage::FilePersistence};
use tokenkeep_proofs::history::now;

type Fallible<T> = Result<T, Box<dyn Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["sign-in", path, witness, name, count] => sign_in_all(path.into(), witness.as_ref(), name, count),
        ["read", path] => read_on(path.into()),
        _ => Err("sign-in PATH WITNESS NAME COUNT, or read PATH".into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The reader of the lines may have gone; the exit code reports the failure as well.
            let _ = tell(&json!({ "at": "broken", "error": error.to_string() }));
            ExitCode::FAILURE
        }
    }
}

fn sign_in_all(path: PathBuf, witness: &Path, name: &str, count: &str) -> Fallible<()> {
    let cache = TokenCache::new(FilePersistence::new(path)?);
    let count: u32 = count.parse()?;
    tell(&json!({ "at": "ready" }))?;
    io::stdin().lock().read_line(&mut String::new())?;
    for index in 0..count {
        let person = format!("{name}-{index}");
        let begun = now();
        sign_in(&cache, witness, name, &person)?;
        tell(&json!({
            "at": "signed-in", "person": person, "id": format!("{person}.utid"), "begun": begun, "time": now(),
        }))?;
    }
    Ok(())
}

/// Runs one transaction. The witness exists from the lock to the commit; every process of the test checks it.
fn sign_in(cache: &TokenCache, witness: &Path, name: &str, person: &str) -> Fallible<()> {
    let mut access = cache.begin_write()?;
    let entered = now();
    let met = enter(witness, name)?;
    let stored = serde_json::from_slice(access.content().unwrap_or(b"{}"));
    let there = stored.as_ref().ok().map(entries);
    let mut content: Value = match stored {
        Ok(content) => content,
        // Two siblings wrote the file at once and damaged it. Keep a copy and go on, like every client.
        Err(error) => {
            access.set_aside(&error.to_string())?;
            json!({})
        }
    };
    let found = entries(&content);
    add(&mut content, person)?;
    let saving = now();
    if met.is_none() {
        fs::remove_file(witness)?;
    }
    let snapshot = access.commit(serde_json::to_vec(&content)?)?;
    let saved = now();
    let wrote = serde_json::from_slice(snapshot.content.as_ref().map_or(b"{}", |content| content.expose()))?;
    Ok(tell(&json!({
        "at": "wrote", "entered": entered, "saving": saving, "saved": saved,
        "there": there, "found": found, "wrote": entries(&wrote), "met": met,
    }))?)
}

/// Creates a link named `witness` that names this process, and returns the name in a witness that existed already.
#[cfg(unix)]
fn enter(witness: &Path, name: &str) -> io::Result<Option<String>> {
    match std::os::unix::fs::symlink(name, witness) {
        Ok(()) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Some(
            // The other process may remove the link between the two calls; it was inside all the same.
            fs::read_link(witness).map_or("unknown".into(), |owner| owner.to_string_lossy().into_owned()),
        )),
        Err(error) => Err(error),
    }
}

/// Creates a file, on systems where links need a privilege.
#[cfg(not(unix))]
fn enter(witness: &Path, name: &str) -> io::Result<Option<String>> {
    match fs::File::create_new(witness) {
        Ok(mut file) => file.write_all(name.as_bytes()).map(|()| None),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Ok(Some(fs::read_to_string(witness).unwrap_or("unknown".into())))
        }
        Err(error) => Err(error),
    }
}

/// Reads in a loop. Each read must give a whole cache or "busy", or is reported as unreadable.
fn read_on(path: PathBuf) -> Fallible<()> {
    let cache = TokenCache::new(FilePersistence::new(&path)?);
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    tell(&json!({ "at": "ready" }))?;
    thread::Builder::new().name("stdin".into()).spawn(move || {
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        told.store(true, Ordering::Relaxed);
    })?;
    let (mut reads, mut busy, mut unreadable, mut most, mut shrunk) = (0_u64, 0_u64, Vec::new(), 0, 0_u64);
    let mut damaged = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        reads += 1;
        match cache.read() {
            Ok(content) => match whole(content.as_ref().map(|content| content.expose())) {
                Ok(people) if people < most => shrunk += 1,
                Ok(people) => most = people,
                // Content that stays is damage by another writer, not a half-written file.
                Err(_) if content.as_ref().is_some_and(|content| lies_there(&path, content.expose())) => {
                    damaged += 1;
                }
                Err(what) => unreadable.push(what),
            },
            Err(error) if error.kind() == ErrorKind::Busy => busy += 1,
            Err(error) => unreadable.push(format!("{}: {error}", error.kind())),
        }
        // Leave processor time to the other processes.
        thread::sleep(std::time::Duration::from_micros(300));
    }
    Ok(tell(&json!({
        "at": "read", "reads": reads, "busy": busy, "damaged": damaged, "unreadable": unreadable, "shrunk": shrunk,
    }))?)
}

/// Returns whether the file still has this content after a while.
fn lies_there(path: &Path, content: &[u8]) -> bool {
    thread::sleep(std::time::Duration::from_millis(20));
    fs::read(path).is_ok_and(|bytes| bytes == content && !bytes.is_empty())
}

/// Returns the number of accounts in a cache. The test starts with one account, so that no content is wrong too.
fn whole(content: Option<&[u8]>) -> Result<usize, String> {
    let content = content.ok_or("no cache")?;
    let cache: Value =
        serde_json::from_slice(content).map_err(|error| format!("{error} in {} bytes", content.len()))?;
    cache.as_object().map(|_| people(&cache).len()).ok_or_else(|| "not an object".into())
}

/// Returns the entries that the test counts, as `judge.mjs` does: each account and its refresh token.
fn entries(cache: &Value) -> Vec<String> {
    let ids = |what: &'static str, section: &str| {
        let entries = cache[section].as_object().into_iter().flat_map(Map::values);
        let ids: Vec<_> = entries
            .filter_map(|entry| Some(format!("{what} {}", entry["home_account_id"].as_str()?)))
            .collect();
        ids
    };
    [ids("account", "Account"), ids("token", "RefreshToken")].concat()
}

/// Returns the accounts that are signed in: those with a refresh token.
fn people(cache: &Value) -> Vec<String> {
    let section = |name: &str| cache[name].as_object().into_iter().flat_map(Map::values);
    let tokens: Vec<_> = section("RefreshToken").map(|token| &token["home_account_id"]).collect();
    section("Account")
        .filter(|account| tokens.contains(&&account["home_account_id"]))
        .filter_map(|account| account["username"].as_str().map(str::to_owned))
        .collect()
}

fn add(cache: &mut Value, person: &str) -> Fallible<()> {
    let id = format!("{person}.utid");
    let common = json!({ "home_account_id": id, "environment": "login.windows.net" });
    let with = |more: Value| -> Value {
        let both = [&common, &more].into_iter().filter_map(Value::as_object).flatten();
        Value::Object(both.map(|(key, value)| (key.clone(), value.clone())).collect())
    };
    put(
        cache,
        "Account",
        format!("{id}-login.windows.net-utid"),
        with(json!({
            "realm": "utid", "local_account_id": person, "username": person, "authority_type": "MSSTS",
        })),
    )?;
    put(
        cache,
        "RefreshToken",
        format!("{id}-login.windows.net-refreshtoken-client----"),
        with(json!({
            "credential_type": "RefreshToken", "client_id": "client", "secret": format!("secret of {person}"),
        })),
    )
}

fn put(cache: &mut Value, section: &str, key: String, entry: Value) -> Fallible<()> {
    let root = cache.as_object_mut().ok_or("the cache is not an object")?;
    let section = root.entry(section).or_insert_with(|| json!({}));
    section.as_object_mut().ok_or("a section is not an object")?.insert(key, entry);
    Ok(())
}

fn tell(line: &Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
