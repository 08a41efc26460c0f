//! The names one cloud goes by. Libraries choose different ones for the same entry.

/// Each row is one cloud; the first name is the one most libraries write into the cache.
const CLOUDS: [&[&str]; 4] = [
    &["login.windows.net", "login.microsoftonline.com", "login.microsoft.com", "sts.windows.net"],
    &["login.partner.microsoftonline.cn", "login.chinacloudapi.cn"],
    &["login.microsoftonline.us", "login.usgovcloudapi.net"],
    &["login-us.microsoftonline.com"],
];

/// Whether two hosts of sign-in services are the same cloud, as the public list of Entra ID's aliases has it. Hosts that
/// are not on it are the same only if they are equal. Case does not matter.
///
/// ```
/// assert!(tokenkeep::schema::is_same_cloud("login.windows.net", "login.microsoftonline.com"));
/// assert!(!tokenkeep::schema::is_same_cloud("login.windows.net", "login.microsoftonline.us"));
/// ```
pub fn is_same_cloud(one: &str, other: &str) -> bool {
    one.eq_ignore_ascii_case(other) || cloud_of(one).is_some_and(|cloud| has(cloud, other))
}

/// The name under which most libraries store the entries of the cloud that `host` belongs to: `host` itself where it is
/// not known.
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
