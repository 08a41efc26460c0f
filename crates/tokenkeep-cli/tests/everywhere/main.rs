//! The command with files alone, on every system, under Wine as well (`cargo xtask cross windows`).
//!
//! Tests that need a keyring, signals or a terminal are in `tests/cli`, for Linux.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails, and a process tells its parent that it is ready"
)]

#[path = "../common/caches.rs"]
mod caches;
#[path = "../../../tokenkeep/tests/support/clock.rs"]
mod clock;
#[path = "../common/holder.rs"]
mod holder;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use caches::{ANNA, BERT, SECRETS, cache};
use clock::timed;
use holder::Holder;
use serde_json::Value;

/// A separate home directory.
#[derive(Debug)]
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::Builder::new().prefix("tk ü ").tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        fs::write(self.path(name), content).unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
        }
        self.path(name)
    }

    /// The command, with every path of the user in this home directory.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tokenkeep"));
        for variable in ["HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA"] {
            command.env(variable, self.0.path());
        }
        for variable in ["DBUS_SESSION_BUS_ADDRESS", "XDG_RUNTIME_DIR", "XDG_DATA_HOME", "XDG_CACHE_HOME"] {
            command.env_remove(variable);
        }
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// Returns the JSON output and the exit code.
    fn json(&self, arguments: &[&str]) -> (Option<i32>, Value) {
        let output = self.command(&[arguments, &["--json"]].concat()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(SECRETS.iter().all(|secret| !text.contains(secret)), "a secret in {text}");
        let value = serde_json::from_str(&text)
            .unwrap_or_else(|error| panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)));
        (output.status.code(), value)
    }
}

fn word(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Returns the users in the output of `list`, in order.
fn users(listed: &Value) -> Vec<&str> {
    let accounts = listed["caches"][0]["content"]["accounts"].as_array().unwrap();
    accounts.iter().map(|account| account["username"].as_str().unwrap()).collect()
}

/// The best encrypted file of a system: on Windows the one that Windows encrypts, elsewhere one with its own key.
fn encrypted(place: &Place) -> (String, Vec<String>, &'static str) {
    let path = place.path("sealed.bin");
    if cfg!(windows) {
        let flags = vec!["--cache-path".to_owned(), word(&path).to_owned()];
        return (format!("store=dpapi-file,cache-path={}", path.display()), flags, "dpapi-file");
    }
    let key = format!("file:{}", place.file("key", "k".repeat(43).as_bytes()).display());
    let names = ["service-name=s", "account-name=a"];
    let end = format!("store=encrypted-file,cache-path={},key={key},{}", path.display(), names.join(","));
    let flags = ["--cache-path", word(&path), "--key", &key, "--service-name", "s", "--account-name", "a"];
    (end, flags.map(str::to_owned).to_vec(), "encrypted-file")
}

#[test]
fn a_plaintext_cache_is_encrypted_listed_signed_out_of_and_cleared() {
    let place = Place::new();
    let plain = place.file("plain.json", &cache(true));
    let (end, flags, backend) = encrypted(&place);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let on = |command: &[&str]| place.json(&[command, &flags].concat());

    let (code, moved) = place.json(&["migrate", "--yes", "--from", word(&plain), "--to", &end]);
    assert_eq!((code, moved["to"]["backend"].as_str()), (Some(0), Some(backend)), "{moved}");
    assert_eq!(fs::read(&plain).unwrap(), b"{}", "the old copy was not wiped");
    let sealed = fs::read(place.path("sealed.bin")).unwrap();
    assert!(!sealed.windows(7).any(|bytes| bytes == b"PLANTED" || bytes == b"example"), "it can be read");

    let (code, listed) = on(&["list"]);
    assert_eq!((code, users(&listed)), (Some(0), vec!["anna@example.org", "bert@example.org"]));
    assert_eq!(listed["caches"][0]["backend"], backend);

    let (code, out) = on(&["sign-out", "anna@example.org", "--yes"]);
    assert_eq!(
        (code, &out["accounts"][0]["homeAccountId"]),
        (Some(0), &ANNA.home_account_id.into()),
        "{out}"
    );
    let (_, listed) = on(&["list"]);
    assert_eq!(users(&listed), ["bert@example.org"]);
    assert_eq!(listed["caches"][0]["content"]["accounts"][0]["homeAccountId"], BERT.home_account_id);

    let (code, cleared) = on(&["clear", "--yes"]);
    assert_eq!((code, &cleared["cleared"]), (Some(0), &true.into()), "{cleared}");
    assert!(!place.path("sealed.bin").exists());
}

/// Windows removes no file that is open.
#[cfg(windows)]
#[test]
fn a_siblings_lock_is_broken_by_force_and_of_our_own_the_process_to_end_is_named() {
    let place = Place::new();
    let path = place.file("cache.json", &cache(true));
    let broken = ["lock", "--break", "--force", "--cache-path", word(&path)];
    let sibling = place.path("cache.json.lockfile");
    // Python closes the file after it has written its pid.
    fs::write(&sibling, std::process::id().to_string()).unwrap();
    let (code, said) = place.json(&broken);
    assert_eq!((code, said["broken"].as_bool()), (Some(0), Some(true)), "{said}");
    assert!(!sibling.exists());
    let holder = Holder::of(&path);
    let (code, said) = place.json(&broken);
    assert_eq!(code, Some(5), "{said}");
    let remedy = said["error"]["remedy"].as_str().unwrap();
    assert!(remedy.contains(&format!("End process {}", holder.pid())), "{said}");
    holder.kill();
}

#[cfg(windows)]
#[test]
fn a_cleaned_environment_names_the_folder_that_the_system_knows() {
    let place = Place::new();
    for folder in [None, Some("relative")] {
        let mut command = place.command(&["list", "--application", "tk-none", "--json"]);
        command.env_remove("LOCALAPPDATA");
        if let Some(folder) = folder {
            command.env("LOCALAPPDATA", folder);
        }
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.contains("home directory") && !text.contains("relative"), "{text}");
    }
}

