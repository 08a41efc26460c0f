//! An endpoint of a migration: one argument that names a cache, with the flags of the other commands.

use clap::Parser;

use crate::arguments::Store;

/// The flags without dashes, separated by commas: `service-name=contoso,account-name=tokens`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true)]
struct Flags {
    #[command(flatten)]
    store: Store,
}

/// Parses `NAME=VALUE,...`; any other text is the path of a file.
///
/// # Errors
/// The text of the usage error.
pub(crate) fn parse(text: &str) -> Result<Store, String> {
    if text.is_empty() {
        return Err("want a file, or NAME=VALUE,... with the names of the flags".to_owned());
    }
    if !begins_a_flag(text) {
        return Ok(Store { cache_path: Some(text.into()), ..Store::default() });
    }
    let flags = parts(text).into_iter().map(|part| format!("--{part}"));
    Flags::try_parse_from(flags).map(|flags| flags.store).map_err(|error| {
        let text = error.to_string();
        text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
    })
}

/// Splits at the commas before a flag, because a path may contain other commas.
fn parts(text: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for piece in text.split(',') {
        match parts.last_mut() {
            Some(last) if !begins_a_flag(piece) => {
                last.push(',');
                last.push_str(piece);
            }
            _ => parts.push(piece.to_owned()),
        }
    }
    parts
}

/// Returns whether the text begins with `name=`, in small letters and dashes.
fn begins_a_flag(text: &str) -> bool {
    let name = text.split_once('=').map(|(name, _)| name);
    name.is_some_and(|name| !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::arguments::Kind;

    #[test]
    fn a_path_without_flags_names_a_file() {
        let store = parse("/home/a,b=c/cache.json").unwrap();
        assert_eq!(store.cache_path.unwrap(), Path::new("/home/a,b=c/cache.json"));
    }

    #[test]
    fn an_endpoint_takes_the_flags_of_the_other_commands() {
        let store = parse("cache-path=/a,b/c=d,service-name=s,account-name=a,store=keystore").unwrap();
        assert_eq!(store.cache_path.unwrap(), Path::new("/a,b/c=d"));
        assert_eq!((store.service_name.as_deref(), store.account_name.as_deref()), (Some("s"), Some("a")));
        assert_eq!(store.store, Some(Kind::Keystore));
        assert!(parse("").is_err() && parse("frobnicate=1").is_err() && parse("store=nowhere").is_err());
    }
}
