//! Lists the other stores of this machine, and concludes which store tokenkeep would choose.

use tokenkeep::key_source::KernelKeyring;

use super::keyring;
use super::report::{Finding, Section};
use crate::words::number;

/// The heading of the stores other than the keyring.
pub(super) const OTHERS: &str = "without a keyring";
const TITLE: &str = "choice";

const KERNEL: &str = "kernel keyring";
const USABLE: &str = "usable: an encrypted file whose key lives until the next restart";
const CREDENTIALS: &str = "systemd credentials";

/// Lists the possible sources of an encrypted file's key.
pub(super) fn others() -> Section {
    let mut section = Section::new(OTHERS);
    if cfg!(target_os = "linux") {
        match KernelKeyring::check() {
            Ok(()) => section.fact(KERNEL, USABLE),
            Err(error) => section.fact(KERNEL, format!("not usable: {}", crate::exit::message(&error))),
        }
        section.fact(CREDENTIALS, credentials());
    }
    section.fact("passphrase, key file", "always possible, where somebody provides one");
    section
}

/// The credentials that systemd passes to a service; a key file among them is `--key
/// file:$CREDENTIALS_DIRECTORY/NAME`.
fn credentials() -> String {
    let Some(directory) = std::env::var_os("CREDENTIALS_DIRECTORY") else {
        return "none for this process (CREDENTIALS_DIRECTORY is not set)".to_owned();
    };
    match std::fs::read_dir(&directory) {
        Ok(listing) => {
            let count = listing.flatten().count();
            format!("{} in {directory:?}: a key file can be among them", number(count, "credential"))
        }
        Err(error) => format!("CREDENTIALS_DIRECTORY is {directory:?}, which cannot be read: {error}"),
    }
}

/// Says which store tokenkeep would choose on this machine, and why.
pub(super) fn conclude(sections: &[Section]) -> Section {
    let mut section = Section::new(TITLE);
    let (store, why) = if cfg!(windows) {
        ("a file encrypted by Windows".to_owned(), "it is this platform's own store".to_owned())
    } else if cfg!(target_os = "macos") {
        ("the Keychain".to_owned(), "it is this platform's own store".to_owned())
    } else {
        on_linux(sections)
    };
    section.fact("store", store);
    section.fact("why", why);
    section
}

fn on_linux(sections: &[Section]) -> (String, String) {
    let part = |title: &str| sections.iter().find(|section| section.title() == title);
    let findings = part(keyring::TITLE).map_or(&[][..], Section::findings);
    let hindrance = findings.iter().map(Finding::code).find(|code| *code != "keyring-of-session");
    let Some(hindrance) = hindrance else {
        return ("the Secret Service".to_owned(), "it answers, is unlocked and protects best".to_owned());
    };
    let kernel = part(OTHERS).and_then(|others| others.get(KERNEL)) == Some(USABLE);
    let fallback = match kernel {
        true => "an encrypted file with a key of the kernel keyring, a passphrase or a key file",
        false => "an encrypted file with a passphrase or a key file",
    };
    let store = format!("none, unless the program allows a fallback; here that could be {fallback}");
    (
        store,
        format!(
            "the keyring cannot be used ({hindrance}), and nothing weaker is chosen without being asked for"
        ),
    )
}
