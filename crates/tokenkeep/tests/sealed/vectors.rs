//! Files written by an independent implementation, and files for it to read. Its source is beside the vectors.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokenkeep::key_source::{
    Cost, KernelKeyring, Key, KeyFile, KeyId, KeySource, KeystoreItem, Kind, Passphrase,
};
use tokenkeep::{Protection, Protector, Result, Secret, storage::Sealed};

use crate::support::{CONTENT, FileKeystore, Place};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/sealed")
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// A fixed key, in place of another kernel's.
#[derive(Debug)]
struct Known(Kind, Key);

impl KeySource for Known {
    fn kind(&self) -> Kind {
        self.0
    }

    fn fresh(&self) -> Result<(Key, Vec<u8>)> {
        Ok((self.1.clone(), Vec::new()))
    }

    fn recall(&self, _parameters: &[u8], _id: &KeyId) -> Result<Key> {
        Ok(self.1.clone())
    }

    fn protection(&self) -> Protection {
        Protection::Unknown
    }

    fn describe(&self) -> String {
        "a key that is known".to_owned()
    }
}

/// Returns a protector for a vector, with the real key source where it can have the key.
fn protector(place: &Place, vector: &Value) -> Sealed {
    let partition = vector["partition"].as_str().unwrap();
    let key = unhex(vector["key"].as_str().unwrap_or_default());
    let path = place.path().join("key");
    match vector["source"].as_str().unwrap() {
        "passphrase" => {
            Sealed::new(Passphrase::new(vector["passphrase"].as_str().unwrap().as_bytes()), partition)
        }
        "key-file" => {
            let text = if key.len() == 32 { key } else { hex(&key).into_bytes() };
            drop(place.key("key"));
            fs::write(&path, text).unwrap();
            Sealed::new(KeyFile::at(path), partition)
        }
        "keystore-item" => {
            fs::write(&path, hex(&key)).unwrap();
            Sealed::new(KeystoreItem::new(FileKeystore(path)), partition)
        }
        "kernel-keyring" => {
            Sealed::new(Known(Kind::KernelKeyring, Key::new(&mut key.try_into().unwrap())), partition)
        }
        other => panic!("{other}"),
    }
}

#[test]
fn every_vector_of_the_independent_implementation_is_opened_or_refused_as_expected() {
    let mut count = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let vector: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let place = Place::new();
        let file = unhex(vector["file"].as_str().unwrap());
        match (protector(&place, &vector).unprotect(Secret::new(file)), vector["error"].as_str()) {
            (Ok(content), None) => assert_eq!(hex(content.expose()), vector["content"], "{path:?}"),
            (Err(error), Some(code)) => assert_eq!(error.kind().code(), code, "{path:?}: {error}"),
            (outcome, expected) => panic!("{path:?}: {outcome:?}, expected {expected:?}"),
        }
        count += 1;
    }
    assert!(count >= 15, "{count} vectors");
}

#[test]
fn every_kind_of_source_writes_a_file_for_the_independent_implementation() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sealed");
    fs::create_dir_all(&folder).unwrap();
    let place = Place::new();
    let raw = fs::read(place.key("key")).unwrap();
    let item = FileKeystore(place.path().join("item"));
    let name = format!("test-vectors-{}", std::process::id());
    let cost = Cost::new(19 * 1024, 2).unwrap();
    let in_kernel = || {
        let ring =
            linux_keyutils::KeyRing::get_persistent(linux_keyutils::KeyRingIdentifier::Process).unwrap();
        let key = ring.search(&format!("tokenkeep:{name}")).unwrap();
        let bytes = key.read_to_vec().unwrap();
        ring.unlink_key(key).unwrap();
        hex(&bytes)
    };
    let write = |source: &str, protector: Sealed, key: &dyn Fn() -> (String, String)| {
        let file = protector.protect(CONTENT.as_bytes(), None).unwrap();
        let (field, value) = key();
        let text = json!({
            "source": source, "partition": "example/\u{e4}", "content": hex(CONTENT.as_bytes()),
            "file": hex(&file), field: value,
        });
        fs::write(folder.join(format!("{source}.json")), serde_json::to_vec_pretty(&text).unwrap()).unwrap();
    };
    let partition = "example/\u{e4}";
    let key = |text: String| ("key".to_owned(), text);
    write("key-file", Sealed::new(KeyFile::at(place.path().join("key")), partition), &|| key(hex(&raw)));
    write(
        "passphrase",
        Sealed::new(Passphrase::new("w\u{f6}rter".as_bytes()).cost(cost), partition),
        &|| ("passphrase".to_owned(), "w\u{f6}rter".to_owned()),
    );
    write(
        "keystore-item",
        Sealed::new(KeystoreItem::new(item.clone()).lock_directory(place.locks()), partition),
        &|| {
            let text = fs::read_to_string(&item.0).unwrap();
            let decoded = std::process::Command::new("sh")
                .args(["-c", "printf %s \"$1\" | base64 -d | od -An -v -tx1 | tr -d ' \\n'", "sh", &text])
                .output()
                .unwrap();
            key(String::from_utf8(decoded.stdout).unwrap())
        },
    );
    write(
        "kernel-keyring",
        Sealed::new(KernelKeyring::new(&name).lock_directory(place.locks()), partition),
        &|| key(in_kernel()),
    );
}
