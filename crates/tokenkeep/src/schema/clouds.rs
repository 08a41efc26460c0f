//! The host names of one cloud. Libraries choose different ones for the same entry.

/// Each row is one cloud; most libraries write the first name into the cache.
const CLOUDS: [&[&str]; 4] = [
    &["login.windows.net", "login.microsoftonline.com", "login.microsoft.com", "sts.windows.net"],
    &["login.partner.microsoftonline.cn", "login.chinacloudapi.cn"],
    &["login.microsoftonline.us", "login.usgovcloudapi.net"],
    &["login-us.microsoftonline.com"],
];

/// Returns whether two hosts of sign-in services are the same cloud, according to Entra ID's public list of aliases.
/// Other hosts are the same only if they are equal. Case does not matter.
///
/// ```
/// assert!(tokenkeep::schema::is_same_cloud("login.windows.net", "login.microsoftonline.com"));
/// assert!(!tokenkeep::schema::is_same_cloud("login.windows.net", "login.microsoftonline.us"));
/// ```
pub fn is_same_cloud(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other) || cloud_of(one).is_some_and(|cloud| has(cloud, other))
}

/// Returns the name under which most libraries store the entries of the cloud of `host`: `host` itself if it is
/// unknown.
///
/// ```
/// assert_eq!(tokenkeep::schema::cache_environment("login.microsoftonline.com"), "login.windows.net");
/// ```
pub fn cache_environment(host: &str) -> &str {
    cloud_of(host).and_then(|cloud| cloud.first()).copied().unwrap_or(host)
}

fn cloud_of(host: &str) -> Option<&'static [&'static str]> {
    CLOUDS.into_iter().find(|cloud| has(cloud, host))
}

fn has(cloud: &[&str], host: &str) -> bool {
    cloud.iter().any(|name| name.eq_ignore_ascii_case(host))
}
