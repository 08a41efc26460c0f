//! `tokenkeep migrate`.

use std::fs;

use serde_json::Value;

use crate::keyring::Keyring;
use crate::support::{Holder, Place, SECRETS, cache, said};

#[test]
fn a_cache_moves_from_a_file_into_the_keyring_and_back() {
    let keyring = Keyring::start();
    let place = Place::on(&keyring.bus);
    let path = place.file("cache.json", &cache(true));
    let lookup = ["lookup", "service", "my-app", "account", "token_cache"];
    let before = fs::read(&path).unwrap();
    let dry =
        place.run(&["migrate", "--from", path.to_str().unwrap(), "--to", "application=my-app", "--dry-run"]);
    assert_eq!((dry.code, fs::read(&path).unwrap()), (Some(0), before.clone()), "{}", dry.stderr);
    assert!(!keyring.secret_tool(&lookup, "").status.success(), "a dry run wrote");
    place.transcript(
        "migrate",
        &[
            "migrate --from [HOME]/cache.json --to application=my-app",
            "migrate --from [HOME]/cache.json --to application=my-app --yes",
            "migrate --from [HOME]/cache.json --to application=my-app --yes",
            "migrate --from application=my-app --to [HOME]/back.json --yes",
        ],
        &[],
    );
    assert_eq!(fs::read(&path).unwrap(), b"{}");
    let back = String::from_utf8(fs::read(place.home().join("back.json")).unwrap()).unwrap();
    for secret in SECRETS {
        assert!(back.contains(secret), "{secret} was lost");
    }
    let item = keyring.secret_tool(&lookup, "");
    assert_eq!(item.stdout, b"{}", "the old copy was not emptied");
}

#[test]
fn entries_of_the_target_stay() {
    let place = Place::new();
    let from = place.file("from.json", &cache(true));
    let to = place.file("to.json", &cache(false));
    let (from, to) = (from.to_str().unwrap(), to.to_str().unwrap());
    let run = |dry: &[&str]| {
        let said =
            place.run(&[&["migrate", "--from", from, "--to", to, "--yes", "--json"][..], dry].concat());
        assert_eq!(said.code, Some(0), "{}", said.stdout);
        serde_json::from_str::<Value>(&said.stdout).unwrap()
    };
    let planned = run(&["--dry-run"]);
    assert_eq!((&planned["schemaVersion"], &planned["dryRun"]), (&1.into(), &true.into()));
    let done = run(&[]);
    assert_eq!((&done["dryRun"], &done["entries"]), (&false.into(), &planned["entries"]));
    assert_eq!((&done["oldCopy"], &done["to"]["backend"]), (&"overwritten".into(), &"plaintext-file".into()));
    let all = fs::read_to_string(to).unwrap();
    assert!(all.contains("anna@example.org") && all.contains("bert@example.org"));
}

#[test]
fn invalid_endpoints_end_with_usage() {
    let place = Place::new();
    place.file("cache.json", &cache(true));
    place.file("empty.json", b"{}");
    place.transcript(
        "migrate-usage",
        &[
            "migrate --from [HOME]/cache.json",
            "migrate --from [HOME]/cache.json --to [HOME]/cache.json --yes",
            "migrate --from [HOME]/cache.json --to frobnicate=1",
            "migrate --from [HOME]/cache.json --to service-name=s,account-name=a --yes",
            "migrate --from [HOME]/missing.json --to [HOME]/new.json --yes",
            "migrate --from [HOME]/empty.json --to [HOME]/new.json --yes",
        ],
        &[],
    );
}

#[test]
fn a_cache_moves_from_a_file_into_an_encrypted_file_and_back() {
    let place = Place::new();
    let from = place.file("cache.json", &cache(true));
    let (sealed, back) = (place.home().join("sealed"), place.home().join("back.json"));
    let (from, sealed, back) = (from.to_str().unwrap(), sealed.to_str().unwrap(), back.to_str().unwrap());
    let run = |passphrase: &str, arguments: &[&str]| {
        said(place.command(arguments).env("SOME_PASSPHRASE", passphrase).output().unwrap())
    };
    let end = format!("cache-path={sealed},key=passphrase:SOME_PASSPHRASE");
    let nameless = run("correct horse", &["migrate", "--yes", "--from", from, "--to", &end]);
    assert_eq!(nameless.code, Some(2), "{}", nameless.stdout);
    assert!(!std::path::Path::new(sealed).exists(), "a key was named, and plaintext written");
    let end = format!("{end},service-name=contoso,account-name=tokens");
    let there = run("correct horse", &["migrate", "--yes", "--json", "--from", from, "--to", &end]);
    assert_eq!(there.code, Some(0), "{}", there.stderr);
    let told: Value = serde_json::from_str(&there.stdout).unwrap();
    assert_eq!(told["to"]["backend"], "encrypted-file");
    assert_eq!(fs::read(from).unwrap(), b"{}");
    let bytes = fs::read(sealed).unwrap();
    for secret in SECRETS {
        assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret} in the clear");
    }

    let home = ["migrate", "--yes", "--from", &end, "--to", back];
    let wrong = run("wrong horse", &home);
    assert!(wrong.code != Some(0) && !std::path::Path::new(back).exists(), "{}", wrong.stdout);
    assert_eq!(fs::read(sealed).unwrap(), bytes, "a wrong passphrase changed something");
    let right = run("correct horse", &home);
    assert_eq!(right.code, Some(0), "{}", right.stderr);
    let all = fs::read_to_string(back).unwrap();
    for secret in SECRETS {
        assert!(all.contains(secret), "{secret} was lost");
    }
}

#[test]
fn a_migration_into_a_missing_keyring_changes_nothing() {
    let place = Place::new();
    let path = place.file("cache.json", &cache(true));
    let before = fs::read(&path).unwrap();
    let said =
        place.run(&["migrate", "--from", path.to_str().unwrap(), "--to", "application=my-app", "--yes"]);
    assert_eq!((said.code, fs::read(&path).unwrap()), (Some(6), before), "{}", said.stderr);
}

#[test]
fn a_migration_waits_for_the_locks_of_both_endpoints_and_an_interrupt_damages_neither() {
    let place = Place::new();
    let from = place.file("from.json", &cache(true));
    let to = place.file("to.json", &cache(false));
    let before = (fs::read(&from).unwrap(), fs::read(&to).unwrap());
    let ends = ["migrate", "--yes", "--from", from.to_str().unwrap(), "--to", to.to_str().unwrap()];
    for locked in [&from, &to] {
        let _holder = Holder::of(locked);
        let busy = place.run(&[&ends[..], &["--timeout", "1"]].concat());
        assert_eq!(busy.code, Some(5), "{}", busy.stderr);
        let ended = place.interrupted(&[&ends[..], &["--timeout", "60"]].concat(), locked);
        assert_eq!(ended.code, Some(130), "{}", ended.stderr);
        assert_eq!((fs::read(&from).unwrap(), fs::read(&to).unwrap()), before);
    }
    assert_eq!(place.run(&ends).code, Some(0));
    assert_eq!(fs::read(&from).unwrap(), b"{}");
}
