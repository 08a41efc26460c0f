//! The physical limit: the same bytes through the same system calls or bus messages, without a library.
//!
//! `tokenkeep-bench-bare file PATH BYTES synced|cached SAMPLES` replaces a whole file: create, write, (sync,) rename,
//! (sync the directory). `tokenkeep-bench-bare secret-service set|get BYTES SAMPLES` sends the content of an item
//! over the session bus, or fetches it, unencrypted. It pauses before each fetch, like the other sides before a
//! reload, because a process that wakes from sleep takes twice as long as one in a loop. Both print JSON: one number
//! of milliseconds a sample.
#![expect(clippy::print_stdout, reason = "printing the result is what it is for")]

use std::collections::HashMap;
use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_bytes::Bytes;
use zbus::Connection;
use zbus::wire::{ObjectPath, OwnedObjectPath, OwnedVariant, Variant};

type Outcome<T> = Result<T, Box<dyn Error>>;

const SERVICE: &str = "org.freedesktop.secrets";

/// As long as `programs/cycles.mjs` pauses around a change before it measures a reload.
const PAUSE: Duration = Duration::from_millis(30);

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let samples = match words[..] {
        ["file", path, bytes, durability, samples] => {
            file(Path::new(path), bytes.parse()?, durability == "synced", samples.parse()?)?
        }
        ["secret-service", operation, bytes, samples] => {
            zbus::block_on(secret_service(operation == "set", bytes.parse()?, samples.parse()?))?
        }
        _ => {
            return Err(
                "usage: file PATH BYTES synced|cached SAMPLES, or secret-service set|get BYTES SAMPLES"
                    .into(),
            );
        }
    };
    println!("{}", serde_json::to_string(&samples)?);
    Ok(())
}

fn file(path: &Path, bytes: usize, synced: bool, samples: usize) -> Outcome<Vec<f64>> {
    let content = vec![b'x'; bytes];
    let temporary = path.with_extension("tmp");
    let directory = path.parent().ok_or("a path in a directory")?;
    let mut taken = Vec::with_capacity(samples);
    for _ in 0..=samples {
        let began = Instant::now();
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(&content)?;
        if synced {
            file.sync_all()?;
        }
        fs::rename(&temporary, path)?;
        if synced {
            File::open(directory)?.sync_all()?;
        }
        drop(file);
        taken.push(began.elapsed().as_secs_f64() * 1e3);
    }
    // Drop the first sample, which warms the caches for the others.
    Ok(taken.split_off(1))
}

async fn secret_service(set: bool, bytes: usize, samples: usize) -> Outcome<Vec<f64>> {
    let content = vec![b'x'; bytes];
    let bus = zbus::connection::Builder::session().build().await?;
    let root = ObjectPath::try_from("/org/freedesktop/secrets")?;
    // As a first message OpenSession can abort gnome-keyring-daemon.
    call(&bus, &root, "Service", "ReadAlias", &("tokenkeep-introduction",)).await?;
    let body = ("plain", Variant::from(""));
    let answer = call(&bus, &root, "Service", "OpenSession", &body).await?;
    let (_, session): (OwnedVariant, OwnedObjectPath) = answer.body().deserialize()?;
    let default = ObjectPath::try_from("/org/freedesktop/secrets/aliases/default")?;
    let properties = HashMap::from([
        ("org.freedesktop.Secret.Item.Label", Variant::from("bare")),
        ("org.freedesktop.Secret.Item.Attributes", Variant::from(HashMap::from([("bench", "bare")]))),
    ]);
    let secret = (&session, Bytes::new(b""), Bytes::new(&content), "text/plain");
    let answer = call(&bus, &default, "Collection", "CreateItem", &(properties, secret, true)).await?;
    let (item, _): (OwnedObjectPath, OwnedObjectPath) = answer.body().deserialize()?;
    let mut taken = Vec::with_capacity(samples);
    for _ in 0..samples {
        if !set {
            std::thread::sleep(PAUSE);
        }
        let began = Instant::now();
        if set {
            let secret = (&session, Bytes::new(b""), Bytes::new(&content), "text/plain");
            call(&bus, &item, "Item", "SetSecret", &(secret,)).await?;
        } else {
            let answer = call(&bus, &item, "Item", "GetSecret", &(&session,)).await?;
            let body = answer.body();
            let ((_, _, found, _),): ((ObjectPath<'_>, &Bytes, &Bytes, &str),) = body.deserialize()?;
            assert_eq!(found.len(), bytes);
        }
        taken.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(taken)
}

async fn call<B: zbus::export::serde::Serialize + zbus::wire::DynamicType>(
    bus: &Connection,
    object: &ObjectPath<'_>,
    interface: &str,
    member: &str,
    body: &B,
) -> Outcome<zbus::message::Message> {
    let interface = format!("org.freedesktop.Secret.{interface}");
    Ok(bus.call_method(Some(SERVICE), object, Some(interface.as_str()), member, body).await?)
}
