//! Examines the system's keystore: whether it exists, its program, whether it is unlocked, whether it stores an item.

use super::Terms;
use super::report::Section;

/// The heading of the section.
pub(super) const TITLE: &str = "keyring";

#[cfg(target_os = "linux")]
pub(super) use linux::examine;

#[cfg(target_os = "macos")]
pub(super) fn examine(_terms: Terms) -> Section {
    let mut section = Section::new(TITLE);
    // Every access to an item can prompt, so the doctor makes none.
    section.fact("store", "the Keychain; not looked at, because that could prompt");
    section
}

#[cfg(not(any(target_os = "linux", target_os = "macos", windows)))]
pub(super) fn examine(_terms: Terms) -> Section {
    let mut section = Section::new(TITLE);
    section.fact("store", "none that tokenkeep can use on this system");
    section
}

#[cfg(windows)]
pub(super) fn examine(terms: Terms) -> Section {
    use super::report::Finding;

    let mut section = Section::new(TITLE);
    section.fact("store", "not needed: Windows encrypts files for its users");
    if !terms.trial {
        section.fact("trial", "not done (--dry-run)");
        return section;
    }
    // This writes no file, except that Windows creates a key at the first use in a profile.
    match encrypts_and_decrypts() {
        Ok(()) => section.fact("trial", "something was encrypted for this user, and decrypted"),
        Err(error) => {
            section.fact("trial", "failed");
            section.finding(Finding::of("encryption-fails", &error));
        }
    }
    section
}

#[cfg(windows)]
fn encrypts_and_decrypts() -> tokenkeep::Result<()> {
    use tokenkeep::storage::DataProtection;
    use tokenkeep::{Error, ErrorKind, Protector, Secret};

    const TRIAL: &[u8] = b"a trial of tokenkeep doctor";
    let protector = DataProtection::default();
    let sealed = protector.protect(TRIAL, None)?.into_owned();
    match protector.unprotect(Secret::from(sealed))?.expose() == TRIAL {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::Damaged, "Windows decrypts other content than it encrypted")),
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::time::Duration;

    use tokenkeep::inspect::{SecretServiceProvider, SecretServiceSurvey};
    use tokenkeep::{Config, ErrorKind};

    use super::{Section, TITLE, Terms};
    use crate::doctor::report::Finding;
    use crate::platform;

    /// The time limit for a program to print its version.
    const VERSION: Duration = Duration::from_millis(1_500);

    pub(in crate::doctor) fn examine(terms: Terms) -> Section {
        let mut section = Section::new(TITLE);
        let survey = SecretServiceSurvey::take(terms.keyring);
        section.fact("session bus", if survey.bus { "answers" } else { "not reached" });
        if let Some(provider) = &survey.provider {
            describe(&mut section, provider);
        }
        match &survey.failure {
            Some(failure) => section.finding(finding(failure, &survey)),
            None => {
                match &survey.default_collection {
                    None => {
                        section.fact("default keyring", "none");
                        section.finding(Finding::problem(
                        "no-default-keyring",
                        "The Secret Service has no default collection, so that nothing new can be stored",
                        "Create a keyring and make it the default with the desktop's password program, such as \
                         Seahorse; with KeePassXC, open the database",
                    ));
                    }
                    Some(collection) => {
                        let label = &collection.label;
                        let tried = trial(terms);
                        // Some keyrings call themselves unlocked and refuse all the same. A KWallet that the log-in has
                        // opened calls itself locked and stores all the same.
                        let stored = tried.as_ref().is_some_and(Result::is_ok);
                        let refused = tried.iter().any(|tried| {
                            tried.as_ref().is_err_and(|error| error.kind() == ErrorKind::StoreLocked)
                        });
                        let locked = collection.locked && !stored;
                        let state = match (locked, refused) {
                            (true, _) => "locked",
                            (false, true) => "locked for this program",
                            (false, false) => "unlocked",
                        };
                        section.fact("default keyring", format!("{label:?}, {state}"));
                        if locked {
                            section.finding(Finding::problem(
                            "keyring-locked",
                            format!("The keyring {label:?} is locked: programs that may not prompt cannot read it"),
                            "Unlock it with the desktop's password program, or sign in with a password; after an \
                             automatic login it stays locked until somebody does",
                        ));
                        }
                        if collection.ends_with_login {
                            section.finding(Finding::warning(
                            "keyring-of-session",
                            format!("The default keyring {label:?} is gone at log-out, and every sign-in with it"),
                            "Create a lasting keyring and make it the default",
                        ));
                        }
                        if !locked || !refused {
                            tell_of_trial(&mut section, tried);
                        }
                    }
                }
            }
        }
        section
    }

    fn describe(section: &mut Section, provider: &SecretServiceProvider) {
        let pid = provider.pid;
        let (name, version) = platform::program_version(pid, VERSION)
            .unwrap_or_else(|| (provider.command.clone().unwrap_or_else(|| "unknown".to_owned()), None));
        let version = version.map_or_else(String::new, |version| format!(" {version}"));
        section.fact("secret service", format!("{name}{version} (process {pid})"));
        if platform::process_state(pid) == Some('T') {
            section.finding(Finding::problem(
                "keyring-stopped",
                format!("The keyring service {name} (process {pid}) is stopped: it will never answer"),
                format!("End it and let it be started anew, or let it run on: kill -CONT {pid}"),
            ));
        }
    }

    fn finding(failure: &tokenkeep::Error, survey: &SecretServiceSurvey) -> Finding {
        let code = match failure.kind() {
            ErrorKind::StoreTimeout => "keyring-silent",
            // A policy of the bus, or a sandbox, keeps this program from a service that runs.
            ErrorKind::StoreUnavailable if survey.provider.is_some() => "keyring-denied",
            ErrorKind::StoreUnavailable if survey.bus => "no-secret-service",
            ErrorKind::StoreUnavailable => "no-session-bus",
            _ => "keyring-fails",
        };
        Finding::of(code, failure)
    }

    /// Stores a trial item, reads it and removes it, as opening a cache does; `None` if it must not.
    fn trial(terms: Terms) -> Option<Result<(), tokenkeep::Error>> {
        let trial = Config::new("tokenkeep").account("doctor").keystore_deadline(terms.keyring);
        terms.trial.then(|| trial.keystore_item().and_then(|item| item.verify()))
    }

    fn tell_of_trial(section: &mut Section, outcome: Option<Result<(), tokenkeep::Error>>) {
        match outcome {
            None => section.fact("trial", "not done (--dry-run)"),
            Some(Ok(())) => section.fact("trial", "an item was stored, read back and removed"),
            Some(Err(error)) => {
                section.fact("trial", "failed");
                let locked = error.kind() == ErrorKind::StoreLocked;
                section.finding(Finding::of(if locked { "keyring-locked" } else { "keyring-fails" }, &error));
            }
        }
    }
}
