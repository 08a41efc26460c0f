//! The cache that the recorded histories use: some accounts, each with one refresh token that is a number.
//!
//! Reads and writes it with `serde_json`, independent of the merging code under test.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// The accounts that are signed in, and the token of each.
pub type Accounts = BTreeMap<u8, u64>;

/// The reason why content is not one of these caches.
pub type Torn = String;

/// Returns the accounts of a cache; no content means no accounts.
///
/// # Errors
/// The fault in the content: not JSON, an account without a token, or a token without an account.
pub fn read(content: Option<&[u8]>) -> Result<Accounts, Torn> {
    let Some(content) = content else { return Ok(Accounts::new()) };
    let cache: Value = serde_json::from_slice(content).map_err(|error| format!("not JSON: {error}"))?;
    let section = |name: &str| cache[name].as_object().cloned().unwrap_or_default();
    let owner = |entry: &Value| -> Result<u8, Torn> {
        let owner = entry["home_account_id"].as_str().and_then(|id| id.strip_prefix("uid"));
        owner.and_then(|id| id.split('.').next()?.parse().ok()).ok_or_else(|| format!("odd entry {entry}"))
    };
    let mut accounts = Accounts::new();
    for token in section("RefreshToken").values() {
        let secret = token["secret"].as_str().and_then(|secret| secret.parse().ok());
        accounts.insert(owner(token)?, secret.ok_or_else(|| format!("odd token {token}"))?);
    }
    let mut signed_in = Vec::new();
    for account in section("Account").values() {
        signed_in.push(owner(account)?);
    }
    signed_in.sort_unstable();
    if signed_in.iter().ne(accounts.keys()) {
        return Err(format!("accounts {signed_in:?} with the tokens of {:?}", accounts.keys()));
    }
    Ok(accounts)
}

/// Returns the cache `content` with another token for `account`, or without that account.
///
/// # Errors
/// As [`read`].
pub fn change(content: Option<&[u8]>, account: u8, token: Option<u64>) -> Result<Vec<u8>, Torn> {
    let mut cache: Value = match content {
        None => json!({}),
        Some(content) => serde_json::from_slice(content).map_err(|error| format!("not JSON: {error}"))?,
    };
    let root = cache.as_object_mut().ok_or("not an object")?;
    let id = format!("uid{account}.utid");
    let key = format!("{id}-login.example-organizations");
    let token_key = format!("{id}-login.example-refreshtoken-client----");
    let entry = json!({
        "home_account_id": id, "environment": "login.example", "realm": "organizations",
        "local_account_id": format!("uid{account}"), "username": format!("user{account}@example"),
        "authority_type": "MSSTS",
    });
    // Pad to one length, so that caches with different tokens have the same size.
    let secret = token.map(|token| {
        json!({
            "home_account_id": id, "environment": "login.example", "credential_type": "RefreshToken",
            "client_id": "client", "secret": format!("{token:012}"),
        })
    });
    put(root, "Account", key, token.map(|_| entry))?;
    put(root, "RefreshToken", token_key, secret)?;
    Ok(cache.to_string().into_bytes())
}

fn put(root: &mut Map<String, Value>, section: &str, key: String, entry: Option<Value>) -> Result<(), Torn> {
    let section = root.entry(section).or_insert_with(|| json!({}));
    let section = section.as_object_mut().ok_or("a section is not an object")?;
    match entry {
        Some(entry) => section.insert(key, entry),
        None => section.remove(&key),
    };
    Ok(())
}
