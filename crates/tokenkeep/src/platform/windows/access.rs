//! Decides who may open files that the library creates, and checks who could change files that it relies on.
//!
//! Access lists are handled in the system's security descriptor language: `D:(type;flags;rights;;;who)(...)`.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::OnceLock;

use super::{files, sys};

/// FILE_READ_DATA, of a file or a directory.
pub(crate) const READ: u32 = 0x1;
/// FILE_WRITE_DATA and FILE_APPEND_DATA or, of a directory, FILE_ADD_FILE and FILE_ADD_SUBDIRECTORY; FILE_DELETE_CHILD,
/// DELETE, WRITE_DAC and WRITE_OWNER.
pub(crate) const CHANGE: u32 = 0x2 | 0x4 | 0x40 | 0x1_0000 | 0x4_0000 | 0x8_0000;

/// Returns the user of this process, as `S-1-5-21-...`.
pub(crate) fn user() -> io::Result<&'static str> {
    static USER: OnceLock<String> = OnceLock::new();
    match USER.get() {
        Some(user) => Ok(user),
        None => {
            let user = sys::user_sid()?;
            Ok(USER.get_or_init(|| user))
        }
    }
}

/// Returns the access list of a new file: that of the file `like`, so that accounts allowed by an administrator stay
/// allowed. If there is none: the user and the system, without inheritance from the directory. `None`: that of the
/// directory, where [`inherits`] says so.
pub(crate) fn of_new_file(like: &Path) -> io::Result<Option<String>> {
    if let Ok(file) = files::look().open(like)
        && let Ok(list) = sys::access_list(&file)
    {
        return Ok(Some(list));
    }
    if inherits(files::directory_of(like)) {
        return Ok(None);
    }
    Ok(Some(format!("D:P(A;;FA;;;{})(A;;FA;;;SY)", user()?)))
}

/// Returns the access list of a new directory, which files in it inherit; `None`: that of the directory it is in.
pub(crate) fn of_new_directory(directory: &Path) -> io::Result<Option<String>> {
    if inherits(directory) {
        return Ok(None);
    }
    Ok(Some(format!("D:P(A;OICI;FA;;;{})(A;OICI;FA;;;SY)", user()?)))
}

/// Returns whether a list of the user's own would lock the user out. A server may know the user by another identifier,
/// and a program in an app container is let in by that of its package.
fn inherits(directory: &Path) -> bool {
    files::is_remote(directory) || in_app_container()
}

fn in_app_container() -> bool {
    static CONTAINED: OnceLock<bool> = OnceLock::new();
    // Where the system does not know containers, there are none.
    *CONTAINED.get_or_init(|| sys::is_app_container().unwrap_or(false))
}

/// Returns whether a large group, such as all users, has any of `rights` on an open file or directory.
pub(crate) fn crowd_has(file: &File, rights: u32) -> io::Result<bool> {
    Ok(grants_a_crowd(&sys::access_list(file)?, rights))
}

/// Returns whether an access list grants any of `rights` to a large group. A list that denies first and grants later
/// counts as granting: such lists do not occur on caches.
fn grants_a_crowd(list: &str, rights: u32) -> bool {
    // Without a list, every user has all rights.
    if list.is_empty() || list.contains("NO_ACCESS_CONTROL") {
        return true;
    }
    list.split('(').skip(1).any(|entry| {
        let mut fields = entry.trim_end_matches(')').split(';');
        let (Some("A"), Some(flags), Some(granted), _, _, Some(who)) =
            (fields.next(), fields.next(), fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return false;
        };
        // An entry for inheritance only does not apply to this object.
        !pairs(flags).any(|flag| flag == "IO") && is_crowd(who) && mask(granted) & rights != 0
    })
}

/// Everyone, authenticated users, users, guests, anonymous and interactive ones, and those of the domain.
fn is_crowd(who: &str) -> bool {
    ["WD", "AU", "BU", "BG", "AN", "IU", "DU", "DG"].contains(&who)
        || ["S-1-1-0", "S-1-5-11", "S-1-5-32-545", "S-1-5-4"].contains(&who)
}

fn mask(rights: &str) -> u32 {
    if let Some(digits) = rights.strip_prefix("0x") {
        // An unreadable mask counts as all rights.
        return u32::from_str_radix(digits, 16).unwrap_or(u32::MAX);
    }
    const GENERIC_READ: u32 = 0x12_0089;
    const GENERIC_WRITE: u32 = 0x12_0116;
    const GENERIC_EXECUTE: u32 = 0x12_00a0;
    pairs(rights)
        .map(|right| match right {
            "FR" | "GR" => GENERIC_READ,
            "FW" | "GW" => GENERIC_WRITE,
            "FX" | "GX" => GENERIC_EXECUTE,
            "CC" => 0x1,
            "DC" => 0x2,
            "LC" => 0x4,
            "SW" => 0x8,
            "RP" => 0x10,
            "WP" => 0x20,
            "DT" => 0x40,
            "LO" => 0x80,
            "CR" => 0x100,
            "SD" => 0x1_0000,
            "RC" => 0x2_0000,
            "WD" => 0x4_0000,
            "WO" => 0x8_0000,
            // FA and GA, and any right missing in this list.
            _ => u32::MAX,
        })
        .fold(0, |all, right| all | right)
}

fn pairs(text: &str) -> impl Iterator<Item = &str> {
    (0..text.len() / 2).filter_map(|at| text.get(at * 2..at * 2 + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rights_to_read_and_to_change_are_distinguished() {
        let users_read = "D:AI(A;ID;FA;;;SY)(A;ID;0x1200a9;;;BU)";
        assert!(grants_a_crowd(users_read, READ));
        assert!(!grants_a_crowd(users_read, CHANGE));
        let users_may_add_files = "D:(A;OICIIO;GA;;;WD)(A;;LC;;;AU)";
        assert!(grants_a_crowd(users_may_add_files, CHANGE));
        assert!(!grants_a_crowd(users_may_add_files, READ), "the first entry is only inherited");
        assert!(!grants_a_crowd("D:P(A;;FA;;;S-1-5-21-1-2-3-1001)(A;;FA;;;SY)", READ | CHANGE));
        assert!(!grants_a_crowd("D:(D;;FA;;;WD)", READ), "a refusal gives nothing");
        assert!(grants_a_crowd("D:NO_ACCESS_CONTROL", CHANGE));
    }

    #[test]
    fn a_new_file_is_for_the_user_and_the_system_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("cache");
        let file = super::super::writing::create_new(&path, &path).unwrap();
        assert!(!crowd_has(&file, READ | CHANGE).unwrap(), "{}", sys::access_list(&file).unwrap());
    }

    #[test]
    fn a_file_on_a_share_has_the_list_of_its_directory() {
        let directory = tempfile::tempdir().unwrap();
        assert!(of_new_file(&directory.path().join("cache")).unwrap().is_some());
        let share = Path::new(r"\\localhost\nowhere\app");
        assert_eq!(of_new_file(&share.join("cache")).unwrap(), None);
        assert_eq!(of_new_directory(share).unwrap(), None);
    }
}
