//! Stores by name: a cache opened from a configuration, and a move from one store to another.

use std::path::Path;
use std::sync::Arc;

use tokenkeep::key_source::KeyFile;
use tokenkeep::schema::Change;
use tokenkeep::{
    Config, Error, ErrorKind, Persistence, Result, TokenCache,
    event::Event,
    moving,
    options::{OnDamage, Store, WaitOptions},
    storage::{FilePersistence, KeystorePersistence, Sealed, SecretServiceItem},
};

/// The account of every item here; with the service it is also the partition of every encrypted file.
const ACCOUNT: &str = "token_cache";

/// Opens the cache that `Config` finds at `path`, for the application `service`, and does `verb` with it.
pub(crate) fn open(path: &Path, service: &str, fallbacks: &str, verb: &str, text: &str) -> Result<String> {
    let fallbacks = fallbacks.split(',').filter(|name| *name != "none").map(fallback);
    let config = Config::new(service).path(path).fallback(fallbacks.collect::<Result<Vec<_>>>()?);
    let cache = config.on_event(tell).open()?;
    match verb {
        "read" => {
            let content = cache.read()?;
            Ok(content
                .map_or_else(|| "none".to_owned(), |content| content.expose().escape_ascii().to_string()))
        }
        // Merged into the stored content, like a client's sign-in.
        "add" => {
            let access = cache.begin_write()?;
            access.commit_change(&Change::additions(text.as_bytes())).map(|_| String::new())
        }
        "info" => Ok(format!("{} {}", cache.info().backend.code(), cache.info().location)),
        other => Err(usage(format!("no verb {other}"))),
    }
}

/// Moves the content of the store `from` into the store `to`.
pub(crate) fn migrate(from: &str, to: &str) -> Result<String> {
    let (from, to) = (store(from)?, store(to)?);
    crate::mark("begin");
    let outcome = moving::migrate(&from, &to);
    crate::mark("end");
    let migration = outcome?;
    Ok(format!("{} {} {:?}", migration.entries, migration.outdated, migration.old_copy))
}

/// `plain:PATH`, `sealed:KEYFILE:PATH` or `item:SERVICE:PATH`.
fn store(name: &str) -> Result<TokenCache> {
    let words: Vec<&str> = name.split(':').collect();
    let persistence: Arc<dyn Persistence> = match words[..] {
        ["plain", path] => Arc::new(FilePersistence::new(path)?.on_event(tell)),
        ["sealed", key, path] => {
            // The partition that `Config` derives for an application with the key's name.
            let service = Path::new(key).file_name().unwrap_or_default().to_string_lossy();
            let sealed = Sealed::new(KeyFile::at(key), format!("{service}/{ACCOUNT}"));
            Arc::new(FilePersistence::with_protector(path, sealed)?.on_event(tell))
        }
        ["item", service, path] => {
            let item = SecretServiceItem::new(service, ACCOUNT)?;
            Arc::new(KeystorePersistence::new(path, item)?.on_event(tell))
        }
        _ => return Err(usage(format!("no store {name}"))),
    };
    Ok(TokenCache::with_options(persistence, WaitOptions::default(), OnDamage::default(), tell))
}

fn fallback(name: &str) -> Result<Store> {
    match name.split_once('=') {
        None if name == "plain" => Ok(Store::PlaintextFile),
        None if name == "memory" => Ok(Store::Memory),
        Some(("key", file)) => Ok(Store::encrypted_file(KeyFile::at(file))),
        _ => Err(usage(format!("no fallback {name}"))),
    }
}

fn usage(text: String) -> Error {
    Error::new(ErrorKind::InvalidInput, text)
}

fn tell(event: &Event) {
    eprintln!("event: {event:?}\n{event}");
}
