//! Token caches of a given size, used by all measured Rust programs.

/// Returns a token cache of about `bytes` bytes, whose first token is `variant`.
#[must_use]
pub fn cache(bytes: usize, variant: &str) -> Vec<u8> {
    let mut tokens = serde_json::Map::new();
    for n in 0..(bytes / 1_500).max(1) {
        let secret = if n == 0 { variant.repeat(1_000) } else { "e".repeat(1_000) };
        let target = format!("https://api-{n}.contoso.example/.default");
        let key = format!("home.contoso-login.microsoftonline.com-accesstoken-client-contoso-{target}");
        let token = serde_json::json!({
            "home_account_id": "home.contoso", "environment": "login.microsoftonline.com", "client_id": "client",
            "credential_type": "AccessToken", "secret": secret, "realm": "contoso", "target": target,
            "cached_at": "1700000000", "expires_on": "1700003600", "extended_expires_on": "1700007200",
        });
        tokens.insert(key, token);
    }
    let cache = serde_json::json!({
        "Account": { "home.contoso-login.microsoftonline.com-contoso": {
            "home_account_id": "home.contoso", "environment": "login.microsoftonline.com", "realm": "contoso",
            "local_account_id": "home", "username": "someone@contoso.example", "authority_type": "MSSTS" } },
        "IdToken": {}, "AccessToken": tokens, "RefreshToken": {}, "AppMetadata": {},
    });
    // Without spare capacity, which would count as memory in use.
    let mut text = cache.to_string().into_bytes();
    text.shrink_to_fit();
    text
}
