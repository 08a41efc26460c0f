//! Records that an independent implementation wrote, and records for it to read.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tokenkeep::key_source::Key;
use tokenkeep::record::{Partition, open, seal};

use crate::{CACHE, PREFIX, times};

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn partition(vector: &Value) -> Partition {
    let word = |name: &str| vector[name].as_str();
    let (prefix, text) = (word("prefix").unwrap(), word("text").unwrap());
    match word("kind").unwrap() {
        "user" => Partition::user(prefix, text),
        "obo" => Partition::on_behalf_of(prefix, text, word("other")),
        "app" => Partition::app(prefix, text, word("other").unwrap()),
        "key" => Partition::key_ring(prefix),
        own => Partition::own(prefix, own, text),
    }
    .unwrap()
}

#[test]
fn every_record_of_the_independent_implementation_is_opened_or_refused_as_expected() {
    let mut count = 0;
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/record")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let vector: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        let partition = partition(&vector);
        assert_eq!(partition.name(), vector["name"], "{path:?}");
        let keys: Vec<_> = vector["keys"].as_array().unwrap().iter().collect();
        let keys: Vec<_> =
            keys.iter().map(|key| Key::new(&mut unhex(key.as_str().unwrap()).try_into().unwrap())).collect();
        let record = unhex(vector["record"].as_str().unwrap());
        match (open(&partition, &keys, &record), vector["error"].as_str()) {
            (Ok((header, content)), None) => {
                assert_eq!(hex(content.expose()), vector["content"], "{path:?}");
                assert_eq!(hex(header.key_id.bytes()), vector["key_id"], "{path:?}");
                assert_eq!(hex(header.revision.bytes()), vector["revision"], "{path:?}");
            }
            (Err(error), Some(code)) => assert_eq!(error.kind().code(), code, "{path:?}: {error}"),
            (outcome, expected) => panic!("{path:?}: {outcome:?}, expected {expected:?}"),
        }
        count += 1;
    }
    assert!(count >= 12, "{count} vectors");
}

#[test]
fn every_kind_of_partition_has_a_record_for_the_independent_implementation() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("record");
    fs::create_dir_all(&folder).unwrap();
    let key = Key::random().unwrap();
    for (kind, text, other) in [
        ("user", "ADA.tenant", None),
        ("obo", "a-hash", Some("ada.tenant")),
        ("app", "client", Some("tenant")),
        ("key", "ring", None),
        ("session", "\u{e4}", None),
    ] {
        let mut vector = json!({
            "prefix": PREFIX, "kind": kind, "text": text, "other": other,
            "keys": [hex(key.expose())], "content": hex(CACHE),
        });
        let partition = partition(&vector);
        vector["name"] = partition.name().into();
        vector["record"] = hex(&seal(&partition, &key, CACHE, times()).unwrap()).into();
        fs::write(folder.join(format!("{kind}.json")), serde_json::to_vec_pretty(&vector).unwrap()).unwrap();
    }
}
