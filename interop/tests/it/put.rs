//! The MSAL libraries for Go and Java use the entries of `schema::put` like their own.
//!
//! The stage `languages` tests Node and Python, with the credential that uses `put`.

use std::path::Path;
use std::time::{Duration, SystemTime};

use tokenkeep::TokenCache;
use tokenkeep::schema::{Ids, Record, put};
use tokenkeep::storage::FilePersistence;
use tokenkeep_interop::Peer;

use crate::no_session;

/// The application and the tenant that the programs use.
const CLIENT: &str = "11111111-aaaa-4aaa-8aaa-000000000001";
const TENANT: &str = "22222222-bbbb-4bbb-8bbb-000000000001";

/// A header, one claim and a fake signature: no library verifies an id token in its cache.
const ID_TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJvaWQiOiJvaWQtYWRhIn0.fake";

const HOUR: Duration = Duration::from_secs(3600);

/// Signs Ada in without a library: an account, a refresh token, and an access token valid for an hour from
/// `obtained`.
fn put_ada(path: &Path, obtained: SystemTime) {
    let home = format!("oid-ada.{TENANT}");
    let ids =
        Ids { home_account_id: &home, environment: "login.windows.net", client_id: CLIENT, realm: TENANT };
    let records = [
        Record::access_token(ids, &["User.Read"], "access token put by ours", obtained, obtained + HOUR),
        Record::refresh_token(ids, None, "refresh token put by ours"),
        Record::id_token(ids, ID_TOKEN),
        Record::account(ids, "oid-ada", "ada@example.com"),
        Record::app_metadata(ids, None),
    ];
    let cache = TokenCache::new(FilePersistence::new(path).unwrap());
    cache.update(|old| put(old, &records).unwrap()).unwrap();
}

/// Returns the access token that the library has for Ada, without a request to the user.
fn silent(peer: Peer, path: &Path) -> String {
    let printed = peer.run(no_session(), &["silent", path.to_str().unwrap(), "ada"], b"");
    String::from_utf8(printed).unwrap().trim().to_owned()
}

const PEERS: [Peer; 2] = [Peer::Go, Peer::Java];

#[test]
fn go_and_java_return_an_access_token_that_put_stored() {
    let folder = tempfile::tempdir().unwrap();
    let fresh = folder.path().join("fresh.json");
    put_ada(&fresh, SystemTime::now());
    for peer in PEERS {
        assert_eq!(silent(peer, &fresh), "access token put by ours", "{peer:?}");
        // The same in a cache that the library wrote first, with keys in its own form.
        let own = folder.path().join(format!("{peer:?}.json"));
        peer.run(no_session(), &["sign-in", own.to_str().unwrap(), "somebody"], b"");
        put_ada(&own, SystemTime::now());
        for reader in PEERS {
            assert_eq!(silent(reader, &own), "access token put by ours", "{peer:?} began, {reader:?} reads");
        }
    }
}

#[test]
fn go_and_java_redeem_a_refresh_token_that_put_stored() {
    let folder = tempfile::tempdir().unwrap();
    for peer in PEERS {
        let path = folder.path().join(format!("{peer:?}.json"));
        // Two hours ago, because Java returns an access token until five minutes after its end.
        put_ada(&path, SystemTime::now() - 2 * HOUR);
        assert_eq!(silent(peer, &path), "fake-access-token-of-ada", "{peer:?}");
    }
}
