//! No error, event or `Debug` output contains a secret.

use std::error::Error as _;
use std::fmt::Write as _;
use std::fs;

use tokenkeep::key_source::{KernelKeyring, KeyFile, KeySource, KeystoreItem, Passphrase};
use tokenkeep::{Error, Persistence, Protector, Secret, storage::Sealed};

use crate::content::cheap;
use crate::support::{CONTENT, FileKeystore, Opened, Place};

const WORDS: &str = "hunter2-hunter2";

fn everything(error: &Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut cause = error.source();
    while let Some(inner) = cause {
        write!(text, " {inner} {inner:?}").unwrap();
        cause = inner.source();
    }
    text
}

#[test]
fn no_error_event_or_debug_output_holds_a_secret() {
    let place = Place::new();
    let key = fs::read(place.key("key")).unwrap();
    let hex: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
    // A key with extra characters: unusable, and not to be quoted in the error.
    fs::write(place.path().join("odd"), format!("{hex}!")).unwrap();
    fs::write(place.path().join("item"), format!("{hex} {WORDS}")).unwrap();
    let item = || KeystoreItem::new(FileKeystore(place.path().join("item"))).lock_directory(place.locks());
    type Make<'a> = Box<dyn Fn() -> Sealed + 'a>;
    let sources: Vec<(Make<'_>, &str)> = vec![
        (Box::new(|| Sealed::new(KeyFile::at(place.path().join("key")), "p")), "key file"),
        (Box::new(|| Sealed::new(KeyFile::at(place.path().join("odd")), "p")), "odd key file"),
        (Box::new(|| Sealed::new(Passphrase::new(WORDS.as_bytes()).cost(cheap()), "p")), "passphrase"),
        (Box::new(|| Sealed::new(item(), "p")), "item"),
        (
            Box::new(|| Sealed::new(KernelKeyring::new("secrets-test").lock_directory(place.locks()), "p")),
            "kernel",
        ),
    ];
    let mut said = String::new();
    for (make, name) in &sources {
        let protector = make();
        write!(said, "{protector:?} {protector:#?}").unwrap();
        let made = protector.protect(CONTENT.as_bytes(), None).map(|bytes| bytes.into_owned());
        let bytes = made.unwrap_or_else(|error| {
            said += &everything(&error);
            b"\x89TKS\r\n\x1a\nnothing".to_vec()
        });
        for (other, _) in &sources {
            for cut in [bytes.len(), bytes.len() - 1, 30, 5] {
                let Err(error) = other().unprotect(Secret::from(&bytes[..cut.min(bytes.len())])) else {
                    continue;
                };
                said += &everything(&error);
            }
        }
        fs::write(place.cache(), &bytes[..bytes.len() - 1]).unwrap();
        let opened = Opened::new(&place.cache(), Passphrase::new(WORDS.as_bytes()).cost(cheap()), name);
        write!(said, "{:?} {:?}", opened.file, opened.cache).unwrap();
        for error in [opened.read().err(), opened.cache.begin_write().err(), opened.file.verify().err()] {
            said += &error.as_ref().map(everything).unwrap_or_default();
        }
        write!(said, "{:?}", opened.events()).unwrap();
    }
    for source in [&item() as &dyn KeySource, &KeyFile::at(place.path().join("key"))] {
        write!(said, "{source:?} {} {:?}", source.describe(), source.fresh()).unwrap();
    }
    assert!(said.len() > 10_000, "{}", said.len());
    let bytes = format!("{key:?}");
    let middle = &bytes[5..40];
    for secret in [WORDS, "somebody", &hex[..16], &hex.to_uppercase()[..16], middle] {
        assert!(!said.contains(secret), "{secret} is in {said}");
    }
}
