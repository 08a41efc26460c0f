//! `tokenkeep doctor` on machines in good and in bad order.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::Value;
use tokenkeep::inspect::SecretServiceSurvey;
use tokenkeep::storage::{Keystore, SecretServiceItem};

use crate::keyring::{Bus, Keyring};
use crate::support::{Holder, Place, Said, cache, timed};

/// Returns the codes of the findings.
fn findings(said: &Said) -> Vec<String> {
    let report: Value = serde_json::from_str(&said.stdout).expect("JSON");
    let findings = report["findings"].as_array().expect("findings");
    for finding in findings {
        assert!(finding["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()), "{finding}");
    }
    findings.iter().map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
}

fn provider(keyring: &Keyring) -> u32 {
    let survey = SecretServiceSurvey::on_bus(keyring.bus.address(), Duration::from_secs(20));
    survey.provider.expect("a provider").pid
}

#[test]
fn a_machine_in_good_order_has_no_findings() {
    let keyring = Keyring::start();
    let place = Place::on(&keyring.bus);
    let pid = provider(&keyring).to_string();
    let version = place.run(&["doctor", "--json"]);
    assert_eq!(version.code, Some(0), "{}", version.stdout);
    let text = version.stdout.split("gnome-keyring-daemon ").nth(1).expect("a version");
    let version = text.split(' ').next().unwrap();
    let file_system = file_system(&place);
    place.transcript(
        "doctor-good",
        &["doctor", "doctor --dry-run"],
        &[(&pid, "[PID]"), (version, "[VERSION]"), (&file_system, "[FILE SYSTEM]")],
    );
    let left = keyring.secret_tool(&["search", "--all", "service", "tokenkeep"], "");
    assert!(left.stdout.is_empty(), "a trial item stayed behind");
}

/// gnome-keyring-daemon was aborted by a first message that it was not ready for: once in 19 to 210 doctors.
/// `TOKENKEEP_TORTURE=n` runs n times as many rounds.
#[test]
fn one_keyring_daemon_outlives_all_doctors_and_verifications() {
    const EACH: usize = 30;
    let keyring = Keyring::start();
    let place = Place::on(&keyring.bus);
    let rounds: usize =
        std::env::var("TOKENKEEP_TORTURE").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    for round in 0..rounds * 3 {
        for nth in 0..EACH {
            let said = place.run(&["doctor", "--json"]);
            assert_eq!(keyring.crash(), None, "after {round} rounds and {nth} doctors");
            assert_eq!(said.code, Some(0), "{}", said.stdout);
        }
        for nth in 0..EACH {
            let item = SecretServiceItem::new("tokenkeep", "crowd").unwrap().on_bus(keyring.bus.address());
            let verified = item.verify();
            assert_eq!(keyring.crash(), None, "after {round} rounds and {nth} verifications");
            verified.unwrap();
        }
    }
}

/// Returns the file system's name in the doctor's words, which depends on the machine.
fn file_system(place: &Place) -> String {
    let said = place.run(&["doctor", "--json", "--dry-run"]);
    let report: Value = serde_json::from_str(&said.stdout).unwrap();
    let facts = report["sections"].as_array().unwrap().iter().find(|section| section["title"] == "places");
    let facts = facts.unwrap()["facts"].as_array().unwrap();
    facts.iter().find(|fact| fact["name"] == "file system").unwrap()["value"].as_str().unwrap().to_owned()
}

#[test]
fn a_missing_session_bus_is_a_finding() {
    let place = Place::new();
    let file_system = file_system(&place);
    place.transcript(
        "doctor-no-bus",
        &["doctor"],
        &[(&file_system, "[FILE SYSTEM]"), KERNEL_BLOCKED, KERNEL_BLOCKED_CHOICE],
    );
}

/// Containers block the kernel's keyring; the transcript is of a machine that does not.
const KERNEL_BLOCKED: (&str, &str) = (
    "not usable: The kernel's key service is blocked for this process, as container runtimes do: Operation not permitted (os error 1)",
    "usable: an encrypted file whose key lives until the next restart",
);
const KERNEL_BLOCKED_CHOICE: (&str, &str) = (
    "an encrypted file with a passphrase or a key file",
    "an encrypted file with a key of the kernel keyring, a passphrase or a key file",
);

#[test]
fn a_bus_without_a_keyring_is_a_finding() {
    let bus = Bus::start();
    let said = Place::on(&bus).run(&["doctor", "--json"]);
    assert_eq!((findings(&said), said.code), (vec!["no-secret-service".to_owned()], Some(3)));
}

/// A bus that lets no program but the keyring's own talk to it, as the proxy of a sandbox does.
#[test]
fn a_keyring_that_the_policy_of_the_bus_denies_is_no_missing_one() {
    let keyring = Keyring::start();
    keyring.bus.deny("org.freedesktop.secrets");
    let said = Place::on(&keyring.bus).run(&["doctor", "--json"]);
    assert_eq!((findings(&said), said.code), (vec!["keyring-denied".to_owned()], Some(3)), "{}", said.stdout);
}

#[test]
fn a_cache_that_is_mounted_read_only_is_a_finding() {
    let keyring = Keyring::start();
    let place = Place::on(&keyring.bus);
    let path = place.file("cache.json", b"{}");
    let path = path.to_str().unwrap();
    for mount in ["cache.json", "."] {
        let doctor = place.command(&["doctor", "--json", "--cache-path", path]);
        let mut command = std::process::Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-ec"]);
        command
            .arg(format!("mount --bind {mount} {mount}; mount -o remount,ro,bind {mount}; exec \"$@\""))
            .arg("sh");
        command.arg(doctor.get_program()).args(doctor.get_args()).current_dir(place.home());
        command.envs(doctor.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let said = crate::support::said(command.output().unwrap());
        assert!(findings(&said).contains(&"read-only".to_owned()), "{mount}: {}{}", said.stdout, said.stderr);
    }
}

#[test]
fn a_locked_keyring_is_found_without_a_prompt() {
    let keyring = Keyring::start();
    keyring.by_hand(async |hand| {
        let collection = hand.default_collection().await;
        hand.lock(&collection).await;
    });
    let place = Place::on(&keyring.bus);
    let (said, took) = timed(|| place.run(&["doctor", "--json"]));
    assert_eq!((findings(&said), said.code), (vec!["keyring-locked".to_owned()], Some(3)));
    assert!(took.naps < Duration::from_secs(10), "it waited for a person: {took:?}");
}

#[test]
fn a_keyring_that_was_never_used_has_no_default() {
    let keyring = Keyring::start_without_collections();
    let said = Place::on(&keyring.bus).run(&["doctor", "--json"]);
    assert_eq!((findings(&said), said.code), (vec!["no-default-keyring".to_owned()], Some(3)));
}

#[test]
fn a_stopped_keyring_costs_less_than_ten_seconds() {
    let keyring = Keyring::start();
    let place = Place::on(&keyring.bus);
    place.file(".IdentityService/msal.cache", b"");
    let pid = rustix::process::Pid::from_raw(i32::try_from(provider(&keyring)).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    let (said, took) = timed(|| place.run(&["doctor", "--json"]));
    rustix::process::kill_process(pid, rustix::process::Signal::CONT).unwrap();
    assert!(took.naps < Duration::from_secs(10), "{took:?}");
    assert_eq!(said.code, Some(3));
    assert_eq!(findings(&said), ["keyring-stopped", "keyring-silent"]);
}

#[test]
fn a_cache_open_to_others_damaged_and_locked_by_a_dead_process_has_a_finding_each() {
    let place = Place::new();
    let content = cache(false);
    let path = place.file(".azure/msal_token_cache.json", &content[..content.len() - 5]);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    place.file(".azure/msal_token_cache.json.corrupt-0123456789abcdef", b"old");
    place.file(".azure/msal_token_cache.bin", &content);
    place.file(".azure/msal_token_cache.bin.tk-old", b"old");
    Holder::of(&path).kill();
    let names = || {
        let entries = fs::read_dir(path.parent().unwrap()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = names();
    let said = place.run(&["doctor", "--json"]);
    assert_eq!(names(), before, "the doctor changed something");
    let found = findings(&said);
    for expected in [
        "no-session-bus",
        "damaged-cache",
        "file-open",
        "plaintext",
        "copy-of-damage",
        "unfinished-move",
        "stale-lock",
    ] {
        assert!(
            found.iter().any(|code| code == expected),
            "{expected} is not among {found:?}\n{}",
            said.stdout
        );
    }
}

#[test]
fn a_held_lock_is_no_finding_and_the_lock_of_a_dead_process_is_not_touched() {
    let place = Place::new();
    let path = place.file("cache.json", &cache(false));
    let holder = Holder::of(&path);
    let arguments = ["doctor", "--json", "--cache-path", path.to_str().unwrap()];
    assert_eq!(findings(&place.run(&arguments)), ["no-session-bus", "plaintext"]);
    holder.kill();
    let lock = path.with_file_name("cache.json.lockfile");
    for _ in 0..2 {
        assert_eq!(findings(&place.run(&arguments)), ["no-session-bus", "plaintext", "stale-lock"]);
        assert!(lock.exists(), "the doctor changed something");
    }
}

#[test]
fn a_read_only_directory_and_one_that_others_can_write_are_findings() {
    let place = Place::new();
    let path = place.file("closed/cache.json", b"{}");
    let folder = path.parent().unwrap();
    let arguments = ["doctor", "--json", "--cache-path", path.to_str().unwrap()];
    for (mode, code) in [(0o500, "directory-read-only"), (0o777, "directory-open")] {
        fs::set_permissions(folder, fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(findings(&place.run(&arguments)), ["no-session-bus", code]);
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).unwrap();
}
