//! Plaintext caches of the MSAL libraries of four languages: all of them write to one cache in turn, and tokenkeep
//! merges one cache of each.

use std::collections::BTreeSet;
use std::path::Path;

use tokenkeep::schema::{Change, merge};
use tokenkeep::storage::FilePersistence;
use tokenkeep::{TokenCache, moving};
use tokenkeep_interop::Peer;

use crate::no_session;

fn sign_in(peer: Peer, path: &Path, who: &str) {
    peer.run(no_session(), &["sign-in", path.to_str().unwrap(), who], b"");
}

/// Returns the accounts that a library finds.
fn accounts(peer: Peer, path: &Path) -> BTreeSet<String> {
    let printed = peer.run(no_session(), &["accounts", path.to_str().unwrap()], b"");
    String::from_utf8(printed).unwrap().lines().map(str::to_owned).collect()
}

fn cache(path: &Path) -> TokenCache {
    TokenCache::new(FilePersistence::new(path).unwrap())
}

fn all_accounts() -> BTreeSet<String> {
    Peer::ALL.iter().map(|peer| format!("{}@example.com", name(*peer))).collect()
}

fn name(peer: Peer) -> &'static str {
    match peer {
        Peer::Go => "gopher",
        Peer::Java => "duke",
        Peer::Python => "monty",
        Peer::Node => "ryan",
    }
}

#[test]
fn every_library_finds_all_accounts_after_each_signed_in_once_with_a_tokenkeep_update_between_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.json");
    for peer in Peer::ALL {
        sign_in(peer, &path, name(peer));
        // tokenkeep adds an entry of its own.
        let ours = br#"{"AppMetadata":{"appmetadata-e-ours":{"client_id":"ours","environment":"e"}}}"#;
        cache(&path)
            .update(|theirs| merge(&Change::additions(ours), theirs).unwrap().content.expose().to_vec())
            .unwrap();
    }
    let content = cache(&path).read().unwrap().unwrap();
    assert!(String::from_utf8_lossy(content.expose()).contains("appmetadata-e-ours"));
    for peer in Peer::ALL {
        assert_eq!(accounts(peer, &path), all_accounts(), "{peer:?}");
    }
}

#[test]
fn every_library_finds_all_accounts_in_a_cache_that_tokenkeep_merged_from_one_of_each() {
    let folder = tempfile::tempdir().unwrap();
    let united = folder.path().join("united.json");
    for peer in Peer::ALL {
        let own = folder.path().join(format!("{}.json", name(peer)));
        sign_in(peer, &own, name(peer));
        moving::migrate(&cache(&own), &cache(&united)).unwrap();
    }
    for peer in Peer::ALL {
        assert_eq!(accounts(peer, &united), all_accounts(), "{peer:?}");
    }
    // A later sign-in of each library loses no account.
    let mut expected = all_accounts();
    for peer in Peer::ALL {
        let late = format!("late-{}", name(peer));
        sign_in(peer, &united, &late);
        expected.insert(format!("{late}@example.com"));
        for reader in Peer::ALL {
            assert_eq!(accounts(reader, &united), expected, "{peer:?} wrote, {reader:?} reads");
        }
    }
}

#[test]
fn a_plaintext_file_is_read_byte_for_byte_in_both_directions() {
    let content = r#"{"Account":{"who":"Zoe"}}"#;
    for peer in [Peer::Go, Peer::Java, Peer::Python] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cache.json");
        let text = path.to_str().unwrap();
        peer.run(no_session(), &["file-write", text], content.as_bytes());
        assert_eq!(cache(&path).read().unwrap().unwrap().expose(), content.as_bytes(), "{peer:?}");
        cache(&path).update(|_| br#"{"Account":{"who":"ours"}}"#).unwrap();
        let read = peer.run(no_session(), &["file-read", text], b"");
        assert_eq!(read, br#"{"Account":{"who":"ours"}}"#, "{peer:?}");
    }
}