#[test]
fn a_command_names_the_holder_of_the_lock_and_waits_for_its_end() {
    let place = Place::new();
    let path = place.file("cache.json", &cache(false));
    let holder = Holder::of(&path);
    let (code, held) = place.json(&["lock", "--cache-path", word(&path)]);
    assert_eq!((code, &held["state"]), (Some(5), &"held".into()), "{held}");
    assert_eq!((&held["holder"]["pid"], &held["holder"]["alive"]), (&holder.pid().into(), &true.into()));

    let began = Instant::now();
    let sign_out = ["sign-out", "--all", "--yes", "--cache-path", word(&path)];
    let (code, busy) = place.json(&[&sign_out[..], &["--timeout", "1"]].concat());
    assert_eq!((code, &busy["error"]["kind"]), (Some(5), &"busy".into()), "{busy}");
    assert!(began.elapsed() >= Duration::from_secs(1), "it did not wait");
    let (code, listed) = place.json(&["list", "--cache-path", word(&path)]);
    assert_eq!((code, users(&listed)), (Some(0), vec!["anna@example.org"]), "reading needs no lock");

    holder.kill();
    let (code, out) = place.json(&sign_out);
    assert_eq!(code, Some(0), "a dead process is still in the way: {out}");
}

#[test]
fn the_doctor_examines_the_system_within_ten_seconds() {
    let place = Place::new();
    let ((code, report), took) = timed(|| place.json(&["doctor"]));
    assert!(took.naps < Duration::from_secs(10), "{took:?}");
    let sections = report["sections"].as_array().unwrap();
    let titles: Vec<&str> = sections.iter().map(|section| section["title"].as_str().unwrap()).collect();
    assert_eq!(titles, ["keyring", "without a keyring", "places", "caches", "choice"]);
    let fact = |name: &str| {
        let facts = sections.iter().flat_map(|section| section["facts"].as_array().unwrap());
        let named = facts.into_iter().find(|fact| fact["name"] == name);
        named.map(|fact| fact["value"].as_str().unwrap().to_owned()).unwrap_or_default()
    };
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(code, Some(if findings.is_empty() { 0 } else { 3 }));
    if cfg!(windows) {
        assert_eq!(fact("trial"), "something was encrypted for this user, and decrypted");
        assert!(findings.is_empty(), "{findings:?}");
        let (_, dry) = place.json(&["doctor", "--dry-run"]);
        assert!(dry.to_string().contains("not done (--dry-run)"), "{dry}");
    }
    // No environment variable leads to a session of this machine.
    if cfg!(target_os = "linux") {
        assert_eq!(findings[0]["code"], "no-session-bus", "{findings:?}");
    }
    assert_ne!(fact("store"), "");
}

#[test]
fn usage_completions_and_the_version() {
    let place = Place::new();
    let run = |arguments: &[&str]| place.command(arguments).output().unwrap();
    assert_eq!(run(&["frobnicate"]).status.code(), Some(2));
    assert_eq!(run(&["list", "--store", "keystore"]).status.code(), Some(4));
    let version = run(&["--version"]);
    let text = String::from_utf8(version.stdout).unwrap();
    assert_eq!(text.trim(), concat!("tokenkeep ", env!("CARGO_PKG_VERSION")));
    let completions = run(&["completions", "powershell"]);
    assert!(completions.status.success() && completions.stdout.len() > 1_000);
}

/// Windows has no keystore items, and the command says so before it changes anything.
#[cfg(windows)]
#[test]
fn a_keystore_item_is_a_typed_error() {
    let place = Place::new();
    let (code, said) = place.json(&["list", "--service-name", "s", "--account-name", "a"]);
    assert_eq!((code, &said["error"]["kind"]), (Some(1), &"not_supported".into()), "{said}");
}
