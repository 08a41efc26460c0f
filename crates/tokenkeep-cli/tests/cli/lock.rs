//! `tokenkeep lock`.

use std::process::Command;

use serde_json::Value;

use crate::support::{Holder, Place, cache};

/// Returns the process id of a process that has ended.
fn dead_pid() -> u32 {
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    child.id()
}

fn json(place: &Place, arguments: &[&str]) -> (Option<i32>, Value) {
    let said = place.run(&[arguments, &["--json"]].concat());
    (said.code, serde_json::from_str(&said.stdout).unwrap())
}

#[test]
fn a_stale_lock_is_shown_and_broken_and_then_free() {
    let place = Place::new();
    let path = place.file("cache.json", &cache(false));
    let pid = dead_pid();
    let before = place.run(&["lock", "--cache-path", path.to_str().unwrap()]);
    assert_eq!(before.code, Some(4), "{}", before.stderr);
    let lock = place.file("cache.json.lockfile", format!("{pid} /usr/bin/az").as_bytes());
    // A fixed time in the past, so that the transcript is the same every day.
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    std::fs::File::options().write(true).open(&lock).unwrap().set_modified(at).unwrap();
    let days = at.elapsed().unwrap().as_secs().wrapping_add(43_200) / 86_400;
    place.transcript(
        "lock-stale",
        &[
            "lock --cache-path [HOME]/cache.json",
            "lock --cache-path [HOME]/cache.json --break --dry-run",
            "lock --cache-path [HOME]/cache.json --break",
            "lock --cache-path [HOME]/cache.json",
            "lock",
            "lock --cache-path [HOME]/cache.json --force",
        ],
        &[(&pid.to_string(), "[PID]"), (&days.to_string(), "[DAYS]")],
    );
    assert!(!lock.exists());
}

#[test]
fn a_living_holder_is_named_and_keeps_its_lock() {
    let place = Place::new();
    let path = place.file("cache.json", &cache(false));
    let (path, lock) = (path.to_str().unwrap(), path.with_file_name("cache.json.lockfile"));
    let holder = Holder::of(path.as_ref());
    for arguments in [&["lock", "--cache-path", path][..], &["lock", "--cache-path", path, "--break"]] {
        let (code, state) = json(&place, arguments);
        assert_eq!((code, &state["state"], &state["broken"]), (Some(5), &"held".into(), &false.into()));
        assert_eq!(state["schemaVersion"], 1);
        assert_eq!(state["holder"]["pid"], holder.pid());
        assert_eq!(state["holder"]["alive"], true);
        assert_eq!(state["holder"]["library"], "tokenkeep");
        assert!(state["holder"]["program"].as_str().unwrap().starts_with("cli"), "{state}");
        assert!(lock.exists());
    }
    let said = place.run(&["lock", "--cache-path", path, "--break"]);
    assert!(said.stdout.contains("Not broken") && said.stdout.contains("--force"), "{}", said.stdout);
    let (code, state) = json(&place, &["lock", "--cache-path", path, "--break", "--force", "--dry-run"]);
    assert_eq!((code, &state["wouldBreak"]), (Some(0), &true.into()));
    assert!(lock.exists(), "a dry run broke it");
}

#[test]
fn force_breaks_the_lock_of_a_living_process_and_warns() {
    let place = Place::new();
    let path = place.file("cache.json", &cache(false));
    let path = path.to_str().unwrap();
    let holder = Holder::of(path.as_ref());
    let said = place.run(&["lock", "--cache-path", path, "--break", "--force"]);
    assert_eq!(said.code, Some(0), "{}", said.stderr);
    assert!(said.stdout.contains("Warning:") && said.stdout.contains("can be lost"), "{}", said.stdout);
    let (code, state) = json(&place, &["lock", "--cache-path", path]);
    assert_eq!((code, &state["state"]), (Some(4), &"free".into()), "{state}");
    // Another process can acquire it, and the end of the first holder does not release it.
    let next = Holder::of(path.as_ref());
    holder.kill();
    assert_eq!(json(&place, &["lock", "--cache-path", path]).1["holder"]["pid"], next.pid());
}

#[test]
fn the_lock_of_a_killed_tokenkeep_program_is_broken_at_once() {
    let place = Place::new();
    let path = place.file("cache.json", &cache(false));
    let path = path.to_str().unwrap();
    Holder::of(path.as_ref()).kill();
    let (code, state) = json(&place, &["lock", "--cache-path", path]);
    assert_eq!((code, &state["state"], &state["holder"]["alive"]), (Some(0), &"stale".into(), &false.into()));
    let (code, state) = json(&place, &["lock", "--cache-path", path, "--break", "--timeout", "2"]);
    assert_eq!((code, &state["broken"]), (Some(0), &true.into()));
    assert_eq!(json(&place, &["lock", "--cache-path", path]).0, Some(4));
}
