//! A cache under the control of a test: one command a line, one line of answer.
//!
//! Answers begin with `ok` or with `err KIND`; bytes are escaped as in a Rust byte string.

use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokenkeep::{
    Error, LockGuard, Persistence, Result, TokenCache, WriteAccess,
    event::Event,
    options::{Durability, OnDamage, WaitOptions},
    storage::FilePersistence,
};

use crate::Outcome;

#[derive(Default)]
pub(crate) struct Held {
    limit: Option<Duration>,
    guard: Option<LockGuard>,
    access: Option<WriteAccess>,
}

pub(crate) fn serve(path: &Path) -> Outcome<()> {
    let events: Arc<Mutex<Vec<String>>> = Arc::default();
    let listener = {
        let events = Arc::clone(&events);
        move |event: &Event| events.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{event:?}"))
    };
    let mut persistence = match FilePersistence::new(path) {
        Ok(persistence) => persistence.on_event(listener.clone()),
        Err(error) => {
            say(&answer(&Err(error)))?;
            return Ok(());
        }
    };
    let open = |persistence: &FilePersistence| {
        let persistence: Arc<dyn Persistence> = Arc::new(persistence.clone());
        TokenCache::with_options(persistence, WaitOptions::default(), OnDamage::default(), listener.clone())
    };
    let mut cache = open(&persistence);
    follow(|verb, rest, held| match verb {
        "cached" => {
            persistence = persistence.clone().durability(Durability::Cached);
            cache = open(&persistence);
            Ok(String::new())
        }
        "events" => {
            let seen: Vec<String> = events.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect();
            Ok(seen.join(" | "))
        }
        "prepare" => persistence.prepare().map(|()| String::new()),
        "verify" => persistence.verify().map(|()| String::new()),
        "info" => Ok(format!("{:?}", cache.info())),
        verb => obey(verb, rest, &cache, held),
    })
}

/// Answers every line of standard input with the result of `reply` for its verb and the rest.
pub(crate) fn follow(mut reply: impl FnMut(&str, &str, &mut Held) -> Result<String>) -> Outcome<()> {
    let mut held = Held::default();
    say("ready")?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (verb, rest) = line.split_once(' ').unwrap_or((&line, ""));
        say(&answer(&reply(verb, rest, &mut held)))?;
    }
    Ok(())
}

pub(crate) fn obey(verb: &str, rest: &str, cache: &TokenCache, held: &mut Held) -> Result<String> {
    let wait = held.limit.map_or_else(WaitOptions::default, WaitOptions::within);
    match verb {
        "limit" => held.limit = rest.parse().ok().map(Duration::from_millis),
        "read" => {
            return Ok(match cache.read()? {
                Some(content) => show(content.expose()),
                None => "none".to_owned(),
            });
        }
        "write" => drop(cache.begin_write_waiting(&wait)?.commit(rest)?),
        // SIZE bytes of 'x' and a full stop, which distinguishes whole content from a prefix.
        "fill" => {
            let mut content = vec![b'x'; rest.parse().unwrap_or(0)];
            content.push(b'.');
            drop(cache.begin_write_waiting(&wait)?.commit(content)?);
        }
        "delete" => return Ok(cache.begin_write_waiting(&wait)?.delete()?.to_string()),
        "acquire" => {
            held.guard = Some(tokenkeep::CacheLock::new(cache.persistence().path())?.acquire(&wait)?);
        }
        "release" => held.guard = None,
        "begin" => {
            let access = cache.begin_write_waiting(&wait)?;
            let seen = access.content().map_or_else(|| "none".to_owned(), show);
            held.access = Some(access);
            return Ok(seen);
        }
        "commit" => {
            if let Some(access) = held.access.take() {
                access.commit(rest)?;
            }
        }
        "drop" => held.access = None,
        other => return Ok(format!("unknown command {other}")),
    }
    Ok(String::new())
}

/// Shows short content in full, long content by its length and ends.
fn show(content: &[u8]) -> String {
    let escape = |bytes: &[u8]| bytes.escape_ascii().to_string();
    match content {
        [] => "empty".to_owned(),
        short if short.len() <= 4096 => escape(short),
        long => format!("{} bytes {}...{}", long.len(), escape(&long[..8]), escape(&long[long.len() - 8..])),
    }
}

pub(crate) fn answer(outcome: &Result<String, Error>) -> String {
    match outcome {
        Ok(text) => format!("ok {text}").trim_end().to_owned(),
        // Debug form of the whole text, so that an answer is one line with any path.
        Err(error) => format!("err {} {:?}", error.kind(), error.to_string()),
    }
}

fn say(line: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}
