//! What `schema::put` writes is taken by the MSAL libraries for Go and Java as if they had written it themselves.
//!
//! Node and Python are asked by the stage `languages`, with the credential that uses `put`.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokenkeep::TokenCache;
use tokenkeep::schema::{Ids, Record, put};
use tokenkeep::storage::FilePersistence;
use tokenkeep_interop::Peer;

use crate::no_session;

/// The application and the tenant of the programs.
const CLIENT: &str = "11111111-aaaa-4aaa-8aaa-000000000001";
const TENANT: &str = "22222222-bbbb-4bbb-8bbb-000000000001";

/// A header that names an algorithm, a claim, and no signature worth the name: nobody verifies what is in a cache.
const ID_TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJvaWQiOiJvaWQtYWRhIn0.fake";

const HOUR: Duration = Duration::from_secs(3600);

/// Signs Ada in without any library: an access token that was good for an hour from then, a refresh token, an account.
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
    let cache = TokenCache::new(Arc::new(FilePersistence::new(path).unwrap()));
    cache.update(|old| put(old, &records).unwrap()).unwrap();
}

/// What the library hands out for Ada without asking anybody.
fn silent(peer: Peer, path: &Path) -> String {
    let printed = peer.run(no_session(), &["silent", path.to_str().unwrap(), "ada"], b"");
    String::from_utf8(printed).unwrap().trim().to_owned()
}

const PEERS: [Peer; 2] = [Peer::Go, Peer::Java];

#[test]
fn a_token_that_ours_put_is_handed_out_by_go_and_java() {
    let folder = tempfile::tempdir().unwrap();
    let fresh = folder.path().join("fresh.json");
    put_ada(&fresh, SystemTime::now());
    for peer in PEERS {
        assert_eq!(silent(peer, &fresh), "access token put by ours", "{peer:?}");
        // Beside what the library itself has written, under keys as it makes them.
        let own = folder.path().join(format!("{peer:?}.json"));
        peer.run(no_session(), &["sign-in", own.to_str().unwrap(), "somebody"], b"");
        put_ada(&own, SystemTime::now());
        for reader in PEERS {
            assert_eq!(silent(reader, &own), "access token put by ours", "{peer:?} began, {reader:?} reads");
        }
    }
}

#[test]
fn a_refresh_token_that_ours_put_is_redeemed_by_go_and_java() {
    let folder = tempfile::tempdir().unwrap();
    for peer in PEERS {
        let path = folder.path().join(format!("{peer:?}.json"));
        // Long enough ago: Java hands a token out for five minutes after its end.
        put_ada(&path, SystemTime::now() - 2 * HOUR);
        assert_eq!(silent(peer, &path), "fake-access-token-of-ada", "{peer:?}");
    }
}
