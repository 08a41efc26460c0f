//! User directories, the same as in the sibling libraries.

use std::env;
use std::path::PathBuf;

use crate::platform::{files, process};

/// The variable that names the user's directory.
pub(crate) const HOME: &str = if cfg!(windows) { "LOCALAPPDATA" } else { "HOME" };

/// Returns the directory under which a program keeps its cache by default, or `None` if the environment names none.
///
/// Windows: `%LOCALAPPDATA%` or, without it, the folder that the system knows. Elsewhere `$HOME`; without it `/Users/<name>` (macOS) or `/home/<name>` from the first
/// of `LOGNAME`, `USER`, `LNAME`, `USERNAME` that is set, and `/root` for root on Linux.
///
/// ```
/// if let Some(home) = tokenkeep::environment::user_root_directory() {
///     println!("{}", home.join(".my-app.json").display());
/// }
/// ```
pub fn user_root_directory() -> Option<PathBuf> {
    root_directory(
        |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from),
        process::is_root(),
    )
}

/// Returns the directory for data of this user's programs: `$XDG_DATA_HOME` or `~/.local/share` on Linux,
/// `~/Library/Application Support` on macOS, `%LOCALAPPDATA%` on Windows. `None` as in [`user_root_directory`].
///
/// ```
/// match tokenkeep::environment::data_directory() {
///     Some(folder) => println!("{}", folder.join("my-app").join("token_cache.json").display()),
///     None => println!("the environment names no home: give a path"),
/// }
/// ```
pub fn data_directory() -> Option<PathBuf> {
    if cfg!(windows) {
        return user_root_directory();
    }
    if cfg!(target_os = "macos") {
        return user_root_directory().map(|home| home.join("Library/Application Support"));
    }
    // The XDG base directory specification tells programs to ignore a relative path.
    let chosen = env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    chosen.or_else(|| user_root_directory().map(|home| home.join(".local/share")))
}

fn root_directory(variable: impl Fn(&str) -> Option<PathBuf>, root: bool) -> Option<PathBuf> {
    if cfg!(windows) {
        // A child with a cleaned environment, and a service, may lack it or have half of it.
        return variable(HOME).filter(|path| path.is_absolute()).or_else(files::local_data);
    }
    if let Some(home) = variable("HOME") {
        return Some(home);
    }
    if root && !cfg!(target_os = "macos") {
        return Some("/root".into());
    }
    let users = if cfg!(target_os = "macos") { "/Users" } else { "/home" };
    let name = ["LOGNAME", "USER", "LNAME", "USERNAME"].into_iter().find_map(variable)?;
    Some(PathBuf::from(users).join(name))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn with(variables: &[(&str, &str)], root: bool) -> Option<PathBuf> {
        let find = |name: &str| variables.iter().find(|v| v.0 == name).map(|v| PathBuf::from(v.1));
        root_directory(find, root)
    }

    #[test]
    fn home_comes_first_then_root_then_the_first_user_name() {
        assert_eq!(with(&[("HOME", "/h"), ("USER", "u")], true), Some("/h".into()));
        assert_eq!(with(&[("USER", "u")], true), Some("/root".into()));
        assert_eq!(
            with(&[("USERNAME", "last"), ("USER", "u"), ("LNAME", "l")], false),
            Some("/home/u".into())
        );
        assert_eq!(with(&[], false), None);
    }
}
