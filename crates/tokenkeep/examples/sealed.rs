//! Keeps a cache in an encrypted file, with a key from a source of your choice.
//!
//! ```text
//! sealed PATH PARTITION SOURCE (read | write | verify | info)
//! ```
//!
//! SOURCE is one of `keyring:NAME` (the kernel's memory, until the next restart), `passphrase:VARIABLE`,
//! `key-file:PATH`, `key:VARIABLE`, and on Linux `item:SERVICE` (a key in the Secret Service). `write` takes the content
//! from standard input. Events go to standard error, and a failure begins with its kind.
#![expect(clippy::print_stderr, reason = "printing is what a command-line tool does")]

use std::io::{Read, Write};
use std::process::ExitCode;

use tokenkeep::key_source::{KernelKeyring, KeyFile, Passphrase};
use tokenkeep::{
    Error, ErrorKind, Persistence, Result, TokenCache,
    options::{OnDamage, WaitOptions},
    storage::{FilePersistence, Sealed},
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", error.kind());
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let [path, partition, source, verb] = arguments else {
        return Err(usage("PATH PARTITION SOURCE (read | write | verify | info)"));
    };
    let file = FilePersistence::with_protector(path, sealed(source, partition)?)?
        .taking_over_plaintext(true)
        .on_event(|event| eprintln!("event: {event:?}"));
    let cache = TokenCache::with_options(file.clone(), WaitOptions::default(), OnDamage::SetAside, |event| {
        eprintln!("event: {event:?}");
    });
    let io =
        |error: std::io::Error| Error::new(ErrorKind::Io, "Standard input or output failed").because(error);
    match verb.as_str() {
        "read" => {
            let content = cache.read()?;
            std::io::stdout().write_all(content.as_ref().map_or(b"", |content| content.expose())).map_err(io)
        }
        "write" => {
            let mut content = Vec::new();
            std::io::stdin().read_to_end(&mut content).map_err(io)?;
            cache.begin_write()?.commit(content).map(|_| ())
        }
        "verify" => file.verify(),
        "info" => {
            let info = cache.info();
            let (backend, protection) = (info.backend.code(), info.protection.code());
            let kept = if info.survives_reboot { "survives a restart" } else { "is gone after a restart" };
            writeln!(std::io::stdout(), "{backend}, {protection}, {kept}, {}", info.location).map_err(io)
        }
        _ => Err(usage("the last word is read, write, verify or info")),
    }
}

fn sealed(source: &str, partition: &str) -> Result<Sealed> {
    Ok(match source.split_once(':') {
        Some(("keyring", name)) => Sealed::new(KernelKeyring::new(name), partition),
        Some(("passphrase", variable)) => Sealed::new(Passphrase::from_environment(variable), partition),
        Some(("key-file", path)) => Sealed::new(KeyFile::at(path), partition),
        Some(("key", variable)) => Sealed::new(KeyFile::from_environment(variable), partition),
        #[cfg(target_os = "linux")]
        Some(("item", service)) => {
            let item = tokenkeep::storage::SecretServiceItem::new(service, "key")?;
            Sealed::new(tokenkeep::key_source::KeystoreItem::new(item), partition)
        }
        _ => {
            return Err(usage(
                "SOURCE is keyring:NAME, passphrase:VARIABLE, key-file:PATH, key:VARIABLE or item:SERVICE",
            ));
        }
    })
}

fn usage(text: &str) -> Error {
    Error::new(ErrorKind::InvalidInput, format!("usage: {text}"))
}
