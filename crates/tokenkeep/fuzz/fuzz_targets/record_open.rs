//! Any bytes, as the record of a partition in a database: opened, listed and sealed anew.
#![no_main]

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use tokenkeep::ErrorKind;
use tokenkeep::key_source::Key;
use tokenkeep::record::{Header, Partition, Times, open, open_named, reseal, seal, survey};

fn key() -> &'static Key {
    static KEY: OnceLock<Key> = OnceLock::new();
    KEY.get_or_init(|| Key::new(&mut [7; 32]))
}

fn partitions() -> &'static [Partition] {
    static PARTITIONS: OnceLock<Vec<Partition>> = OnceLock::new();
    PARTITIONS.get_or_init(|| {
        vec![
            Partition::user("tk:shop", "ada.tenant").expect("a user"),
            Partition::on_behalf_of("tk:shop", "hash", Some("ada.tenant")).expect("a call"),
            Partition::app("tk:shop", "client", "tenant").expect("an app"),
            Partition::own("tk:shop", "session", "one").expect("a session"),
        ]
    })
}

fuzz_target!(|bytes: &[u8]| {
    for partition in partitions() {
        examine(partition, bytes);
    }
    if let [at, mask, cut, content @ ..] = bytes {
        alter(content, usize::from(*at), *mask, usize::from(*cut));
    }
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    for partition in partitions() {
        if let Ok(found) = survey(partition, bytes, now) {
            let again = survey(partition, found.content.expose(), now).expect("what a survey leaves is a cache");
            assert_eq!((again.foreign, again.spent), (0, 0));
            assert_eq!(again.content, found.content);
        }
    }
});

/// No bytes open that were not sealed here.
fn examine(partition: &Partition, bytes: &[u8]) {
    let error = open(partition, std::slice::from_ref(key()), bytes).expect_err("bytes of a stranger open");
    let kinds = [ErrorKind::Damaged, ErrorKind::Truncated, ErrorKind::MissingKey, ErrorKind::UnknownFormat];
    assert!(kinds.contains(&error.kind()), "{error}");
    let _ = Header::read(bytes);
    assert!(reseal(&partition.name(), std::slice::from_ref(key()), key(), bytes).is_err());
}

/// A record that was sealed right, and then altered in one byte and shortened: it opens only if nothing was changed.
fn alter(content: &[u8], at: usize, mask: u8, cut: usize) {
    let [ada, .., session] = partitions() else { return };
    let times = Times { written: SystemTime::UNIX_EPOCH, expires: SystemTime::UNIX_EPOCH + Duration::from_secs(9) };
    let mut record = seal(ada, key(), content, times).expect("it seals");
    let at = at % record.len();
    record[at] ^= mask;
    record.truncate(record.len().saturating_sub(cut));
    let keys = std::slice::from_ref(key());
    match open(ada, keys, &record) {
        Ok((header, opened)) => {
            assert!(mask == 0 && cut == 0 && opened.expose() == content, "an altered record opens");
            assert_eq!(header.times, times);
            let anew = reseal(&ada.name(), keys, key(), &record).expect("it seals anew");
            assert_ne!(anew, record, "a revision twice");
            assert_eq!(open(ada, keys, &anew).expect("it opens").1.expose(), content);
        }
        Err(_) => assert!(mask != 0 || cut != 0),
    }
    assert!(open_named(&session.name(), keys, &record).is_err(), "a record opens in another's place");
}
