//! Caches for the tests of the command, with secrets that it must not print.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokenkeep::schema::{self, Ids, Record};

/// Secrets that no output may contain.
pub(crate) const SECRETS: [&str; 3] = ["PLANTED-ACCESS", "PLANTED-REFRESH", "PLANTED-ID"];

pub(crate) const ANNA: Ids<'static> = Ids {
    home_account_id: "11111111-0000-0000-0000-000000000001.22222222-0000-0000-0000-000000000002",
    environment: "login.microsoftonline.com",
    client_id: "33333333-0000-0000-0000-000000000003",
    realm: "22222222-0000-0000-0000-000000000002",
};

pub(crate) const BERT: Ids<'static> = Ids {
    home_account_id: "44444444-0000-0000-0000-000000000004.22222222-0000-0000-0000-000000000002",
    ..ANNA
};

/// A cache with Anna's tokens and, if `with_bert`, Bert's. Anna's expire 42 minutes from now, Bert's expired two days
/// ago.
pub(crate) fn cache(with_bert: bool) -> Vec<u8> {
    let now = SystemTime::now();
    // In the middle of a minute, so that a slow run prints the same.
    let soon = now + Duration::from_secs(42 * 60 + 10);
    let past = now - Duration::from_secs(2 * 86_400);
    let mut records = vec![
        Record::account(ANNA, "local-anna", "anna@example.org").field("name", "Anna Muster"),
        Record::access_token(ANNA, &["openid", "User.Read"], SECRETS[0], now, soon),
        Record::refresh_token(ANNA, Some("1"), SECRETS[1]),
        Record::id_token(ANNA, SECRETS[2]),
    ];
    if with_bert {
        records.push(Record::account(BERT, "local-bert", "bert@example.org"));
        records.push(Record::access_token(BERT, &["openid"], SECRETS[0], UNIX_EPOCH, past));
    }
    schema::put(None, &records).unwrap().expose().to_vec()
}
